"""The mouth layer: the still's own teeth where it shows them, else a cavity, tongue and teeth in the still's tones and light."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from generation.engines.mesh import geometry, raster, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.fill import LUMA
from generation.engines.mesh.layers import MouthTexture, outline_of
from generation.engines.mesh.source import RestFace

# Lengths in widths of a mouth at rest (about 50 mm); ends of teeth as seen from the front, from the middle outwards.
TEETH_EDGE = 0.062  # the upper incisors end this far under the line of closed lips
LEAST_SHOWN = 0.05  # of the upper teeth in a wide open mouth
MOST_SHOWN = 0.36  # of the gap: more looks like a grin
UPPER_ENDS = (0.0, 0.148, 0.258, 0.352, 0.425, 0.475, 0.51)
SHORTER = (0.0, 0.01, 0.002, 0.012, 0.02, 0.026)  # than the middle incisor
ARCH = 0.3  # how the row rises towards its ends
CROWN = 0.2
GRIN = (0.25, 0.6)  # of the gap: how far under the line of closed lips the lower lip is when its jaw is shut, and has dropped
LOWER_SHOWN = 0.036  # of the lower teeth in a wide open mouth
LEAST_WIDTH = 0.34  # face widths: a small painted mouth still has teeth of a common size
FINEST_PX = 110  # of a mouth's width: what is behind the lips is smooth, a larger mouth is drawn at this size and enlarged
MOST_LIT = 1.1  # of the light on the skin: teeth stand in front and are wet
GAPS_PX = (5.0, 18.0)  # widths of an incisor from which gaps between teeth begin to show, and are all there


@dataclass(frozen=True, slots=True)
class Palette:
    """What the inside of a mouth is painted with: (3,) each, 0..1, in the light that falls on the face."""

    teeth: Tensor
    flesh: Tensor
    cavity: Tensor


@dataclass(frozen=True, slots=True)
class Opening:
    """The window behind the lips in head coordinates, in mouth widths: across, and down from the line of the lips at rest."""

    across: Tensor  # (h, w)
    down: Tensor  # (h, w)
    upper: Tensor  # () where the middle of the upper lip is now
    lower: Tensor  # () where the middle of the lower lip is now
    curves: Tensor  # (2, 3) of the upper and the lower lip: c0 + c1 across + c2 across squared
    softness: Tensor  # () one pixel

    @property
    def gap(self) -> Tensor:
        """How far the lips are apart."""
        return (self.lower - self.upper).clamp_min(0)

    @property
    def grin(self) -> Tensor:
        """() 1 where the lips part and the lower one hardly drops: teeth fill the mouth; 0 where it goes down with the jaw."""
        return 1 - geometry.smoothstep(self.lower.clamp_min(0) / self.gap.clamp_min(0.02), *GRIN)

    def lip(self, which: int) -> Tensor:
        """How far down the edge of the upper (0) or the lower lip (1) is at each pixel (h, w)."""
        start, slope, bend = self.curves[which].unbind()
        return start + slope * self.across + bend * self.across.square()


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
    if float(shown) == 0.0 or min(source.shape[:2]) < 2:
        return
    light = 0.5 + 0.5 * geometry.smoothstep(gap, 0.0, config.lit_gap)
    axis = rest.axes[:2, 1] / rest.axes[:2, 1].norm()
    over = (positions - outline.mean(0)) @ axis / ((lower - upper).norm(dim=1).amax() / 2).clamp_min(1.0)
    shadow = torch.lerp(gap.new_tensor(0.4), gap.new_tensor(0.2), geometry.smoothstep(over, -0.6, 0.6))  # light comes from above
    under_lips = 1 - shadow * torch.exp(-depth.clamp_min(0) / 0.012)
    kept = 1 - geometry.smoothstep(gap / max(texture.gap, 1e-3), *config.own_until)
    kept = torch.maximum(kept, texture.bared * geometry.smoothstep(gap.new_tensor(texture.gap), *config.own_always))
    inside = interior(texture, rest, vertices, source, positions, light, kept)
    target.lerp_(inside * under_lips, (0.5 + depth * rest.height / 1.4).clamp(0, 1) * shown)


def interior(
    texture: MouthTexture, rest: RestFace, vertices: Tensor, source: Tensor, positions: Tensor, light: Tensor, kept: Tensor
) -> Tensor:
    """Colours (3, h, w) behind the lips; upper teeth follow the skull, lower ones the jaw.

    source: (h, w, 2) rest positions of the pixels at `positions`. kept: () share of the still's own interior.
    """
    step = max(1, round(mouth_width(rest) / FINEST_PX))  # of the still: a step that changed with the opening would flicker
    opening = place(rest, vertices, _every(source, step), _every(positions, step))
    detail = texture.detail * told_apart(opening.softness / step)
    invented = _enlarged(paint(palette_of(texture), opening, detail, light), step, source.shape[0], source.shape[1])
    if texture.gap <= 0 or float(kept) == 0.0:
        return invented
    corner = torch.tensor([texture.window.x0, texture.window.y0], dtype=torch.float32, device=source.device)
    local = source - corner
    own = raster.sample(torch.cat([texture.image, texture.own[None]]), local)
    bounds = torch.tensor([texture.image.shape[2], texture.image.shape[1]], device=source.device)
    within = ((local >= 0) & (local < bounds)).all(-1)
    return torch.lerp(invented, own[:3] * light.sqrt(), own[3] * within * kept)


def told_apart(pixel: Tensor) -> Tensor:
    """() 0 where teeth are too small for gaps to be seen between them, 1 where all are. pixel: () in mouth widths."""
    return geometry.smoothstep(UPPER_ENDS[1] / pixel, *GAPS_PX)


def mouth_width(rest: RestFace) -> float:
    """Pixels from corner to corner at rest."""
    corners = rest.vertices[list(topology.MOUTH_CORNERS)]
    return max(float((corners[1] - corners[0]).norm()), LEAST_WIDTH * rest.width)


def _every(places: Tensor, step: int) -> Tensor:
    """Every `step`-th of an affine grid of places (h, w, 2), reaching over its ends."""
    if step == 1:
        return places
    first, right, down = places[0, 0], places[0, 1] - places[0, 0], places[1, 0] - places[0, 0]
    rows, columns = (torch.arange(0, length + step - 1, step, device=places.device) for length in places.shape[:2])
    return first + rows[:, None, None] * down + columns[:, None] * right


def _enlarged(image: Tensor, step: int, height: int, width: int) -> Tensor:
    """The picture (3, height, width) of which every `step`-th pixel was drawn."""
    if step == 1:
        return image
    size = ((image.shape[1] - 1) * step + 1, (image.shape[2] - 1) * step + 1)
    return F.interpolate(image[None], size=size, mode="bilinear", align_corners=True)[0, :, :height, :width]


def place(rest: RestFace, vertices: Tensor, source: Tensor, positions: Tensor) -> Opening:
    """Head coordinates of the window and of the lips in it. `source` is an affine map of `positions`, (h, w, 2) each."""
    face = rest.vertices
    line = face[[topology.INNER_UPPER[4], topology.INNER_LOWER[4]], :2].mean(0)
    to_head = rest.axes[:2, :2] / mouth_width(rest)
    head = (source - line) @ to_head  # (h, w, 2) across, down
    pitch = positions[1, 1] - positions[0, 0]
    per_pixel = torch.stack([(head[0, 1] - head[0, 0]) / pitch[0], (head[1, 0] - head[0, 0]) / pitch[1]])  # (2, 2)
    lips = vertices[list(topology.INNER_UPPER + topology.INNER_LOWER), :2]
    aside, below = ((lips - positions[0, 0]) @ per_pixel + head[0, 0]).reshape(2, 9, 2).unbind(-1)  # (2, 9) each
    across, down = head.unbind(-1)
    softness = (per_pixel[:, 1].abs() * pitch).max()
    return Opening(across, down, below[0, 4], below[1, 4], _parabolas(aside, below), softness)


def _parabolas(x: Tensor, y: Tensor) -> Tensor:
    """(2, 3) constant, slope and bend of the curves through columns 1, 4 and 7 of two lips (2, 9), by Newton's differences."""
    x0, x1, x2 = x[:, 1], x[:, 4], x[:, 7]
    first = (y[:, 4] - y[:, 1]) / (x1 - x0).clamp_min(0.03)
    second = (y[:, 7] - y[:, 4]) / (x2 - x1).clamp_min(0.03)
    bend = ((second - first) / (x2 - x0).clamp_min(0.06)).clamp(-4, 4)
    slope = first - bend * (x0 + x1)
    return torch.stack([y[:, 4] - slope * x1 - bend * x1.square(), slope, bend], 1)


@lru_cache(maxsize=8)
def palette_of(texture: MouthTexture) -> Palette:
    """Paint for teeth, flesh and cavity from what the still shows of skin, lips and eyes.

    Eyes without irises, whose whites are as colourful as the skin, mean that all is one material, of a sculpture: so are the
    teeth. Under an old varnish whites are as colourful too, but the irises are dark.
    """
    tone, enamel, flesh = texture.tone, texture.enamel, texture.flesh
    luma = tone.new_tensor(LUMA)
    own = tone @ luma
    bright = torch.minimum(1.08 * enamel @ luma, 0.6 * own + 0.38)  # never the brightest of the face
    skin = tone / own.clamp_min(0.02)  # its hue at luma 1
    colourful = _colourfulness(tone)
    alike = geometry.smoothstep(_colourfulness(enamel) / colourful.clamp_min(0.04), 0.6, 0.8)
    alike = alike * (colourful > 0.04) * texture.carved
    ivory = torch.lerp(torch.ones_like(skin), skin, 0.3) * skin.new_tensor([1.01, 1.0, 0.96])
    ivory = torch.lerp(torch.ones_like(skin), ivory, geometry.smoothstep(colourful, 0.02, 0.08))  # none in a grey picture
    teeth = torch.lerp(ivory * bright, skin * own * 0.8, 0.85 * alike).clamp(max=0.93)
    warm = geometry.smoothstep(colourful, 0.02, 0.12) * (1 - 0.4 * alike)
    plain = skin * (flesh @ luma)
    flesh = torch.lerp(plain, flesh, warm)
    cavity = tone * torch.lerp(tone.new_tensor([0.14, 0.14, 0.14]), tone.new_tensor([0.24, 0.095, 0.085]), warm)
    return Palette(teeth, flesh, cavity)


def _colourfulness(colour: Tensor) -> Tensor:
    return 1 - colour.amin() / colour.amax().clamp_min(0.02)


def paint(palette: Palette, opening: Opening, detail: Tensor, light: Tensor) -> Tensor:
    """An invented interior (3, h, w). detail: () 0 where a flat drawing shows no single teeth; light: () 0..1 that falls in."""
    behind = ((opening.down - opening.upper) / opening.gap.clamp_min(0.05)).clamp(0, 1)  # 0 at the upper lip, 1 at the lower
    colour = palette.cavity[:, None, None] * ((0.45 + 0.55 * behind.square()) * light)
    floor = torch.exp(-((opening.lip(1) - opening.down).clamp_min(0) / 0.08).square())  # the gum behind the lower lip
    colour = torch.lerp(colour, palette.flesh[:, None, None] * (0.72 * light), 0.85 * floor)
    colour = _tongue(colour, palette, opening, light)
    colour = _lower_teeth(colour, palette, opening, light)
    return _upper_teeth(colour, palette, opening, detail, light)


def _tongue(colour: Tensor, palette: Palette, opening: Opening, light: Tensor) -> Tensor:
    """Lay the tongue over the cavity: it rests behind the lower teeth and rises a little into a wide mouth."""
    across, down = opening.across, opening.down
    height = 0.07 + 0.5 * opening.gap
    rise = (opening.lower + 0.04 - down) / height + (across / 0.42) ** 4 + 0.3 * (across / 0.42).square()  # 1 at its outline
    body = 1 - geometry.smoothstep(rise, 0.7, 1.1)
    lit = 1 - 0.4 * rise.clamp(0, 1) - 0.12 * torch.exp(-((rise / 0.25).clamp_min(0) ** 2))  # the lower lip shades its tip
    groove = 1 - 0.08 * torch.exp(-((across / 0.05) ** 2)) * rise.clamp(0, 1)
    flesh = palette.flesh[:, None, None] * ((0.6 + 0.5 * light) * lit * groove)
    return torch.lerp(colour, flesh, 0.92 * body)


def _lower_teeth(colour: Tensor, palette: Palette, opening: Opening, light: Tensor) -> Tensor:
    """A dim band under the upper teeth of a grin, and a trace of it behind the lip of a wide open mouth."""
    across = opening.across
    wide = geometry.smoothstep(opening.gap, 0.16, 0.42)
    bared = opening.grin * (opening.lower - _edge(opening)).clamp_min(0)
    height = torch.maximum(bared, LOWER_SHOWN * wide) * (1 - (across / 0.4).square()).clamp_min(0)
    cover = _step(height - opening.lip(1) + opening.down, opening.softness.clamp_min(0.016))
    cover = cover * geometry.smoothstep(height, 0.0, 0.03) * torch.maximum(0.8 * wide, geometry.smoothstep(bared, 0.0, 0.05))
    above = opening.lip(1) - opening.down
    lip_shade = 1 - 0.18 * torch.exp(-above.clamp_min(0) / 0.03)
    bite = 1 - 0.5 * (1 - 0.7 * wide) * torch.exp(-(height - above).clamp_min(0) / 0.014)  # the line where the rows meet
    shade = light * torch.lerp(wide.new_tensor(0.82), wide.new_tensor(0.62), wide) * (1 - 1.8 * across.square())
    lit = shade.clamp_min(0.2) * lip_shade * bite
    enamel, wet = palette.teeth[:, None, None] * _dimmed(lit), palette.flesh[:, None, None] * lit
    return torch.lerp(colour, torch.lerp(enamel, wet, 0.5 * wide), cover)  # behind a lip that has gone down they are half hidden


def _upper_teeth(colour: Tensor, palette: Palette, opening: Opening, detail: Tensor, light: Tensor) -> Tensor:
    """One soft band under the upper lip, shaded by it and by the cheeks; gaps are faint, and none where teeth are small."""
    across, down = opening.across, opening.down
    tooth = _teeth(across) if float(detail) > 0 else None
    above = _edge(opening) - ARCH * across.square() - down  # (h, w) how far over the biting edge
    if tooth is not None:
        above = above - detail * (tooth.shorter + 0.009 * tooth.bow**4)
    cover = _step(above, opening.softness.clamp_min(0.011)) * (1 - geometry.smoothstep(across.abs(), 0.4, 0.52))
    under = (down - opening.lip(0)).clamp_min(0)  # from the lip
    lip_shade = 1 - 0.26 * torch.exp(-under / 0.035)
    cheeks = 1 / (1 + (across / 0.38) ** 4)
    edge_shade = 1 - 0.1 * torch.exp(-above.clamp_min(0) / 0.014)
    lit = (0.15 + 0.95 * light) * lip_shade * cheeks * edge_shade  # they stand in front
    if tooth is not None:
        between = torch.exp(-((tooth.apart / 0.009) ** 2)) * (0.1 + 0.08 * torch.exp(-above.clamp_min(0) / 0.03))
        lit = lit * (1 - detail * between) * (1 - 0.05 * detail * tooth.bow.square())
    enamel = palette.teeth[:, None, None] * _dimmed(lit)
    gums = palette.flesh[:, None, None] * (0.72 * lit)
    gum = _step(above - CROWN, opening.softness.clamp_min(0.012) * 2)
    return torch.lerp(colour, torch.lerp(enamel, gums, gum), cover)


def _dimmed(lit: Tensor) -> Tensor:
    """(3, h, w) of white teeth that so much light (h, w) reaches: what dims a mouth is red, so shade is never grey."""
    share = lit / MOST_LIT
    return MOST_LIT * torch.stack([share**0.84, share, share**1.14])


def _edge(opening: Opening) -> Tensor:
    """() where the middle incisors end: fixed to the skull, but neither bared nor hidden by a lip that goes too far."""
    shown = TEETH_EDGE - opening.upper
    most = MOST_SHOWN * opening.gap + 0.03
    least = LEAST_SHOWN * geometry.smoothstep(opening.gap, 0.1, 0.35)
    limited = torch.minimum(shown, geometry.soft_limit(shown, most, 0.6))
    return opening.upper + torch.lerp(limited, shown, opening.grin).maximum(least)


@dataclass(frozen=True, slots=True)
class _Teeth:
    """The upper tooth at each pixel (h, w)."""

    shorter: Tensor  # than the middle incisor
    bow: Tensor  # -1 .. 1 from one side of the tooth to the other
    apart: Tensor  # distance to the neighbour


def _teeth(across: Tensor) -> _Teeth:
    limits = across.new_tensor(UPPER_ENDS)
    aside = across.abs()
    tooth = (torch.bucketize(aside, limits, right=True) - 1).clamp(0, len(UPPER_ENDS) - 2)
    start, end = limits[tooth], limits[tooth + 1]
    bow = (2 * (aside - start) / (end - start) - 1).clamp(-1, 1)
    return _Teeth(across.new_tensor(SHORTER)[tooth], bow, (1 - bow.abs()) * (end - start) / 2)


def _step(value: Tensor, ramp: Tensor) -> Tensor:
    """0 under -ramp, 1 over ramp, cubic between."""
    t = (value / (2 * ramp) + 0.5).clamp(0, 1)
    return t * t * (3 - 2 * t)
