"""The eye layer: eyeballs moved rigidly with the head, shifted by the gaze, cut by the moving lids."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from generation.engines.mesh import raster, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.layers import EyeTexture, outline_of
from generation.engines.mesh.source import RestFace

WIDE = 0.12  # of the still's aperture: opened further than this, eyes show none of the still's own lid shade


@dataclass(frozen=True, slots=True)
class Eye:
    """One eye in one frame: which, its texture, the window it is drawn in, and its lid's aperture over the still's."""

    index: int
    texture: EyeTexture
    window: raster.Window
    lid: float


def head_inverse(rotation: Tensor, shift: Tensor, rest: RestFace, anchor: Tensor, positions: Tensor) -> Tensor:
    """Rest positions (h, w, 2) of picture positions, on the plane through `anchor` (3,) that is parallel to the face.

    rotation: (3, 3) with scale, shift: (3,): the head motion.
    """
    normal = rest.axes[:, 2]
    slope = -normal[:2] / normal[2].clamp(min=0.35)  # depth gained per pixel along the plane
    plane = rotation[:2, :2] + rotation[:2, 2:] * slope
    moved = (rotation @ (anchor - rest.centre) + rest.centre + shift)[:2]
    source: Tensor = (positions - moved) @ torch.linalg.inv(plane).T + anchor[:2]
    return source


def draw_eye(canvas: Tensor, eye: Eye, rest: RestFace, vertices: Tensor, source: Tensor, config: MeshConfig) -> None:
    """Draw one eye onto the canvas (3, H, W) in place. source: (h, w, 2) rest positions of the window's pixels, gaze included."""
    outline = outline_of(vertices, topology.eye_outline(eye.index))
    positions = eye.window.centres(canvas.device)
    corner = torch.tensor([eye.texture.window.x0, eye.texture.window.y0], dtype=torch.float32, device=canvas.device)
    opened = max(0.0, min(1.0, (eye.lid - 1) / WIDE))
    image = eye.texture.image if opened == 0 else torch.lerp(eye.texture.image, eye.texture.wide, opened)
    ball = raster.sample(image, source - corner, sharp=True)
    if opened > 0:  # the lid shades what it uncovers
        ball = ball * (1 - 0.4 * opened * torch.exp(-_margin_distance(vertices, eye.index, positions) / rest.height / 0.014))
    closing = max(0.0, min(1.0, 1 - eye.lid))
    target = canvas[:, eye.window.y0 : eye.window.y1, eye.window.x0 : eye.window.x1]
    if closing > 0:
        distance = _margin_distance(vertices, eye.index, positions) / rest.height
        # The still's own shadow stays where the lid was, and its lashes are thin when the lid is stretched.
        ball = ball * (1 - 0.35 * closing * torch.exp(-distance / 0.018))
        lashes = config.lash_strength * max(0.0, 2 * closing - 1)
        target *= 1 - lashes * torch.exp(-((distance / 0.009) ** 2))
    target.lerp_(ball, raster.coverage(outline, positions))


def _margin_distance(vertices: Tensor, eye: int, positions: Tensor) -> Tensor:
    """Distance (h, w) of positions (h, w, 2) to the margin of the upper lid."""
    outer, inner = topology.EYE_CORNERS[eye]
    points = [outer, *topology.UPPER_LIDS[eye], inner]
    margin = raster.spline(vertices[points, :2], steps=4)
    return torch.cdist(positions.reshape(-1, 2), margin).amin(1).reshape(positions.shape[:2])
