"""A plate that continues the background behind the person: every hidden pixel is copied from a place that looks alike.

The coarse shapes are laid out patch by patch (see `layout`). The matches are then moved a little at a finer size by the
randomised search of Barnes et al. (PatchMatch, 2009, section 3), which draws the hidden area anew from them, as in Wexler et al.
(Space-Time Completion of Video, 2007). At full size the copies are toned by their slopes, so that no seam is a step in tone
(Perez, Gangnet and Blake, Poisson Image Editing, 2003).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, sparse
from torch import Tensor
from torch.nn import functional as F

from generation.engines.mesh.fill import coarse_fill, grown
from generation.engines.mesh.layout import lay_out

LAYOUT_PX = 88  # of the longer side: shapes are laid out at this size
FINEST_PX = 256  # finer matches are taken over from this size
ROUNDS = 2  # of matching and drawing
REACH = 2  # patches of 5 x 5
SEARCH = 6  # pixels: what was laid out is moved, not replaced
NEAR = 0.002  # cost of copying over the whole picture's width: light and focus change slowly
EDGE = 0.2  # a step in colour this large is more of an edge than of a seam
STIFF = 0.002  # keeps tones where nothing asks for another
TONE_STEPS = 40  # of the solver
LEAST_KNOWN = 50  # places to copy from
SEED = 7

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Level:
    """One size of the problem. Places are flat indices into the padded picture."""

    colours: Tensor  # (P, 3) of the padded picture
    width: int  # of the padded picture
    size: tuple[int, int]  # (h, w) without padding
    hidden: Tensor  # int64 (N,) places to be drawn
    allowed: Tensor  # bool (P,) places whose whole patch is known
    known: Tensor  # bool (P,)
    patch: Tensor  # int64 (K,) steps to the places of a patch


def exemplar_fill(image: Tensor, hidden: Tensor, wanted: Tensor) -> Tensor:
    """Draw the wanted part of a hidden area from what is known around it. Everything else of the area is filled smoothly.

    image: (3, H, W) in 0..1; hidden, wanted: bool (H, W). Returns (3, H, W), unchanged where nothing is hidden.
    """
    coarse, fine = (_scaled(hidden.shape, min(1.0, longer / max(hidden.shape))) for longer in (LAYOUT_PX, FINEST_PX))
    filled = torch.where(hidden, coarse_fill(image, (~hidden).to(image), fine), image)
    wanted = wanted & hidden
    laid = lay_out(_shrunk(filled, coarse), *(_sized(mask, coarse) > 0 for mask in (hidden, wanted)))
    if laid is None:
        return filled
    small, some = (_sized(mask, fine) > 0 for mask in (hidden, wanted))
    level = _level(_shrunk(filled, fine), small, some & small)
    if len(level.hidden) > 0 and int(level.allowed.sum()) >= LEAST_KNOWN:
        match = _match(level, _grown(laid, fine), torch.Generator().manual_seed(SEED))
        _copy(image, filled, hidden, wanted, _offsets(level, match), _tones(level, match))
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
    known = F.pad(~hidden, (REACH,) * 4).flatten()
    return _Level(padded.flatten(1).T.contiguous(), wide, (height, width), places, allowed.flatten(), known, patch)


def _grown(offsets: Tensor, size: tuple[int, int]) -> Tensor:
    """Offsets (2, h, w) for the next finer size."""
    ratio = torch.tensor([size[0] / offsets.shape[1], size[1] / offsets.shape[2]])[:, None, None]
    return F.interpolate(offsets[None], size=size, mode="nearest")[0] * ratio


def _match(level: _Level, start: Tensor, generator: torch.Generator) -> Tensor:
    """Better the matches (N,) of the hidden places, drawing them as it goes."""
    colours = level.colours.clone()
    match = _first_matches(level, start)
    _draw(level, colours, match)
    for _ in range(ROUNDS):
        match = _search(level, colours, match, generator)
        _draw(level, colours, match)
    return match


def _offsets(level: _Level, match: Tensor) -> Tensor:
    """(2, h, w) from each hidden place to its match, down and right; zero elsewhere."""
    rows, columns = (match // level.width - level.hidden // level.width), (match % level.width - level.hidden % level.width)
    return _pictured(level, torch.stack([rows, columns], 1).float())


def _pictured(level: _Level, values: Tensor) -> Tensor:
    """Values (N, C) of the hidden places as a picture (C, h, w), zero elsewhere."""
    field = torch.zeros(values.shape[1], level.allowed.shape[0])
    field[:, level.hidden] = values.T
    return field.reshape(len(field), -1, level.width)[:, REACH:-REACH, REACH:-REACH]


def _tones(level: _Level, match: Tensor) -> Tensor:
    """(3, h, w) what to add to the copies so that neighbours differ as their sources' slopes say, and meet what is known."""
    index = torch.full(level.allowed.shape, -1, dtype=torch.int64)
    index[level.hidden] = torch.arange(len(level.hidden))
    colours, count = level.colours, len(level.hidden)
    weight, aim = torch.zeros(count), torch.zeros(count, 3)
    pairs: list[Tensor] = []
    for step in (1, -1, level.width, -level.width):
        near = index[level.hidden + step]
        own, other = (near >= 0).nonzero()[:, 0], near[near >= 0]
        seam = (colours[match[own] + step] - colours[match[other]] + colours[match[own]] - colours[match[other] - step]) / 2
        weight[own] += 1
        aim[own] -= _toned(seam)
        pairs.append(torch.stack([own, other]))
        rim = level.known[level.hidden + step].nonzero()[:, 0]
        weight[rim] += 1
        aim[rim] += _toned(colours[level.hidden[rim] + step] - colours[match[rim] + step])
    rows, columns = torch.cat(pairs, 1).numpy()
    joined = sparse.csr_array((np.ones(len(rows), np.float32), (rows, columns)), (count, count))
    return _pictured(level, torch.from_numpy(_solved(joined, (weight + STIFF).numpy()[:, None], aim.numpy())))


def _solved(joined: sparse.csr_array, weight: Floats, aim: Floats) -> Floats:
    """Values (N, 3) with weight * value - joined @ value = aim, by conjugate gradients (Shewchuk, 1994, section B2)."""
    value, rest, before = np.zeros_like(aim), aim, np.ones((1, 3), np.float32)
    way = np.zeros_like(aim)
    for _ in range(TONE_STEPS):
        left = (rest**2 / weight).sum(0, keepdims=True) + 1e-12
        way = rest / weight + left / before * way
        pushed = weight * way - joined @ way
        step = left / ((way * pushed).sum(0, keepdims=True) + 1e-12)
        value, rest, before = value + step * way, rest - step * pushed, left
    return value


def _toned(step: Tensor) -> Tensor:
    """Steps in colour (N, 3) that are evened out: the small ones; a large one is an edge."""
    toned: Tensor = step / (1 + (step.norm(dim=1, keepdim=True) / EDGE) ** 2)
    return toned


def _first_matches(level: _Level, start: Tensor) -> Tensor:
    """The coarser matches, moved to the nearest allowed place. start: offsets (2, h, w)."""
    allowed = level.allowed.reshape(-1, level.width)
    nearest = torch.from_numpy(ndimage.distance_transform_edt((~allowed).numpy(), return_distances=False, return_indices=True))
    y, x = level.hidden // level.width, level.hidden % level.width
    move = start[:, y - REACH, x - REACH].round().long()
    found = nearest[:, (y + move[0]).clamp(0, allowed.shape[0] - 1), (x + move[1]).clamp(0, allowed.shape[1] - 1)]
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
    candidates: list[int] = [jump for far in (3, 1) for jump in (far, -far, far * level.width, -far * level.width)]
    reach = SEARCH
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
    cost = _cost(replace(level, hidden=level.hidden[asked]), colours, own[asked], tried[asked])
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


def _copy(image: Tensor, filled: Tensor, hidden: Tensor, wanted: Tensor, offsets: Tensor, tones: Tensor) -> None:
    """Copy the full-size picture along the offsets (2, h, w) into the wanted part of `filled`, toned by `tones` (3, h, w)."""
    y, x = wanted.nonzero(as_tuple=True)
    copied, weights = _copied(image, hidden, offsets, y, x)
    sure = weights > 0.05
    y, x = y[sure], x[sure]
    tint = F.interpolate(tones[None], size=hidden.shape, mode="bilinear", align_corners=False)[0]
    filled[:, y, x] = (copied[:, sure] + tint[:, y, x]).clamp(0, 1)


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
