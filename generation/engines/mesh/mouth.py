"""The mouth layer: the still's own teeth where it shows them, else a cavity, tongue and teeth in the still's tones and light."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from generation.engines.mesh import geometry, raster, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.layers import MouthTexture, outline_of
from generation.engines.mesh.source import RestFace

# Lengths in widths of a mouth at rest (about 50 mm); widths of teeth as seen from the front, from the middle outwards.
TEETH_EDGE = 0.06  # the upper incisors end this far under the line of closed lips
LEAST_SHOWN = 0.032  # of the upper teeth in a wide open mouth
UPPER_ENDS = (0.0, 0.148, 0.258, 0.352, 0.425, 0.475, 0.51)
LOWER_ENDS = (0.0, 0.092, 0.19, 0.285, 0.36, 0.42, 0.46)
SHORTER = (0.0, 0.016, 0.004, 0.022, 0.034, 0.045)  # than the middle incisor
BRIGHTNESS = (1.0, 0.96, 0.9, 0.74, 0.55, 0.4)  # the cheeks shade the row
CROWN = 0.185
LEAST_WIDTH = 0.34  # face widths: a small painted mouth still has teeth of a common size
CAVITY = (0.24, 0.10, 0.10)  # shares of the skin's tone


@dataclass(frozen=True, slots=True)
class Opening:
    """The window behind the lips in head coordinates, in mouth widths: across, and down from the line of the lips at rest."""

    across: Tensor  # (h, w)
    down: Tensor  # (h, w)
    upper: Tensor  # () where the upper lip is now
    lower: Tensor  # () where the lower lip is now
    softness: Tensor  # () one pixel

    @property
    def gap(self) -> Tensor:
        """How far the lips are apart."""
        return (self.lower - self.upper).clamp_min(0)


def draw_mouth(
    canvas: Tensor,
    texture: MouthTexture,
    rest: RestFace,
    vertices: Tensor,
    source: Tensor,
    window: raster.Window,
    config: MeshConfig,
) -> None:
    """Draw the interior onto the canvas (3, H, W) in place. source: (h, w, 2) rest positions of the window."""
    outline = outline_of(vertices, topology.mouth_outline())
    upper, lower = vertices[list(topology.INNER_UPPER), :2], vertices[list(topology.INNER_LOWER), :2]
    gap = (lower - upper).norm(dim=1).amax() / rest.height
    shown = geometry.smoothstep(gap, config.closed_gap, 3 * config.closed_gap)
    positions = window.centres(canvas.device)
    target = canvas[:, window.rows, window.columns]
    depth = -raster.signed_distance(outline, positions) / rest.height
    if texture.gap > config.teeth_gap:  # the lips of the still never touched: the line where they meet is drawn
        seam = (1 - shown) * torch.exp(-((depth / config.seam_width) ** 2))
        target.mul_(1 - config.seam_darkness * seam)
    if float(shown) == 0.0:
        return
    light = 0.5 + 0.5 * geometry.smoothstep(gap, 0.0, config.lit_gap)
    under_lips = 1 - 0.4 * torch.exp(-depth.clamp_min(0) / 0.012)
    kept = 1 - geometry.smoothstep(gap / max(texture.gap, 1e-3), *config.own_until)
    kept = torch.maximum(kept, geometry.smoothstep(gap.new_tensor(texture.gap), *config.own_always))
    inside = interior(texture, rest, source, _place(rest, vertices, source, positions), light, kept)
    target.lerp_(inside * under_lips, (0.5 + depth * rest.height / 1.4).clamp(0, 1) * shown)


def _place(rest: RestFace, vertices: Tensor, source: Tensor, positions: Tensor) -> Opening:
    """Head coordinates of the window and of the lips in it. `source` is an affine map of `positions`."""
    face = rest.vertices
    width = (face[topology.MOUTH_CORNERS[1]] - face[topology.MOUTH_CORNERS[0]]).norm().clamp_min(LEAST_WIDTH * rest.width)
    middle = [topology.INNER_UPPER[4], topology.INNER_LOWER[4]]
    line = face[middle, :2].mean(0)
    across, down = ((source - line) @ (rest.axes[:2, :2] / width)).unbind(-1)
    step = torch.stack([down[0, 1] - down[0, 0], down[1, 0] - down[0, 0]])
    upper, lower = (vertices[middle, :2] - positions[0, 0]) @ step + down[0, 0]
    return Opening(across, down, upper, lower, step.abs().max())


def interior(texture: MouthTexture, rest: RestFace, source: Tensor, opening: Opening, light: Tensor, kept: Tensor) -> Tensor:
    """Colours (3, h, w) behind the lips at rest positions (h, w, 2); upper teeth follow the skull, lower ones the jaw.

    kept: () share of the still's own interior.
    """
    invented = _invented(texture, opening, light)
    corner = torch.tensor([texture.window.x0, texture.window.y0], dtype=torch.float32, device=source.device)
    local = source - corner
    own = raster.sample(torch.cat([texture.image, texture.own[None]]), local)
    bounds = torch.tensor([texture.image.shape[2], texture.image.shape[1]], device=source.device)
    within = ((local >= 0) & (local < bounds)).all(-1)
    return torch.lerp(invented, own[:3] * light.sqrt(), own[3] * within * kept)


def _invented(texture: MouthTexture, opening: Opening, light: Tensor) -> Tensor:
    across, down = opening.across, opening.down
    cavity = (texture.tone * texture.tone.new_tensor(CAVITY))[:, None, None]
    behind = (down - opening.upper) / opening.gap.clamp_min(0.05)  # 0 at the upper lip, 1 at the lower
    colour = cavity * (0.5 + 0.5 * behind.clamp(0, 1)) * light
    colour = _tongue(colour, texture, opening, light)
    lower = _row(across, LOWER_ENDS, 0.5, texture.detail)
    wide = geometry.smoothstep(opening.gap, 0.14, 0.34)
    edge = opening.lower - 0.05 * wide - 0.02 + 0.35 * across.square()
    colour = _lay(colour, texture, lower, down - edge - lower.shorter, 0.78 * light * wide.clamp_min(0.3), opening.softness)
    upper = _row(across, UPPER_ENDS, 1.0, texture.detail)
    least = opening.upper + LEAST_SHOWN * geometry.smoothstep(opening.gap, 0.1, 0.3)
    edge = torch.maximum(least, torch.full_like(least, TEETH_EDGE)) - 0.3 * across.square()
    return _lay(colour, texture, upper, edge - upper.shorter - down, light, opening.softness)


def _tongue(colour: Tensor, texture: MouthTexture, opening: Opening, light: Tensor) -> Tensor:
    """Lay the tongue over the cavity: it rests behind the lower teeth and rises a little into a wide mouth."""
    across, down = opening.across, opening.down
    height = 0.08 + 0.6 * opening.gap
    rise = (opening.lower + 0.04 - down) / height + (across / 0.38) ** 4  # 1 at the outline of the tongue
    body = 1 - geometry.smoothstep(rise, 0.75, 1.05)
    round_off = 1 - 0.45 * rise.clamp(0, 1).square()
    groove = 1 - 0.1 * torch.exp(-((across / 0.035) ** 2))
    flesh = texture.flesh[:, None, None] * (0.6 + 0.4 * light) * round_off * groove
    return torch.lerp(colour, flesh, 0.92 * body)


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of teeth at each pixel: how far its edge is drawn back, how the gum bends, how bright place and tooth are."""

    shorter: Tensor
    gum: Tensor
    bright: Tensor
    shade: Tensor
    exists: Tensor


def _row(across: Tensor, ends: tuple[float, ...], rounding: float, detail: Tensor) -> _Row:
    """across: (h, w). rounding: 1 for the rounded edges of upper teeth. detail: () 0 for a flat drawing."""
    limits = across.new_tensor(ends)
    aside = across.abs()
    tooth = (torch.bucketize(aside, limits, right=True) - 1).clamp(0, len(ends) - 2)
    start, end = limits[tooth], limits[tooth + 1]
    bow = (2 * (aside - start) / (end - start) - 1).clamp(-1, 1)  # -1 .. 1 over a tooth
    edge = (1 - bow.abs()) * (end - start) / 2  # distance to the neighbour
    between = detail * torch.exp(-((edge / 0.01) ** 2))
    shorter = detail * rounding * (across.new_tensor(SHORTER)[tooth] + 0.016 * bow**4)
    bright = across.new_tensor(BRIGHTNESS)[tooth]
    shade = bright * (1 - 0.12 * detail * bow.square()) * (1 - 0.24 * between)
    return _Row(shorter, CROWN - 0.03 * bow.square(), bright, shade, 1 - geometry.smoothstep(aside, ends[-1] - 0.06, ends[-1]))


def _lay(colour: Tensor, texture: MouthTexture, row: _Row, depth: Tensor, light: Tensor, softness: Tensor) -> Tensor:
    """Lay a row of teeth and their gums over the cavity. depth: (h, w) how far behind the biting edge, in mouth widths."""
    ramp = softness.clamp_min(0.008)
    cover = _step(depth, ramp) * row.exists
    translucent = 1 - 0.14 * texture.detail * torch.exp(-depth.clamp_min(0) / 0.02)
    neck = 1 - 0.16 * (depth / CROWN).clamp(0, 1).square()
    lit = row.shade * translucent * neck * (0.55 + 0.45 * light)  # they stand in front, where light reaches first
    enamel = texture.enamel[:, None, None] * torch.stack([lit**0.9, lit**1.06, lit**1.06])  # what dims a mouth is red
    gums = texture.flesh[:, None, None] * (0.72 * row.bright * light * (1 - (1.5 * (depth - CROWN)).clamp(0, 0.5)))
    return torch.lerp(colour, torch.lerp(enamel, gums, _step(depth - row.gum, 2 * ramp)), cover)


def _step(value: Tensor, ramp: Tensor) -> Tensor:
    """0 under -ramp, 1 over ramp, cubic between."""
    t = (value / (2 * ramp) + 0.5).clamp(0, 1)
    return t * t * (3 - 2 * t)
