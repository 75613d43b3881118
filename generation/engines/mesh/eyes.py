"""The eye layer: eyeballs moved rigidly with the head, shifted by the gaze, cut by the moving lids."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from generation.engines.mesh import geometry, raster, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.eyeball import MOST_SHADE, EyeTexture
from generation.engines.mesh.layers import outline_of
from generation.engines.mesh.source import RestFace

COVERED = (0.5, 0.9)  # share of a blink in which skin covers what lids do not reach
LASHES_FROM = 0.5  # share of a blink
TURNED = 0.02  # face heights that a ball moves until another part of it lies under the shade of the lids
UNDER_LID = 0.018  # face heights that a lid's own shade reaches
LID_DIMS = (0.34, 0.42, 0.48)  # of red, green and blue: it is warm, as skin throws it
WIDE = 0.12  # of the still's aperture: opened further than this, eyes show none of the still's own lid shade


@dataclass(frozen=True, slots=True)
class Eye:
    """One eye in one frame: which, its texture, the window it is drawn in, and its lid's aperture over the still's."""

    index: int
    texture: EyeTexture
    window: raster.Window
    lid: float
    gaze: Tensor  # (2,) shift of the ball in pixels of the still


def head_inverse(rotation: Tensor, shift: Tensor, rest: RestFace, anchor: Tensor, positions: Tensor) -> Tensor:
    """Rest positions (h, w, 2) of picture positions, on the plane through `anchor` (3,) that is parallel to the face.

    positions: (h, w, 2) an even grid. rotation: (3, 3) with scale, shift: (3,): the head motion.
    """
    normal = rest.axes[:, 2]
    slope = -normal[:2] / normal[2].clamp(min=0.35)  # depth gained per pixel along the plane
    plane = rotation[:2, :2] + rotation[:2, 2:] * slope
    moved = (rotation @ (anchor - rest.centre) + rest.centre + shift)[:2]
    across, down = torch.linalg.inv(plane).T
    x, y = positions[0, :, :1] - moved[0], positions[:, :1, 1:] - moved[1]
    source: Tensor = (x * across + anchor[:2]) + y * down
    return source


def reach_px(lid: float, rest: RestFace) -> float:
    """How far beyond the tracked margins an eye with this aperture over the still's is drawn."""
    return max(2.0, (0.05 if 1 - lid > min(LASHES_FROM, COVERED[0]) else 0.01) * rest.height)


def draw_eye(canvas: Tensor, eye: Eye, rest: RestFace, vertices: Tensor, source: Tensor, config: MeshConfig) -> None:
    """Draw one eye onto the canvas (3, H, W) in place. source: (h, w, 2) rest positions of the window's pixels."""
    outline = outline_of(vertices, topology.eye_outline(eye.index))
    positions = eye.window.centres(canvas.device)
    corner = torch.tensor([eye.texture.window.x0, eye.texture.window.y0], dtype=torch.float32, device=canvas.device)
    opened = max(0.0, min(1.0, (eye.lid - 1) / WIDE))
    shade = _lid_shade(eye, source - corner, opened, rest)
    ball = raster.sample(eye.texture.ball, source - eye.gaze - corner, sharp=True) * shade
    if opened > 0:  # the lid shades what it uncovers
        near = torch.exp(-_margin_distance(vertices, eye.index, positions) / rest.height / UNDER_LID)
        ball = ball * (1 - opened * near * ball.new_tensor(LID_DIMS)[:, None, None])
    closing = max(0.0, min(1.0, 1 - eye.lid))
    target = canvas[:, eye.window.y0 : eye.window.y1, eye.window.x0 : eye.window.x1]
    if closing > 0:
        distance = _margin_distance(vertices, eye.index, positions) / rest.height
        _cover_below(target, eye, source - corner, closing)
        # The still's own shadow stays where the lid was, and its lashes are thin when the lid is stretched.
        ball = ball * (1 - 0.35 * closing * torch.exp(-distance / 0.018))
        drawn = config.lash_strength if eye.texture.cover is None else 0.0  # larger eyes bring their own line down
        lashes = drawn * max(0.0, (closing - LASHES_FROM) / (1 - LASHES_FROM))
        target *= 1 - lashes * torch.exp(-((distance / 0.009) ** 2))
    target.lerp_(ball, raster.coverage(outline, positions))


def _lid_shade(eye: Eye, source: Tensor, opened: float, rest: RestFace) -> Tensor:
    """What the lids make of the ball (3, h, w): as in the still while the ball rests, less where the eye opens wider.

    source: (h, w, 2) pixels of the texture.
    """
    turned = min(1.0, float(eye.gaze.norm()) / (TURNED * rest.height))
    shade = MOST_SHADE * raster.sample(torch.lerp(eye.texture.shade, eye.texture.cast, turned), source, sharp=True)
    return shade + opened * (1 - shade)


def _cover_below(target: Tensor, eye: Eye, source: Tensor, closing: float) -> None:
    """Lay skin over what of the eye the tracker's lids leave below them, in place. source: (h, w, 2) pixels of the texture."""
    share = geometry.smoothstep(torch.tensor(closing), *COVERED).item()
    if eye.texture.cover is not None and share > 0:
        skin = raster.sample(eye.texture.cover, source)
        target.lerp_(skin[:3], share * skin[3])


def _margin_distance(vertices: Tensor, eye: int, positions: Tensor) -> Tensor:
    """Distance (h, w) of positions (h, w, 2) to the margin of the upper lid."""
    outer, inner = topology.EYE_CORNERS[eye]
    points = [outer, *topology.UPPER_LIDS[eye], inner]
    margin = raster.spline(vertices[points, :2], steps=4)
    return raster.distance_to(margin, positions)
