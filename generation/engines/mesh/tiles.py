"""Draws the warped skin over the plate tile by tile: what does not move is left alone, what hides the plate is not blended."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from generation.engines.mesh import raster
from generation.engines.mesh.fill import grown
from generation.engines.mesh.layers import Layers

TILE_PX = 64  # fewer pixels follow a silhouette closer, more cost fewer calls
RUN_PX = 512  # tiles side by side are drawn in one go; longer rows do not stay in the processor's cache
REACH_PX = 2  # of cubics around a place
MOTION_PX = 0.1  # less is not seen
SOLID = 254  # alpha, of 255, through which a level of the plate shows at most


@dataclass(frozen=True, slots=True)
class Warp:
    """Where each point of a map, `step` pixels apart, takes its colour from. All maps are (h, w)."""

    seen: raster.PositionMap
    moved: Tensor  # (2, h, w) how far away that is, in map points
    touched: Tensor  # bool: a person moves visibly here
    solid: Tensor  # bool: nothing of the plate can show here
    step: int
    size: tuple[int, int]  # height and width of the picture, in pixels
    fold_jump: float  # a step of `moved` this large is a fold of the mesh

    @property
    def cells(self) -> int:
        """Cells of the map along the side of a tile."""
        return max(1, round(TILE_PX / self.step))

    @property
    def side(self) -> int:
        """Pixels along the side of a tile."""
        return self.cells * self.step

    @property
    def tiles(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-self.size[0] // self.side), -(-self.size[1] // self.side)

    def held(self, found: Tensor) -> Tensor:
        """Map points (2, ...) as pixels of the picture, held at its edges."""
        limits = found.new_tensor([self.size[1] - 1, self.size[0] - 1]).reshape(2, *[1] * (found.dim() - 1))
        return torch.minimum((found * self.step).clamp_min(0), limits)

    def in_tiles(self, values: Tensor) -> Tensor:
        """A map (C, h, w) continued to the ends of the last tiles."""
        more = [count * self.cells + 1 - length for count, length in zip(self.tiles, values.shape[1:], strict=True)]
        return F.pad(values[None], (0, more[1], 0, more[0]), mode="replicate")[0]


@dataclass(frozen=True, slots=True)
class Run:
    """Pixels of neighbouring tiles of one row that are drawn alike, and the pixels that they are drawn from."""

    window: raster.Window
    source: raster.Window
    row: int  # of tiles
    first: int  # column of tiles
    last: int
    solid: bool


@dataclass(frozen=True, slots=True)
class Cover:
    """What covers the plate around each point of a map (h, w) at rest, and how far the points may move."""

    person: Tensor  # bool: some of a person
    solid: Tensor  # bool: nothing but a person
    calm: Tensor  # share of the motion that is taken: none at the region's edges


def cover(alpha: Tensor, calm: Tensor, step: int) -> Cover:
    """alpha: uint8 (H, W) of the skin, in pixels; calm: (h, w)."""
    height, width = calm.shape

    def around(mask: Tensor, reach: int) -> Tensor:
        held = F.pad(grown(mask, reach)[None, None], (0, step, 0, step), mode="replicate")
        return held[0, 0, ::step, ::step][:height, :width].contiguous() > 0

    return Cover(around(alpha, step), ~around(alpha < SOLID, 2 * step), calm)


def warp(seen: raster.PositionMap, covered: Cover, step: int, size: tuple[int, int], fold_jump: float) -> Warp:
    """The warp of a moved mesh whose points lie `step` pixels apart, for a picture of (height, width)."""
    height, width = covered.calm.shape
    still = raster.points((height, width), covered.calm.device)
    moved = (seen.found - still) * covered.calm
    column, row = (still + moved).round().long()
    from_ = row.clamp_(0, height - 1) * width + column.clamp_(0, width - 1)
    shown = covered.person | covered.person.take(from_)
    touched = (moved.abs().amax(0) > MOTION_PX / step) & shown
    return Warp(seen, moved, touched, covered.solid.take(from_), step, size, fold_jump)


def draw_skin(
    target: Tensor,
    layers: Layers,
    moving: Warp,
    needed: Sequence[raster.Window],
    sharp: raster.Window | None,
    share: Tensor | None,
) -> None:
    """Draw into a picture, uint8 (H, W, 3), in place: where a person moves, and in the windows `needed`.

    sharp: where cubics are used. share: (1, H, W) how much of each pixel may be drawn; None for all.
    """
    count = moving.cells
    found = raster.points((moving.moved.shape[1], moving.moved.shape[2]), target.device) + moving.moved
    pixels = moving.in_tiles(moving.held(found))
    weights = _weights(moving)
    for run in _runs(moving, pixels, needed):
        cells = pixels[:, run.row * count : (run.row + 1) * count + 1, run.first * count : run.last * count + 1]
        grid = _spread(_on(run.source, cells), weights, moving.step)[
            :, : run.window.y1 - run.window.y0, : run.window.x1 - run.window.x0
        ]
        # A small block of floats stays in the processor's cache, all of the skin would not.
        texture = layers.skin[: 3 if run.solid else 4, run.source.rows, run.source.columns].float()
        cubic = sharp is not None and sharp.meets(run.window)
        skin = raster.sample_grid(texture, grid, sharp=cubic)
        plate = None if run.solid else layers.plate[:, run.window.rows, run.window.columns]
        put(target, _levels(skin, plate), run.window, share)
    _draw_folds(target, layers, moving, share)


def _levels(skin: Tensor, plate: Tensor | None) -> Tensor:
    """Colours 0..255 of skin (4, ...) over the plate (3, ...), or of skin alone."""
    if plate is None:
        return skin[:3]
    return torch.addcmul(skin[:3], 255 - skin[3:], plate, value=1 / 255)


def _on(source: raster.Window, pixels: Tensor) -> Tensor:
    """Pixels (2, ...) as -1 .. 1 over a window."""
    x = (pixels[0] + (0.5 - source.x0)) * (2 / (source.x1 - source.x0)) - 1
    y = (pixels[1] + (0.5 - source.y0)) * (2 / (source.y1 - source.y0)) - 1
    return torch.stack([x, y])


def put(target: Tensor, levels: Tensor, window: raster.Window, share: Tensor | None) -> None:
    """Write levels (3, h, w), 0 .. 255, which are used up, into a window of a uint8 picture. share: as in `draw_skin`."""
    part = target[window.rows, window.columns]
    if share is not None:
        levels = torch.lerp(part.permute(2, 0, 1).float(), levels, share[:, window.rows, window.columns])
    part.copy_(torch.stack(_rounded(levels).unbind(0), -1))


def _rounded(levels: Tensor) -> Tensor:
    """uint8; the levels are used up."""
    return levels.add_(0.5).clamp_(0, 255).to(torch.uint8)


def _spread(cells: Tensor, weights: Tensor, step: int) -> Tensor:
    """A map (2, h + 1, w + 1) brought to the pixels of its cells by straight lines: (2, h step, w step)."""
    count = weights.shape[0] - 1
    tiles = cells.unfold(2, count + 1, count)  # (2, h + 1, tiles, cells of a tile + 1)
    across = (tiles.reshape(-1, count + 1) @ weights).reshape(2, cells.shape[1], -1)
    within = weights[1, :step, None]  # 0 .. 1 through a cell
    return torch.addcmul(across[:, :-1, None], across.diff(dim=1)[:, :, None], within).flatten(1, 2)


def _weights(moving: Warp) -> Tensor:
    """(cells + 1, side): by which a row of map points makes the pixels of a tile."""
    device = moving.moved.device
    pixels = torch.arange(moving.side, device=device, dtype=torch.float32) / moving.step
    return (1 - (pixels - torch.arange(moving.cells + 1, device=device)[:, None]).abs()).clamp_min(0)


def _runs(moving: Warp, pixels: Tensor, needed: Sequence[raster.Window]) -> Iterator[Run]:
    """The tiles to draw, neighbours of a kind together. pixels: (2, h, w) where the points of the tiles come from."""
    side, longest = moving.side, max(1, RUN_PX // moving.side)
    flags = moving.in_tiles(torch.stack([moving.touched, ~moving.solid]).float())
    most = F.max_pool2d(torch.cat([flags, pixels, -pixels])[None], moving.cells + 1, stride=moving.cells)[0]
    touched, see_through = most[:2].bool().tolist()
    bounds = most[2:].permute(1, 2, 0).tolist()
    for row, column in itertools.chain.from_iterable(_tiles_of(window, side) for window in needed):
        touched[row][column] = True
    for row in range(len(touched)):
        kinds = list(zip(touched[row], see_through[row], strict=True))
        for (drawn, mixed), group in itertools.groupby(range(len(kinds)), kinds.__getitem__):
            columns = list(group) if drawn else []
            for start in range(0, len(columns), longest):
                first, last = columns[start], columns[min(start + longest, len(columns)) - 1] + 1
                y1, x1 = min((row + 1) * side, moving.size[0]), min(last * side, moving.size[1])
                source = _source(bounds[row][first:last], moving.size)
                yield Run(raster.Window(first * side, row * side, x1, y1), source, row, first, last, not mixed)


def _tiles_of(window: raster.Window, side: int) -> Iterator[tuple[int, int]]:
    """Row and column of each tile that a window meets."""
    if window.is_empty:
        return iter(())
    rows, columns = range(window.y0 // side, -(-window.y1 // side)), range(window.x0 // side, -(-window.x1 // side))
    return itertools.product(rows, columns)


def _source(bounds: Sequence[Sequence[float]], size: tuple[int, int]) -> raster.Window:
    """The pixels that interpolation between places needs; bounds: for each tile largest x, y and largest -x, -y."""
    x1, y1, x0, y0 = (max(values) for values in zip(*bounds, strict=True))
    low = max(0, int(-x0) - REACH_PX), max(0, int(-y0) - REACH_PX)
    return raster.Window(*low, min(size[1], int(x1) + 2 + REACH_PX), min(size[0], int(y1) + 2 + REACH_PX))


def _draw_folds(target: Tensor, layers: Layers, moving: Warp, share: Tensor | None) -> None:
    """Give the pixels where the mesh folds over itself their exact colours and anti-alias them, in place."""
    y, x = _fold_pixels(moving)
    if len(y) == 0:
        return
    step = moving.step
    exact = raster.between_points(moving.seen, y // step, x // step, x / step, y / step)
    levels = _levels(_sampled(layers.skin, moving.held(exact)), layers.plate[:, y, x])
    if share is not None:
        levels = torch.lerp(target[y, x].T.float(), levels, share[:, y, x])
    target[y, x] = _rounded(levels).T
    for down, right in ((0, 1), (1, 0)):  # a quarter from each pair of neighbours
        around = target[y - down, x - right].float() + target[y + down, x + right]
        target[y, x] = _rounded((2 * target[y, x].float() + around) / 4)


def _sampled(image: Tensor, pixels: Tensor) -> Tensor:
    """Colours (C, P) of a uint8 picture (C, H, W) at places x, y (2, P) inside it, by straight lines."""
    x, y = pixels.long()
    right, below = (x + 1).clamp_max(image.shape[2] - 1), (y + 1).clamp_max(image.shape[1] - 1)
    across, down = pixels - torch.stack([x, y])
    upper = torch.lerp(image[:, y, x].float(), image[:, y, right].float(), across)
    lower = torch.lerp(image[:, below, x].float(), image[:, below, right].float(), across)
    return torch.lerp(upper, lower, down)


def _fold_pixels(moving: Warp) -> tuple[Tensor, Tensor]:
    """Rows and columns (P,) of the pixels near silhouettes, where the map is no guide."""
    moved, step = moving.moved, moving.step
    across = (moved[:, :, 1:] - moved[:, :, :-1]).abs().amax(0)
    down = (moved[:, 1:] - moved[:, :-1]).abs().amax(0)
    jump = torch.maximum(torch.maximum(across[1:], across[:-1]), torch.maximum(down[:, 1:], down[:, :-1]))  # of each cell
    rows, columns = ((jump > moving.fold_jump) & moving.touched[:-1, :-1]).nonzero(as_tuple=True)  # few
    steps = torch.tensor(list(itertools.product(range(step), repeat=2)), device=moved.device)
    y, x = (rows[:, None] * step + steps[:, 0]).flatten(), (columns[:, None] * step + steps[:, 1]).flatten()
    inside = (x > 0) & (x < moving.size[1] - 1) & (y > 0) & (y < moving.size[0] - 1)
    return y[inside], x[inside]
