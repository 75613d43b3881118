"""Puts a frame together: warped skin over the plate, eyes and mouth on top, the region feathered back into the still."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from generation.engines.mesh import raster, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.eyes import Eye, draw_eye, head_inverse
from generation.engines.mesh.layers import Layers, outline_of
from generation.engines.mesh.mouth import draw_mouth
from generation.engines.mesh.retarget import Pose
from generation.engines.mesh.source import Region, RestFace


@dataclass(frozen=True, slots=True)
class FaceModel:
    """One face of the still, ready to be drawn, on one device."""

    landmarks: Tensor  # (478, 3) still pixels, CPU
    region: Region
    rest: RestFace
    layers: Layers
    paste_weight: Tensor  # (1, H, W) of the region in still pixels


def render(model: FaceModel, pose: Pose, frame: int, config: MeshConfig) -> Tensor:
    """Draw frame `frame` of a pose, (3, H, W) in 0..1, region pixels."""
    rest, layers = model.rest, model.layers
    vertices = pose.vertices[frame]
    canvas = _skin_over_plate(layers, rest, vertices, config)
    size = (canvas.shape[1], canvas.shape[2])
    rotation, shift = pose.rotation[frame], pose.shift[frame]
    for eye in range(2):
        window = raster.window_around(vertices[list(topology.eye_outline(eye)), :2], 0.03 * rest.height, size)
        positions = window.centres(canvas.device)
        source = head_inverse(rotation, shift, rest, layers.eyes[eye].anchor, positions)
        source = source - rest.axes[:2, :2] @ pose.gaze[frame]
        draw_eye(canvas, Eye(eye, layers.eyes[eye], window, float(pose.lids[frame, eye])), rest, vertices, source, config)
    window = raster.window_around(outline_of(vertices, topology.mouth_outline()), 2.0, size)
    source = head_inverse(rotation, shift, rest, layers.mouth.anchor, window.centres(canvas.device))
    draw_mouth(canvas, layers.mouth, rest, vertices, source, pose.jaw[frame], window, config)
    return canvas


def _skin_over_plate(layers: Layers, rest: RestFace, vertices: Tensor, config: MeshConfig) -> Tensor:
    height, width = layers.plate.shape[1:]
    shrink = min(1.0, config.max_raster_px / max(height, width))
    small = (max(2, round(height * shrink)), max(2, round(width * shrink)))
    ratio = torch.tensor([small[1] / width, small[0] / height, shrink], device=vertices.device)
    triangles = topology.mesh_triangles(len(config.ring_scales)).to(vertices.device)
    moved = raster.displacement_map(vertices * ratio, rest.texture * ratio[:2], triangles, small)  # (2, h, w)
    full = F.interpolate(moved[None], size=(height, width), mode="bilinear", align_corners=False)[0] / ratio[:2, None, None]
    positions = raster.Window(0, 0, width, height).centres(vertices.device) + full.permute(1, 2, 0)
    skin = raster.sample(layers.skin, positions, sharp=True)
    canvas = skin[:3] + (1 - skin[3:]) * layers.plate
    return _soften_folds(canvas, moved, vertices * ratio, config)


def _soften_folds(canvas: Tensor, moved: Tensor, vertices: Tensor, config: MeshConfig) -> Tensor:
    """Anti-alias the silhouettes where the mesh folds over itself. canvas: (3, H, W); moved: (2, h, w), vertices: map pixels."""
    jump = torch.zeros_like(moved[:1])
    jump[:, :, 1:] = (moved[:, :, 1:] - moved[:, :, :-1]).abs().amax(0)
    jump[:, 1:] = torch.maximum(jump[:, 1:], (moved[:, 1:] - moved[:, :-1]).abs().amax(0))
    closed = [topology.eye_outline(0), topology.eye_outline(1)]
    if (vertices[topology.INNER_LOWER[4]] - vertices[topology.INNER_UPPER[4]]).norm() < config.seam_gap_px:
        closed.append(topology.mouth_outline())
    for outline in closed:
        window = raster.window_around(vertices[list(outline), :2], 2.0, (moved.shape[1], moved.shape[2]))
        jump[:, window.y0 : window.y1, window.x0 : window.x1] = 0  # lids and lips that meet keep their line
    fold = F.max_pool2d((jump > config.fold_jump).float(), 3, stride=1, padding=1)
    height, width = canvas.shape[1:]
    share = F.interpolate(fold[None], size=(height, width), mode="bilinear", align_corners=False)[0, 0]
    rows, columns = (share > 0).nonzero(as_tuple=True)  # few: only these pixels are touched
    reach = max(1, round(height / moved.shape[1]))
    flat, keep = canvas.flatten(1), share[rows, columns]
    for _ in range(2):
        total = torch.zeros(canvas.shape[0], len(rows), device=canvas.device)
        for step in itertools.product(range(-reach, reach + 1), repeat=2):
            near = (rows + step[0]).clamp(0, height - 1) * width + (columns + step[1]).clamp(0, width - 1)
            total += flat[:, near]
        own = rows * width + columns
        flat[:, own] = torch.lerp(flat[:, own], total / (2 * reach + 1) ** 2, keep)
    return canvas


def paste_weight(region: Region, size: tuple[int, int], config: MeshConfig) -> Tensor:
    """(1, H, W) weight of the region over the still: 1 inside, falling to 0 at edges that are not the still's own."""
    height, width = region.bottom - region.top, region.right - region.left
    band = max(1.0, config.feather * max(height, width))
    y, x = torch.arange(height) + 0.5, torch.arange(width) + 0.5
    far = torch.full((1,), 1e9)
    rows = torch.minimum(y if region.top > 0 else far, height - y if region.bottom < size[0] else far).expand(height)
    columns = torch.minimum(x if region.left > 0 else far, width - x if region.right < size[1] else far).expand(width)
    edge = torch.minimum(rows[:, None], columns[None, :]) / band
    return edge.clamp(0, 1)[None]


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


def paste(canvas: Tensor, picture: Tensor, model: FaceModel) -> None:
    """Blend a drawn region (3, h, w) into the picture (3, H, W) in place."""
    region = model.region
    target = picture[:, region.top : region.bottom, region.left : region.right]
    if canvas.shape[1:] != target.shape[1:]:
        canvas = F.interpolate(canvas[None], size=target.shape[1:], mode="bicubic", align_corners=False)[0]
    target.lerp_(canvas.clamp(0, 1), model.paste_weight.expand_as(target))
