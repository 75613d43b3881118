"""The mouth layer: the still's own teeth where it shows them, else a cavity, teeth and tongue in the still's tones."""

from __future__ import annotations

import torch
from torch import Tensor

from generation.engines.mesh import geometry, raster, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.layers import MouthTexture, outline_of
from generation.engines.mesh.source import RestFace

# Lengths in mouth widths: an upper incisor shows 0.1 below a raised lip; arches are about 0.8 wide.
TEETH_EDGE = 0.085
ARCH = 0.52
TOOTH = 0.105
CAVITY = (0.30, 0.13, 0.12)  # shares of the skin tone
TONGUE = (0.66, 0.42, 0.42)
ENAMEL = (1.10, 0.98, 0.80)  # ivory


def draw_mouth(
    canvas: Tensor,
    texture: MouthTexture,
    rest: RestFace,
    vertices: Tensor,
    source: Tensor,
    jaw: Tensor,
    window: raster.Window,
    config: MeshConfig,
) -> None:
    """Draw the interior onto the canvas (3, H, W) in place. source: (h, w, 2) rest positions of the window; jaw: () px."""
    outline = outline_of(vertices, topology.mouth_outline())
    positions = window.centres(canvas.device)
    upper, lower = vertices[list(topology.INNER_UPPER), :2], vertices[list(topology.INNER_LOWER), :2]
    gap = float((lower - upper).norm(dim=1).amax())
    shown = float(geometry.smoothstep(torch.tensor(gap / rest.height), config.closed_gap, 3 * config.closed_gap))
    if shown == 0.0:
        return
    opening = raster.coverage(outline, positions, softness=1.4) * shown
    inside = interior(texture, rest, source, jaw)
    distance = -raster.signed_distance(outline, positions)
    dim = 0.45 + 0.55 * float(geometry.smoothstep(torch.tensor(gap / rest.height), 0.0, config.lit_gap))
    warm = torch.tensor([dim**0.8, dim**1.15, dim**1.2], device=canvas.device)[:, None, None]  # light through lips is red
    shade = 1 - 0.45 * torch.exp(-distance.clamp_min(0) / (0.012 * rest.height))  # lips shade what is behind them
    inside = inside * warm * shade
    canvas[:, window.y0 : window.y1, window.x0 : window.x1].lerp_(inside, opening)


def interior(texture: MouthTexture, rest: RestFace, source: Tensor, jaw: Tensor) -> Tensor:
    """Colours (3, h, w) behind the lips at rest positions (h, w, 2); upper teeth follow the skull, lower ones the jaw."""
    invented = _invented(texture, rest, source, jaw)
    corner = torch.tensor([texture.window.x0, texture.window.y0], dtype=torch.float32, device=source.device)
    local = source - corner
    own = raster.sample(torch.cat([texture.image, texture.own[None]]), local)
    bounds = torch.tensor([texture.image.shape[2], texture.image.shape[1]], device=source.device)
    within = ((local >= 0) & (local < bounds)).all(-1)
    return torch.lerp(invented, own[:3], own[3] * within)


def _invented(texture: MouthTexture, rest: RestFace, source: Tensor, jaw: Tensor) -> Tensor:
    face = rest.vertices
    left, right = (face[i] for i in topology.MOUTH_CORNERS)
    width = (right - left).norm()
    lip_line = face[[topology.INNER_UPPER[4], topology.INNER_LOWER[4]], :2].mean(0)
    basis = rest.axes[:2, :2] / width  # columns: across, down, in mouth widths
    across, down = ((source - lip_line) @ basis).unbind(-1)
    drop = jaw / width
    tone = texture.tone[:, None, None]
    cavity, flesh = (tone * torch.tensor(share, device=source.device)[:, None, None] for share in (CAVITY, TONGUE))
    throat = torch.exp(-((across / 0.3) ** 2) - ((down - 0.15) / 0.2) ** 2)
    tongue = 1 - ((across / 0.36) ** 2 + ((down - drop - 0.02) / (0.10 + 0.45 * drop.clamp_min(0))) ** 2)
    colour = torch.lerp(cavity * (1 - 0.5 * throat), flesh, 0.8 * geometry.smoothstep(tongue, 0.0, 0.8))
    bend = (across / ARCH) ** 2
    return _teeth(colour, tone, across, bend, TEETH_EDGE * (1 - bend) - down, 0.85)


def _teeth(colour: Tensor, tone: Tensor, across: Tensor, bend: Tensor, depth: Tensor, light: float) -> Tensor:
    """Lay a row of teeth over the cavity; depth: how far a pixel is behind the biting edge, in mouth widths."""
    row = geometry.smoothstep(depth, -0.012, 0.018) * (1 - geometry.smoothstep(bend, 0.6, 1.1))
    place = (across / TOOTH + 0.5) % 1.0
    between = torch.exp(-((((place - 0.5).abs() - 0.5) / 0.06) ** 2))
    shade = light * (1 - 0.7 * bend.clamp(max=1)) * (1 - 0.1 * between) * (1 - 0.25 * geometry.smoothstep(depth, 0.05, 0.14))
    brightness = tone.mean() * 0.6 + 0.35
    enamel = brightness * torch.tensor(ENAMEL, device=colour.device)[:, None, None]
    return torch.lerp(colour, (enamel * shade).clamp(0, 1), 0.9 * row)
