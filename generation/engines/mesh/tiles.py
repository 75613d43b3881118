"""Draws the warped skin over the plate tile by tile: what does not move is left alone, what hides the plate is not blended."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from generation.engines.mesh import pixels, raster
from generation.engines.mesh.fill import grown
from generation.engines.mesh.layers import Layers

TILE_PX = 64  # fewer pixels follow a silhouette closer, more cost fewer calls
RUN_PX = 512  # tiles side by side are drawn in one go; longer rows do not stay in the processor's cache
SUBPIXELS = ((0.0, 0.0), (-0.33, -0.17), (0.17, -0.33), (0.33, 0.17), (-0.17, 0.33))  # from the middle of a pixel
FEW_PIXELS = 5  # in a cell: of a larger face nobody sees the steps of a silhouette
MOST_FOLDS = 8192  # cells; a head has some hundred
MOTION_PX = 0.1  # less is not seen
SOLID = 254  # alpha, of 255, through which a level of the plate shows at most


@dataclass(frozen=True, slots=True)
class Grid:
    """The points of a map over a picture: each in the middle of a cell of `step` x `step` pixels, and one more all around."""

    step: int
    size: tuple[int, int]  # height and width of the picture, in pixels

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of points."""
        return -(-self.size[0] // self.step) + 2, -(-self.size[1] // self.step) + 2

    def centres(self, axis: int) -> Tensor:
        """Where the points of each row (axis 0) or column (1) lie, in pixels from the picture's edge."""
        return (torch.arange(self.shape[axis]) - 0.5) * self.step

    def on_map(self, positions: Tensor) -> Tensor:
        """Positions in pixels from the picture's edge, counted in points."""
        return positions / self.step + 0.5

    def pixels(self, places: Tensor) -> Tensor:
        """Places counted in points, in pixels from the middle of the first pixel."""
        return (places - 0.5) * self.step - 0.5


@dataclass(frozen=True, slots=True)
class Warp:
    """Where each point of a map takes its colour from. All maps are (h, w) of the grid."""

    grid: Grid
    seen: raster.PositionMap
    moved: Tensor  # (2, h, w) how far away that is, in map points
    touched: Tensor  # bool: a person moves visibly here
    solid: Tensor  # bool: nothing of the plate can show here
    fold_jump: float  # a step of `moved` this large is a fold of the mesh

    @property
    def cells(self) -> int:
        """Cells of the map along the side of a tile."""
        return max(1, round(TILE_PX / self.grid.step))

    @property
    def side(self) -> int:
        """Pixels along the side of a tile."""
        return self.cells * self.grid.step

    def in_tiles(self, values: Tensor) -> Tensor:
        """A map (C, h, w) continued to the ends of the last tiles and one point beyond."""
        tiles = (-(-length // self.side) for length in self.grid.size)
        more = [count * self.cells + 2 - length for count, length in zip(tiles, values.shape[1:], strict=True)]
        return F.pad(values[None], (0, more[1], 0, more[0]), mode="replicate")[0]

    def places(self) -> Tensor:
        """(h, w, 2) pixels from the middle of the first that the points of all tiles take their colours from."""
        found = raster.points(self.grid.shape, self.moved.device) + self.moved
        return self.grid.pixels(self.in_tiles(found)).permute(1, 2, 0).contiguous()


@dataclass(frozen=True, slots=True)
class Run:
    """Pixels of neighbouring tiles of one row that are drawn alike."""

    window: raster.Window
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


@dataclass(frozen=True, slots=True)
class _Choice:
    """What of a warp is drawn, and how."""

    needed: Sequence[raster.Window]  # drawn whether it moves or not
    sharp: raster.Window | None  # where cubics are used
    share: Tensor | None  # (H, W) how much of each pixel; None for all

    def is_sharp(self, window: raster.Window) -> bool:
        """Whether cubics are used in some of a window."""
        return self.sharp is not None and self.sharp.meets(window)


def cover(alpha: Tensor, calm: Tensor, step: int) -> Cover:
    """alpha: uint8 (H, W) of the skin, in pixels; calm: (h, w)."""
    grid = Grid(step, (alpha.shape[0], alpha.shape[1]))
    rows, columns = (grid.centres(axis).long().clamp(0, alpha.shape[axis] - 1).to(alpha.device) for axis in range(2))

    def around(mask: Tensor, reach: int) -> Tensor:
        return grown(mask, reach)[rows[:, None], columns] > 0

    return Cover(around(alpha, step), ~around(alpha < SOLID, 2 * step), calm)


def warp(seen: raster.PositionMap, covered: Cover, grid: Grid, fold_jump: float) -> Warp:
    """The warp of a moved mesh drawn on a grid."""
    height, width = grid.shape
    still = raster.points((height, width), covered.calm.device)
    moved = (seen.found - still) * covered.calm
    column, row = (still + moved).round().long()
    from_ = row.clamp_(0, height - 1) * width + column.clamp_(0, width - 1)
    shown = covered.person | covered.person.take(from_)
    touched = (moved.abs().amax(0) > MOTION_PX / grid.step) & shown
    return Warp(grid, seen, moved, touched, covered.solid.take(from_), fold_jump)


def draw_skin(
    target: Tensor,
    layers: Layers,
    moving: Warp,
    needed: Sequence[raster.Window],
    sharp: raster.Window | None,
    share: Tensor | None,
) -> None:
    """Draw into a picture, uint8 (H, W, 3), in place: where a person moves, and in the windows `needed`.

    sharp: where cubics are used. share: (H, W) how much of each pixel may be drawn; None for all.
    """
    draw = _draw_tiles if target.device.type == "cpu" else _draw_at_once
    draw(target, layers, moving, _Choice(needed, sharp, share))
    _draw_folds(target, layers, moving, share)


def _draw_tiles(target: Tensor, layers: Layers, moving: Warp, choice: _Choice) -> None:
    """Run by run: what is drawn and what it is drawn from stay in the processor's cache."""
    step, count, places = moving.grid.step, moving.cells, moving.places().numpy()
    picture, skins, plates = target.numpy(), layers.skin.numpy(), layers.plate.numpy()
    shares = None if choice.share is None else choice.share.numpy()
    for run in _runs(moving, choice.needed):
        here = run.window.rows, run.window.columns
        points = places[run.row * count : (run.row + 1) * count + 2, run.first * count : run.last * count + 2]
        from_ = pixels.spread(points, step)[: run.window.y1 - run.window.y0, : run.window.x1 - run.window.x0]
        skin = pixels.sampled(skins, from_, sharp=choice.is_sharp(run.window))
        pixels.lay(picture[here], skin, None if run.solid else plates[here], None if shares is None else shares[here])


def _draw_at_once(target: Tensor, layers: Layers, moving: Warp, choice: _Choice) -> None:
    """All tiles in one go, as suits a device that pays for every call."""
    (height, width), step = moving.grid.size, moving.grid.step
    points = moving.places().permute(2, 0, 1)[None]
    full = F.interpolate(points, scale_factor=step, mode="bilinear")[0, :, step : step + height, step : step + width]
    skin = raster.sampled(layers.skin, full.permute(1, 2, 0), sharp=choice.sharp is not None)
    drawn = torch.zeros(height, width, device=target.device)
    for run in _runs(moving, choice.needed):
        drawn[run.window.rows, run.window.columns] = 1
    _blend(target, _over(skin, layers.plate), drawn if choice.share is None else drawn * choice.share)


def _over(skin: Tensor, plate: Tensor) -> Tensor:
    """Levels (..., 3) of skin (..., 4), colour times alpha and alpha, over a plate (..., 3)."""
    return skin[..., :3] + (255.0 - skin[..., 3:]) * plate / 255


def _blend(target: Tensor, levels: Tensor, share: Tensor | None) -> None:
    """Draw a share (...) of levels (..., 3) into a picture, uint8, in place."""
    if share is not None:
        levels = torch.lerp(target.float(), levels, share[..., None])
    target.copy_((levels + 0.5).clamp(0, 255))


def _runs(moving: Warp, needed: Sequence[raster.Window]) -> Iterator[Run]:
    """The tiles to draw, neighbours of a kind together."""
    side, longest = moving.side, max(1, RUN_PX // moving.side)
    flags = moving.in_tiles(torch.stack([moving.touched, ~moving.solid]).float())
    touched, see_through = F.max_pool2d(flags[None], moving.cells + 2, stride=moving.cells)[0].bool().tolist()
    for row, column in itertools.chain.from_iterable(_tiles_of(window, side) for window in needed):
        touched[row][column] = True
    height, width = moving.grid.size
    for row in range(len(touched)):
        kinds = list(zip(touched[row], see_through[row], strict=True))
        for (drawn, mixed), group in itertools.groupby(range(len(kinds)), kinds.__getitem__):
            columns = list(group) if drawn else []
            for start in range(0, len(columns), longest):
                first, last = columns[start], columns[min(start + longest, len(columns)) - 1] + 1
                window = raster.Window(first * side, row * side, min(last * side, width), min((row + 1) * side, height))
                yield Run(window, row, first, last, not mixed)


def _tiles_of(window: raster.Window, side: int) -> Iterator[tuple[int, int]]:
    """Row and column of each tile that a window meets."""
    if window.is_empty:
        return iter(())
    rows, columns = range(window.y0 // side, -(-window.y1 // side)), range(window.x0 // side, -(-window.x1 // side))
    return itertools.product(rows, columns)


def _draw_folds(target: Tensor, layers: Layers, moving: Warp, share: Tensor | None) -> None:
    """Give the pixels where the mesh folds over itself their exact colours and anti-alias them, in place."""
    cells = _fold_cells(moving)
    if len(cells) == 0:
        return
    step, (height, width) = moving.grid.step, moving.grid.size
    steps = torch.tensor(list(itertools.product(range(step), repeat=2)), device=target.device) - (step + 1) // 2
    y, x = (cells[:, 1 - axis, None] * step + steps[:, axis] for axis in range(2))  # (cells, pixels of a cell)
    y, x = y.clamp(1, height - 2), x.clamp(1, width - 2)
    parts = torch.tensor(SUBPIXELS if step <= FEW_PIXELS else SUBPIXELS[:1], device=target.device)[:, None] + 0.5
    positions = (torch.stack([x, y], -1)[:, None] + parts).flatten(1, 2)  # (cells, parts times pixels, 2)
    exact = raster.between_points(moving.seen, cells, moving.grid.on_map(positions))
    skin = raster.sampled(layers.skin, moving.grid.pixels(exact)).reshape(len(cells), len(parts), -1, 4).float().mean(1)
    colours = target[y, x]
    _blend(colours, _over(skin, layers.plate[y, x]), None if share is None else share[y, x])
    target[y, x] = colours
    for below, right in ((0, 1), (1, 0)):  # a quarter from each pair of neighbours
        around = target[y - below, x - right].int() + target[y + below, x + right]
        target[y, x] = ((2 * target[y, x].int() + around + 2) // 4).to(torch.uint8)


def _fold_cells(moving: Warp) -> Tensor:
    """Column and row (C, 2) of the points above and to the left of cells near silhouettes, where the map is no guide."""
    across = (moving.moved[:, :, 1:] - moving.moved[:, :, :-1]).abs()
    down = (moving.moved[:, 1:] - moving.moved[:, :-1]).abs()
    across, down = torch.maximum(across[0], across[1]), torch.maximum(down[0], down[1])
    jump = torch.maximum(torch.maximum(across[1:], across[:-1]), torch.maximum(down[:, 1:], down[:, :-1]))  # between 4 points
    touched = moving.touched[:-1] | moving.touched[1:]
    return ((jump > moving.fold_jump) & (touched[:, :-1] | touched[:, 1:])).nonzero()[:MOST_FOLDS].flip(1)
