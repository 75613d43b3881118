"""Puts a frame together: warped skin over the plate, eyes and mouth on top, drawn only where something moves."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from generation.engines.mesh import geometry, raster, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.eyes import Eye, draw_eye, head_inverse
from generation.engines.mesh.fill import grown
from generation.engines.mesh.layers import Layers, outline_of
from generation.engines.mesh.mouth import draw_mouth
from generation.engines.mesh.retarget import Pose
from generation.engines.mesh.source import Region, RestFace

MOTION_PX = 0.1  # less is not seen
BAND_PIXELS = 1 << 17


@dataclass(frozen=True, slots=True)
class FaceModel:
    """One face of the still, ready to be drawn, on one device."""

    landmarks: Tensor  # (478, 3) still pixels, CPU
    region: Region
    rest: RestFace
    layers: Layers
    person: Tensor  # (h, w) share of a person around each point of the map
    triangles: Tensor  # (M, 3)
    calm: Tensor  # (h, w) share of the motion that each point of the map takes: none at the region's edges
    share: Tensor | None  # (1, H, W) how much of each pixel this face may draw; None where it is alone
    draws_eyes: bool = True
    draws_mouth: bool = True


def map_step(rest: RestFace, config: MeshConfig) -> int:
    """Pixels from one point of the position map to the next."""
    return max(1, round(rest.height / config.map_face_points))


def person_map(alpha: Tensor, step: int) -> Tensor:
    """Largest alpha (H, W) around each point of the map: (h, w)."""
    height, width = ((side - 2) // step + 2 for side in alpha.shape)
    held = F.pad(grown(alpha, step)[None, None], (0, step, 0, step), mode="replicate")
    return held[0, 0, ::step, ::step][:height, :width].contiguous()


def render(model: FaceModel, pose: Pose, frame: int, canvas: Tensor, config: MeshConfig) -> raster.Window:
    """Draw frame `frame` of a pose onto the canvas (3, H, W) of the region, in 0..1; only the window returned is drawn."""
    rest, layers = model.rest, model.layers
    vertices, rotation, shift = pose.vertices[frame], pose.rotation[frame], pose.shift[frame]
    size = (canvas.shape[1], canvas.shape[2])
    eyes = [raster.window_around(vertices[list(topology.eye_outline(e)), :2], 0.03 * rest.height, size) for e in range(2)]
    mouth = raster.window_around(outline_of(vertices, topology.mouth_outline()), 2.0, size)
    window = _draw_skin(canvas, model, vertices, eyes[0].joined(eyes[1]).joined(mouth), config)
    for eye, place in enumerate(eyes):
        if place.is_empty or not model.draws_eyes:
            continue
        source = head_inverse(rotation, shift, rest, layers.eyes[eye].anchor, place.centres(canvas.device))
        source = source - rest.axes[:2, :2] @ pose.gaze[frame]
        drawn = Eye(eye, layers.eyes[eye], place, float(pose.lids[frame, eye]))
        draw_eye(canvas, drawn, rest, vertices, source, config)
    if model.draws_mouth and not mouth.is_empty:
        source = head_inverse(rotation, shift, rest, layers.mouth.anchor, mouth.centres(canvas.device))
        draw_mouth(canvas, layers.mouth, rest, vertices, source, mouth, config)
    return window


def _draw_skin(canvas: Tensor, model: FaceModel, vertices: Tensor, inner: raster.Window, config: MeshConfig) -> raster.Window:
    """Draw the warped person over the plate wherever something moves, and in the window `inner`. Returns what was drawn."""
    layers, step = model.layers, map_step(model.rest, config)
    size = (canvas.shape[1], canvas.shape[2])
    on_map = (vertices - vertices.new_tensor([0.5, 0.5, 0.0])) / step  # points of the map lie on pixel centres
    texture = (model.rest.texture - 0.5) / step
    seen = raster.position_map(on_map, texture, model.triangles, (model.person.shape[0], model.person.shape[1]))
    still = raster.points((seen.found.shape[1], seen.found.shape[2]), canvas.device)
    moved = (seen.found - still) * model.calm
    window = _moving_window(moved, still + moved, model.person, inner, step, size)
    grid = _sampling_grid(still + moved, window, step, size)
    folds = _fold_pixels(moved, window, step, config)
    _redraw(grid, seen, folds, window, step, size)
    _blend(canvas, layers, grid, window, window, sharp=False)
    if model.rest.height < config.sharp_face_px:
        _blend(canvas, layers, grid, window, _head_window(vertices, window, config), sharp=True)
    _soften(canvas, folds)
    return window


def _moving_window(
    moved: Tensor, found: Tensor, person: Tensor, inner: raster.Window, step: int, size: tuple[int, int]
) -> raster.Window:
    """Where the person moves visibly, joined with `inner`; begins on a point of the map. moved, found: (2, h, w)."""
    column, row = found.round().long()
    shown = person[row.clamp(0, person.shape[0] - 1), column.clamp(0, person.shape[1] - 1)] + person
    touched = (moved.abs().amax(0) > MOTION_PX / step) & (shown > 0)
    rows, columns = (touched.any(axis).nonzero()[:, 0] for axis in (1, 0))
    window = inner
    if len(rows):
        top, bottom, left, right = torch.stack([rows[0], rows[-1], columns[0], columns[-1]]).tolist()
        window = window.joined(
            raster.Window((left - 1) * step, (top - 1) * step, (right + 1) * step + 1, (bottom + 1) * step + 1)
        )
    x0, y0 = max(0, window.x0 // step * step), max(0, window.y0 // step * step)
    return raster.Window(x0, y0, min(window.x1, size[1]), min(window.y1, size[0]))


def _sampling_grid(found: Tensor, window: raster.Window, step: int, size: tuple[int, int]) -> Tensor:
    """The map (2, h, w) brought to the pixels of a window: (2, rows, columns), -1 .. 1 over the region, held at its edges."""
    limits = found.new_tensor([size[1], size[0]])[:, None, None]
    rows = slice(window.y0 // step, -(-(window.y1 - 1) // step) + 1)
    columns = slice(window.x0 // step, -(-(window.x1 - 1) // step) + 1)
    pixels = torch.minimum((found[:, rows, columns] * step).clamp_min(0), limits - 1)
    grid = (pixels + 0.5) / limits * 2 - 1
    full = ((grid.shape[1] - 1) * step + 1, (grid.shape[2] - 1) * step + 1)
    grown = F.interpolate(grid[None], size=full, mode="bilinear", align_corners=True)[0]
    return grown[:, : window.y1 - window.y0, : window.x1 - window.x0]


def _head_window(vertices: Tensor, window: raster.Window, config: MeshConfig) -> raster.Window:
    """The part of a window where face and hair lie, which is seen sharpest."""
    rings = sum(scale <= config.sharp_scale for scale in config.ring_scales)
    around = raster.window_around(vertices[: topology.FACE_POINTS + rings * len(topology.OVAL), :2], 1.0, (window.y1, window.x1))
    x0, y0 = max(around.x0, window.x0), max(around.y0, window.y0)
    return raster.Window(x0, y0, max(x0, around.x1), max(y0, around.y1))


def _blend(canvas: Tensor, layers: Layers, grid: Tensor, drawn: raster.Window, part: raster.Window, *, sharp: bool) -> None:
    """Draw the skin over the plate in `part` of the window that the grid (2, h, w) covers."""
    for band in part.bands(BAND_PIXELS):
        rows, columns = slice(band.y0 - drawn.y0, band.y1 - drawn.y0), slice(band.x0 - drawn.x0, band.x1 - drawn.x0)
        skin = raster.sample_grid(layers.skin, grid[:, rows, columns], sharp=sharp)
        plate = layers.plate[:, band.rows, band.columns]
        torch.addcmul(skin[:3], 1 - skin[3:], plate, out=canvas[:, band.rows, band.columns])


def _fold_pixels(moved: Tensor, window: raster.Window, step: int, config: MeshConfig) -> tuple[Tensor, Tensor]:
    """Rows and columns (P,) of the pixels near silhouettes, where the mesh folds over itself and the map is no guide."""
    across = (moved[:, :, 1:] - moved[:, :, :-1]).abs().amax(0)
    down = (moved[:, 1:] - moved[:, :-1]).abs().amax(0)
    jump = torch.maximum(torch.maximum(across[1:], across[:-1]), torch.maximum(down[:, 1:], down[:, :-1]))  # of each cell
    rows, columns = (jump > config.fold_jump).nonzero(as_tuple=True)  # few
    steps = torch.tensor(list(itertools.product(range(step), repeat=2)), device=moved.device)
    y, x = (rows[:, None] * step + steps[:, 0]).flatten(), (columns[:, None] * step + steps[:, 1]).flatten()
    drawn = (x > window.x0) & (x < window.x1 - 1) & (y > window.y0) & (y < window.y1 - 1)
    return y[drawn], x[drawn]


def _redraw(
    grid: Tensor, seen: raster.PositionMap, folds: tuple[Tensor, Tensor], window: raster.Window, step: int, size: tuple[int, int]
) -> None:
    """Give the pixels at folds their exact positions, in place."""
    y, x = folds
    if len(y):
        exact = raster.between_points(seen, y // step, x // step, x / step, y / step)
        limits = exact.new_tensor([size[1], size[0]])[:, None]
        pixels = torch.minimum((exact * step).clamp_min(0), limits - 1)
        grid[:, y - window.y0, x - window.x0] = (pixels + 0.5) / limits * 2 - 1


def _soften(canvas: Tensor, folds: tuple[Tensor, Tensor]) -> None:
    """Anti-alias silhouettes, in place: the pixels at folds take a quarter from each pair of neighbours."""
    y, x = folds
    if len(y):
        width = canvas.shape[2]
        flat, own = canvas.view(canvas.shape[0], -1), y * width + x
        for aside in (1, width):
            flat[:, own] = (2 * flat[:, own] + flat[:, own - aside] + flat[:, own + aside]) / 4


def calm_map(region: Region, size: tuple[int, int], rest: RestFace, config: MeshConfig) -> Tensor:
    """(h, w) of the map: 1 inside, falling to 0 at the region's edges that are not the still's own. size: the still's (H, W)."""
    step = map_step(rest, config)
    height, width = region.size
    band = max(1.0, config.feather * max(height, width))
    y = torch.arange((height - 2) // step + 2) * step + 0.5
    x = torch.arange((width - 2) // step + 2) * step + 0.5
    far = torch.full((1,), 1e9)
    rows = torch.minimum(y if region.top > 0 else far, height - y if region.bottom < size[0] else far).expand(len(y))
    columns = torch.minimum(x if region.left > 0 else far, width - x if region.right < size[1] else far).expand(len(x))
    return geometry.smoothstep(torch.minimum(rows[:, None], columns[None, :]) / band, 0.0, 1.0)


def territory(region: Region, own: Tensor, others: Sequence[Tensor], config: MeshConfig) -> Tensor:
    """(1, H, W) share of each pixel of a region that belongs to a face rather than to its neighbours. Landmarks: (478, 3) px."""
    share = torch.ones(1, region.bottom - region.top, region.right - region.left)
    window = raster.Window(region.left, region.top, region.right, region.bottom)
    positions = window.centres(torch.device("cpu"))
    for other in others:
        nearer = _face_distance(other, positions) - _face_distance(own, positions)
        share = share * (nearer / config.territory_blend + 0.5).clamp(0, 1)
    return share


def _face_distance(landmarks: Tensor, positions: Tensor) -> Tensor:
    """Distance (h, w) to the middle of a face, in its heights."""
    height = (landmarks[topology.CHIN] - landmarks[topology.FOREHEAD]).norm()
    offset = positions - landmarks[: topology.FACE_POINTS, :2].mean(0)
    distance: Tensor = offset.norm(dim=-1) / height
    return distance


def paste(canvas: Tensor, window: raster.Window, frame: Tensor, model: FaceModel) -> None:
    """Blend the drawn window of a canvas (3, H, W) in 0..1 into a frame, uint8 (H, W, 3), in place."""
    left, top = model.region.left, model.region.top
    for band in window.bands(BAND_PIXELS):
        target = frame[top + band.y0 : top + band.y1, left + band.x0 : left + band.x1]
        drawn = canvas[:, band.rows, band.columns].mul(255).clamp_(0, 255)
        if model.share is not None:
            drawn = torch.lerp(target.permute(2, 0, 1).float(), drawn, model.share[:, band.rows, band.columns])
        target.copy_(drawn.add_(0.5).permute(1, 2, 0))
