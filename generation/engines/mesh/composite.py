"""Puts a frame together: warped skin over the plate, eyes and mouth on top, drawn only where something moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from generation.engines.mesh import geometry, raster, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.eyes import Eye, draw_eye, head_inverse, reach_px
from generation.engines.mesh.layers import Layers, outline_of
from generation.engines.mesh.mouth import draw_mouth
from generation.engines.mesh.retarget import Pose
from generation.engines.mesh.source import Region, RestFace
from generation.engines.mesh.tiles import Cover, Grid, Warp, draw_skin, warp

INTO_VIEW = (0.03, 0.15)  # sine of a turn that begins to show the far cheek, and that shows it


@dataclass(frozen=True, slots=True)
class FaceModel:
    """One face of the still, ready to be drawn, on one device."""

    landmarks: Tensor  # (478, 3) still pixels, CPU
    region: Region
    rest: RestFace
    layers: Layers
    triangles: Tensor  # (M, 3)
    cover: Cover
    share: Tensor | None  # (H, W) how much of each pixel this face may draw; None where it is alone
    draws_eyes: bool = True
    draws_mouth: bool = True


def map_step(rest: RestFace, config: MeshConfig) -> int:
    """Pixels from one point of the position map to the next."""
    return max(1, round(rest.height / config.map_face_points))


def render(model: FaceModel, pose: Pose, index: int, canvas: Tensor, frame: Tensor, config: MeshConfig) -> None:
    """Draw frame `index` of a pose into a frame, uint8 (H, W, 3), in place. canvas: float (3, h, w) of the region, scratch."""
    rest, layers, region = model.rest, model.layers, model.region
    vertices, rotation, shift = pose.vertices[index], pose.rotation[index], pose.shift[index]
    target = frame[region.top : region.bottom, region.left : region.right]
    lids = pose.lids[index].tolist()
    reach = [reach_px(lid, rest) for lid in lids]
    eyes = [raster.window_around(vertices[list(topology.eye_outline(e)), :2], reach[e], region.size) for e in range(2)]
    mouth = raster.window_around(outline_of(vertices, topology.mouth_outline()), 2.0, region.size)
    head = _head_window(vertices, region.size, config) if rest.height < config.sharp_face_px else None
    draw_skin(target, layers, _warp(model, vertices, rotation, config), [*eyes, mouth], head, model.share)
    for eye, place in enumerate(eyes):
        if place.is_empty or not model.draws_eyes:
            continue
        source = head_inverse(rotation, shift, rest, layers.eyes[eye].anchor, place.centres(canvas.device))
        gaze = rest.axes[:2, :2] @ pose.gaze[index]
        with _laid_over(target, canvas, place, model.share):
            draw_eye(canvas, Eye(eye, layers.eyes[eye], place, lids[eye], gaze), rest, vertices, source, config)
    if model.draws_mouth and not mouth.is_empty:
        source = head_inverse(rotation, shift, rest, layers.mouth.anchor, mouth.centres(canvas.device))
        with _laid_over(target, canvas, mouth, model.share):
            draw_mouth(canvas, layers.mouth, rest, vertices, source, mouth, config)


@contextmanager
def _laid_over(target: Tensor, canvas: Tensor, place: raster.Window, share: Tensor | None) -> Iterator[None]:
    """What is drawn in a place of the canvas, in 0..1, is drawn over what the target shows there."""
    canvas[:, place.rows, place.columns] = target[place.rows, place.columns].permute(2, 0, 1) / 255
    yield
    drawn = canvas[:, place.rows, place.columns] * 255
    part = target[place.rows, place.columns]
    if share is not None:
        drawn = torch.lerp(part.permute(2, 0, 1).float(), drawn, share[place.rows, place.columns])
    part.copy_(drawn.add_(0.5).clamp_(0, 255).permute(1, 2, 0))


def _warp(model: FaceModel, vertices: Tensor, rotation: Tensor, config: MeshConfig) -> Warp:
    """How the moved mesh draws the region."""
    grid = Grid(map_step(model.rest, config), model.region.size)
    on_map = torch.cat([grid.on_map(vertices[:, :2]), vertices[:, 2:] / grid.step], 1)
    seen = raster.position_map(on_map, grid.on_map(_texture(model, rotation)), model.triangles, grid.shape)
    return warp(seen, model.cover, grid, config.fold_jump)


def _texture(model: FaceModel, rotation: Tensor) -> Tensor:
    """(V, 2) where each vertex takes its colour. rotation: (3, 3) with scale."""
    rest, turned = model.rest, model.layers.turned
    if turned is None:
        return rest.texture
    inward = rest.axes[:, 2]
    now = rotation @ inward
    towards = (inward[0] - now[0] / now.norm()) * inward[0].sign()
    return torch.lerp(rest.texture, turned, geometry.smoothstep(towards, *INTO_VIEW))


def _head_window(vertices: Tensor, size: tuple[int, int], config: MeshConfig) -> raster.Window:
    """Where face and hair lie, which are seen sharpest."""
    rings = sum(scale <= config.sharp_scale for scale in config.ring_scales)
    return raster.window_around(vertices[: topology.FACE_POINTS + rings * len(topology.OVAL), :2], 1.0, size)


def calm_map(region: Region, size: tuple[int, int], rest: RestFace, config: MeshConfig) -> Tensor:
    """(h, w) of the map: 1 inside, falling to 0 at the region's edges that are not the still's own. size: the still's (H, W)."""
    height, width = region.size
    band = max(1.0, config.feather * max(height, width))
    grid = Grid(map_step(rest, config), region.size)
    y, x = grid.centres(0), grid.centres(1)
    far = torch.full((1,), 1e9)
    rows = torch.minimum(y if region.top > 0 else far, height - y if region.bottom < size[0] else far).expand(len(y))
    columns = torch.minimum(x if region.left > 0 else far, width - x if region.right < size[1] else far).expand(len(x))
    return geometry.smoothstep(torch.minimum(rows[:, None], columns[None, :]) / band, 0.0, 1.0)


def territory(region: Region, own: Tensor, others: Sequence[Tensor], config: MeshConfig) -> Tensor:
    """(H, W) share of each pixel of a region that belongs to a face rather than to its neighbours. Landmarks: (478, 3) px."""
    share = torch.ones(region.size)
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
