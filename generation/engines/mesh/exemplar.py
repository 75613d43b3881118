"""A plate that continues the background behind the person: every hidden pixel is copied from a place that looks alike.

Patches are matched by the randomised search of Barnes et al. (PatchMatch, 2009, section 3) from coarse to fine, and the hidden
area is drawn anew from its matches at every level, as in Wexler et al. (Space-Time Completion of Video, 2007).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from generation.engines.mesh.fill import coarse_fill, grown

FINEST_PX = 256  # of the longer side: finer matches are taken over from this size
LEVELS = 3
ROUNDS = 3  # of matching and drawing at each level
REACH = 2  # patches of 5 x 5
NEAR = 0.002  # cost of copying over the whole picture's width: light and focus change slowly
RIM_PX = 4  # of the known surroundings that copies are toned to
LEAST_KNOWN = 50  # places to copy from
SEED = 7


@dataclass(frozen=True, slots=True)
class _Level:
    """One size of the problem. Places are flat indices into the padded picture."""

    colours: Tensor  # (P, 3) of the padded picture
    width: int  # of the padded picture
    size: tuple[int, int]  # (h, w) without padding
    hidden: Tensor  # int64 (N,) places to be drawn
    allowed: Tensor  # bool (P,) places whose whole patch is known
    patch: Tensor  # int64 (K,) steps to the places of a patch


def exemplar_fill(image: Tensor, hidden: Tensor, wanted: Tensor) -> Tensor:
    """Draw the wanted part of a hidden area from what is known around it. Everything else of the area is filled smoothly.

    image: (3, H, W) in 0..1; hidden, wanted: bool (H, W). Returns (3, H, W), unchanged where nothing is hidden.
    """
    finest = min(1.0, FINEST_PX / max(hidden.shape))
    sizes = [_scaled(hidden.shape, finest / 2**step) for step in reversed(range(LEVELS))]
    filled = torch.where(hidden, coarse_fill(image, (~hidden).to(image), sizes[-1]), image)
    wanted = wanted & hidden
    offsets: Tensor | None = None
    generator = torch.Generator().manual_seed(SEED)
    for size in sizes:
        small, some = (_sized(mask, size) > 0 for mask in (hidden, wanted))
        level = _level(_shrunk(filled, size), small, some & small)
        if len(level.hidden) == 0 or int(level.allowed.sum()) < LEAST_KNOWN:
            return filled
        offsets = _match(level, None if offsets is None else _grown(offsets, size), generator)
    if offsets is not None:
        _copy(image, filled, hidden, wanted, offsets)
    return filled


def _scaled(shape: Sequence[int], scale: float) -> tuple[int, int]:
    return max(16, round(shape[0] * scale)), max(16, round(shape[1] * scale))


def _shrunk(image: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(image[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]


def _sized(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Largest value of a mask (H, W) in each cell of a smaller size."""
    return F.adaptive_max_pool2d(mask.float()[None, None], size)[0, 0]


def _level(image: Tensor, hidden: Tensor, wanted: Tensor) -> _Level:
    height, width = hidden.shape
    padded = F.pad(image[None], (REACH,) * 4, mode="replicate")[0]
    wide = width + 2 * REACH
    unknown = grown(hidden, REACH) > 0
    inner = torch.zeros(height, width, dtype=torch.bool)
    inner[REACH : height - REACH, REACH : width - REACH] = True
    allowed = F.pad(~unknown & inner, (REACH,) * 4)
    places = F.pad(wanted, (REACH,) * 4).flatten().nonzero()[:, 0]
    steps = torch.arange(-REACH, REACH + 1)
    patch = (steps[:, None] * wide + steps).flatten()
    return _Level(padded.flatten(1).T.contiguous(), wide, (height, width), places, allowed.flatten(), patch)


def _grown(offsets: Tensor, size: tuple[int, int]) -> Tensor:
    """Offsets (2, h, w) for the next finer size."""
    ratio = torch.tensor([size[0] / offsets.shape[1], size[1] / offsets.shape[2]])[:, None, None]
    return F.interpolate(offsets[None], size=size, mode="nearest")[0] * ratio


def _match(level: _Level, start: Tensor | None, generator: torch.Generator) -> Tensor:
    """Find a match for every hidden place, drawing them as it goes. Returns offsets (2, h, w) to the matches, zero elsewhere."""
    colours = level.colours.clone()
    match = _first_matches(level, start)
    if start is not None:
        _draw(level, colours, match)
    for _ in range(ROUNDS):
        match = _search(level, colours, match, generator)
        _draw(level, colours, match)
    rows, columns = (match // level.width - level.hidden // level.width), (match % level.width - level.hidden % level.width)
    field = torch.zeros(2, level.allowed.shape[0])
    field[:, level.hidden] = torch.stack([rows, columns]).float()
    padded = field.reshape(2, -1, level.width)
    return padded[:, REACH:-REACH, REACH:-REACH]


def _first_matches(level: _Level, start: Tensor | None) -> Tensor:
    """The coarser level's matches, moved to the nearest allowed place; without them the place mirrored at the area's edge."""
    allowed = level.allowed.reshape(-1, level.width)
    nearest = torch.from_numpy(ndimage.distance_transform_edt((~allowed).numpy(), return_distances=False, return_indices=True))
    y, x = level.hidden // level.width, level.hidden % level.width
    if start is None:
        edge = nearest[:, y, x]
        aim_y, aim_x = 2 * edge[0] - y, 2 * edge[1] - x
    else:
        move = start[:, y - REACH, x - REACH].round().long()
        aim_y, aim_x = y + move[0], x + move[1]
    aim_y, aim_x = aim_y.clamp(0, allowed.shape[0] - 1), aim_x.clamp(0, allowed.shape[1] - 1)
    found = nearest[:, aim_y, aim_x]
    return (found[0] * level.width + found[1]).long()


def _cost(level: _Level, colours: Tensor, own: Tensor, match: Tensor) -> Tensor:
    """(N,) difference of the patches around each hidden place and around its match. own: (N, K, 3) patches."""
    apart = (colours[match[:, None] + level.patch] - own).square().sum((1, 2))
    across = (match % level.width - level.hidden % level.width).float()
    down = torch.div(match, level.width, rounding_mode="floor") - torch.div(level.hidden, level.width, rounding_mode="floor")
    return apart + NEAR * len(level.patch) * (across.square() + down.square()) / level.width**2


def _search(level: _Level, colours: Tensor, match: Tensor, generator: torch.Generator) -> Tensor:
    """Try the neighbours' matches moved along, and random places ever nearer to the best so far."""
    own = colours[level.hidden[:, None] + level.patch]
    best = _cost(level, colours, own, match)
    index = torch.full(level.allowed.shape, -1, dtype=torch.int64)
    index[level.hidden] = torch.arange(len(level.hidden))
    candidates: list[int] = [jump for far in (4, 2, 1) for jump in (far, -far, far * level.width, -far * level.width)]
    reach = max(level.size) // 2
    for jump in candidates:
        neighbour = (level.hidden + jump).clamp(0, len(index) - 1)
        place = index[neighbour]
        tried = torch.where(place >= 0, match[place] - jump, match).clamp(0, len(index) - 1)
        match, best = _better(level, colours, own, match, best, tried)
    while reach >= 1:
        aside = torch.randint(-reach, reach + 1, (2, len(match)), generator=generator)
        tried = (match + aside[0] * level.width + aside[1]).clamp(0, len(index) - 1)
        match, best = _better(level, colours, own, match, best, tried)
        reach //= 3
    return match


def _better(level: _Level, colours: Tensor, own: Tensor, match: Tensor, best: Tensor, tried: Tensor) -> tuple[Tensor, Tensor]:
    """The better of two matches for each place; only allowed places are tried."""
    asked = (level.allowed[tried] & (tried != match)).nonzero()[:, 0]
    part = _Level(level.colours, level.width, level.size, level.hidden[asked], level.allowed, level.patch)
    cost = _cost(part, colours, own[asked], tried[asked])
    gained = cost < best[asked]
    match, best = match.clone(), best.clone()
    match[asked[gained]], best[asked[gained]] = tried[asked[gained]], cost[gained]
    return match, best


def _draw(level: _Level, colours: Tensor, match: Tensor) -> None:
    """Give each hidden place the mean of what the matches of its neighbours say it should be, in place."""
    total = torch.zeros_like(colours)
    votes = torch.zeros(len(colours), 1)
    for step in level.patch.tolist():
        near = level.hidden + step
        total.index_add_(0, near, level.colours[match + step])
        votes.index_add_(0, near, torch.ones(len(near), 1))
    colours[level.hidden] = total[level.hidden] / votes[level.hidden]


def _copy(image: Tensor, filled: Tensor, hidden: Tensor, wanted: Tensor, offsets: Tensor) -> None:
    """Copy the full-size picture along the offsets (2, h, w) into the wanted part of `filled`, toned to what is around it."""
    size = (offsets.shape[1], offsets.shape[2])
    rim = (grown(hidden, RIM_PX) > 0) & ~hidden
    y, x = (wanted | rim).nonzero(as_tuple=True)
    copied, weights = _copied(image, hidden, offsets, y, x)
    sure = weights > 0.05
    # What the copies would make of the known rim tells how much lighter or redder they are than this place is.
    known = torch.zeros_like(filled[0])
    known[y, x] = (rim[y, x] & sure).to(filled)
    error = torch.zeros_like(filled)
    error[:, y, x] = image[:, y, x] - copied
    tint = coarse_fill(error, known, size)
    put = sure & wanted[y, x]
    y, x = y[put], x[put]
    filled[:, y, x] = (copied[:, put] + tint[:, y, x]).clamp(0, 1)


def _copied(image: Tensor, hidden: Tensor, offsets: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Copies (3, N) for the pixels y, x, faded into one another where neighbours disagree, and how sure they are (N,)."""
    height, width = hidden.shape
    scale = torch.tensor([height / offsets.shape[1], width / offsets.shape[2]])
    unknown = ~(offsets != 0).any(0)
    distance, nearest = ndimage.distance_transform_edt(unknown.numpy(), return_indices=True)
    moves = (offsets[:, nearest[0], nearest[1]] * scale[:, None, None]).round().long()
    near = torch.from_numpy(distance <= 2)
    at_y, at_x = (y + 0.5) / scale[0] - 0.5, (x + 0.5) / scale[1] - 0.5
    total, weights = image.new_zeros(3, len(y)), image.new_zeros(len(y))
    for corner_y, corner_x in itertools.product((0, 1), repeat=2):
        row = (at_y.floor().long() + corner_y).clamp(0, offsets.shape[1] - 1)
        column = (at_x.floor().long() + corner_x).clamp(0, offsets.shape[2] - 1)
        share = (1 - (at_y - at_y.floor() - corner_y).abs()) * (1 - (at_x - at_x.floor() - corner_x).abs())
        move = moves[:, row, column]
        from_y, from_x = (y + move[0]).clamp(0, height - 1), (x + move[1]).clamp(0, width - 1)
        share = share * near[row, column] * ~hidden[from_y, from_x]
        total += share * image[:, from_y, from_x]
        weights += share
    return total / weights.clamp_min(1e-3), weights
