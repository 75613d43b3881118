"""An eyeball taken from under its lids: the ball, which a gaze moves, and the shade of lids and corners, which stays."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from generation.engines.mesh import geometry, raster, topology
from generation.engines.mesh.fill import LUMA, pull_push
from generation.engines.mesh.lids import lid_cover
from generation.engines.mesh.source import RestFace

LID_SHADE = 0.005  # face heights from the margin of a lid, in which its lashes and its shade lie
BLUR_PX = 1.2  # of an edge, in a small face more than all of that
UPPER_SHADE = 1.6  # times further under the upper lid, which throws the longer shade
CORNER = (0.07, 0.13)  # widths of the eye from a corner: up to there lies flesh that no gaze moves
DRAWN_RIM = 1.6  # radii that an iris drawn larger than the tracker's may have, where it is told from the white by its hue
TINTED = (0.2, 0.35)  # step of a colour of luma 1 from white to iris
IRIS_RIM = 1.12  # radii: further out than this an iris colours nothing
CLEAR = (0.6, 0.85)  # of the luma of the eyes' whites: what is darker is lash, shade or the blur of an iris
LEAST_WHITE = 12.0  # pixels of white, under which its colour is another eye's
WHITE_SHARE = 0.5  # of the colour of both eyes' whites in what the lids hide: single pixels mislead
MOST_SHADE = 2.0  # times brighter than the ball: the glint of a tear


@dataclass(frozen=True, slots=True)
class EyeTexture:
    """One eyeball, continued under the lids. `ball` times `shade` is what the still shows."""

    ball: Tensor  # (3, h, w) without lashes and without the shade of the lids
    shade: Tensor  # (3, h, w) what lids, lashes and corners make of it where the still has them; a factor, over MOST_SHADE
    cast: Tensor  # (3, h, w) the same for another part of the ball: as dark, but coloured at the corners alone
    window: raster.Window
    anchor: Tensor  # (3,) middle of the eye corners, region pixels
    cover: Tensor | None  # (4, h, w) skin and its share over what of the eye lies below the lids; None where they fit


def eye_texture(image: Tensor, rest: RestFace, eye: int, radius: float, white: Tensor) -> EyeTexture:
    """Take one eye apart. image: (3, H, W) in 0..1, radius: of the iris in pixels, white: (3,) of both eyes."""
    outline = raster.rounded_outline(rest.vertices[list(topology.eye_outline(eye)), :2], len(topology.eye_outline(eye)) // 2)
    window = raster.window_around(outline, 0.1 * rest.height, (image.shape[1], image.shape[2]))
    patch = image[:, window.y0 : window.y1, window.x0 : window.x1]
    positions = window.centres(image.device)
    distance = raster.signed_distance(outline, positions)
    corners = rest.vertices[list(topology.EYE_CORNERS[eye])]
    width = (corners[1] - corners[0]).norm()
    to_corner = torch.minimum(*((positions - corner[:2]).norm(dim=-1) for corner in corners)) / width
    beside = geometry.smoothstep(to_corner, *CORNER)
    depth = _depth(-distance, positions, rest, eye)
    bare = (depth / max(LID_SHADE * rest.height, 0.7 * BLUR_PX) - 1).clamp(0, 1) * beside
    white_bare = (depth / max(LID_SHADE * rest.height, BLUR_PX) - 1).clamp(0, 1) * beside
    ball = _ball(patch, bare, white_bare, positions, rest.irises[eye, :2], radius, white)
    inside = (distance < 0).to(patch)
    shade = (patch / ball.clamp_min(0.02) / MOST_SHADE).clamp(max=1)
    shade = torch.lerp(pull_push(shade, inside), shade, inside)
    cast = torch.lerp(shade, shade.amax(0).expand_as(shade), beside).clamp(max=1 / MOST_SHADE)
    outer, inner = topology.EYE_CORNERS[eye]
    cover = lid_cover(patch, positions, distance, rest.vertices[[outer, *topology.LOWER_LIDS[eye], inner], :2], rest)
    return EyeTexture(ball, shade, cast, window, corners.mean(0), cover)


def _ball(
    patch: Tensor, bare: Tensor, white_bare: Tensor, positions: Tensor, iris: Tensor, radius: float, white: Tensor
) -> Tensor:
    """(3, h, w): what shows of the ball, and around it what the lids hide.

    bare, white_bare: (h, w) where it shows, the second where its white is free of lashes too. iris: (2,) its middle.
    """
    away = (positions - iris).norm(dim=-1) / radius
    rim = max(IRIS_RIM, 1 + BLUR_PX / radius)
    luma = (patch * patch.new_tensor(LUMA)[:, None, None]).sum(0).clamp_min(0.02)
    bright = (white @ white.new_tensor(LUMA)).clamp_min(0.02)
    clear = white_bare * geometry.smoothstep(luma / bright, *CLEAR)
    tint = (patch / luma - (white / bright)[:, None, None]).abs().amax(0)
    drawn = geometry.smoothstep(tint, *TINTED) * geometry.smoothstep(DRAWN_RIM - away, 0.0, 0.15)
    whites = clear * (away > rim) * (1 - drawn)
    around = white[:, None, None].expand_as(patch)
    if float(whites.sum()) > LEAST_WHITE:
        around = torch.lerp(pull_push(patch, whites), around, WHITE_SHARE)
    disc = ((1.05 - away) * max(1.0, radius) / max(1.0, 0.15 * radius) + 0.5).clamp(0, 1)
    round_iris = _round_iris(patch, bare, away)
    mirrored = 2 * iris - positions - positions[0, 0] + 0.5  # an iris is round: what a lid hides looks like what is opposite
    seen = raster.sample(bare[None], mirrored)[0]
    round_iris = torch.lerp(round_iris, raster.sample(patch, mirrored), seen)
    coloured = torch.maximum(drawn, geometry.smoothstep(rim + 0.15 - away, 0.0, 0.15))
    shown = torch.maximum(clear, bare * coloured)
    return torch.lerp(torch.lerp(around, round_iris, disc), patch, shown)


def _depth(depth: Tensor, positions: Tensor, rest: RestFace, eye: int) -> Tensor:
    """(h, w) pixels behind the margins, less under the upper lid, whose shade is longer. depth: (h, w) behind either margin."""
    outer, inner = topology.EYE_CORNERS[eye]
    upper = raster.spline(rest.vertices[[outer, *topology.UPPER_LIDS[eye], inner], :2], steps=4)
    under = raster.distance_to(upper, positions) / UPPER_SHADE
    return torch.minimum(depth, under.where(depth > 0, depth))


def _round_iris(patch: Tensor, known: Tensor, distance: Tensor) -> Tensor:
    """What an iris looks like all round, from the part that shows: the mean colour at each distance (h, w), in radii."""
    rings = 12
    ring = (distance * (rings - 1)).round().long().clamp(0, rings)
    weight = (known + 1e-6).flatten()
    total = torch.zeros(3, rings + 1).index_add_(1, ring.flatten(), patch.flatten(1) * weight)
    share = torch.zeros(rings + 1).index_add_(0, ring.flatten(), weight)
    return (total / share.clamp_min(1e-9))[:, ring]
