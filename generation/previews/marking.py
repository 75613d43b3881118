"""What makes a preview useless as a product: small, crossed all over by a visible mark, and carrying an invisible one. Pure.

The visible mark lies in one place for all previews of a studio, measured from the face and in the face's own size: if it moved
with the inputs, a median over a few previews would show what is beneath it. Padding, cropping and scaling a portrait take it
along; turning a portrait does not. It is half transparent, so it warns and spoils; what is meant to survive is the watermark.
"""

from __future__ import annotations

import hmac
import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from media.frames import FrameBatch
from provenance.watermark import Embedder

LONG_SIDE_PX = 256
SHORT_SIDE_PX = 96  # the watermark needs as much; a panorama gets bars
TEXT = "PREVIEW - AI generated"
LINE_PITCH_PX = 18.0  # and up to twice that: the face's height, halved or doubled until it fits
DRAWN_PITCH_PX, TEXT_PX = 26, 13  # before they are brought to that pitch
SLANT_DEGREES = (24.0, 36.0)
LIGHT, DARK = 0.5, 0.42  # opacity of the letters and of their outline
STRENGTH = 2.0  # of the watermark: one still of 256 px is read back with four times the evidence needed; it may be seen here


@dataclass(frozen=True, slots=True)
class VisibleMark:
    """The repeated text over a whole picture: level float32 (H, W, 1) 0..255 and alpha float32 (H, W, 1) 0..1."""

    level: Tensor
    alpha: Tensor


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the face is that the text is measured from, in shares of the picture's long side.

    across, down: of its middle from the picture's; height: of its box.
    """

    across: float = 0.0
    down: float = 0.0
    height: float = 0.45


IN_THE_MIDDLE = Anchor()


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of one mark: what decides where the text lies, and the embedder of the watermark, of strength STRENGTH."""

    placement: bytes
    embedder: Embedder


def finished(frame: Tensor, secrets: Secrets, anchor: Anchor = IN_THE_MIDDLE) -> bytes:
    """An engine's frame, uint8 RGB (H, W, 3), as the PNG that may be shown: reduced, crossed by the text, watermarked."""
    small = reduced(frame)
    crossed = burnt_in(small, visible_mark(small.shape[1], small.shape[0], secrets.placement, anchor))
    return encoded(watermarked(crossed, secrets))


def reduced(frame: Tensor) -> Tensor:
    """uint8 (H, W, 3) to at most LONG_SIDE_PX on its long side, even on both; grey bars where the short side gets too short."""
    height, width = frame.shape[:2]
    scale = min(1.0, LONG_SIDE_PX / max(height, width))
    size = (max(2, round(height * scale / 2) * 2), max(2, round(width * scale / 2) * 2))
    planes = frame.permute(2, 0, 1)[None].float()
    if size != (height, width):
        planes = F.interpolate(planes, size=size, mode="bilinear", antialias=True, align_corners=False)
    down, across = max(0, SHORT_SIDE_PX - size[0]), max(0, SHORT_SIDE_PX - size[1])
    planes = F.pad(planes, (across // 2, across - across // 2, down // 2, down - down // 2), value=128.0)
    return planes[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()


@lru_cache(maxsize=4)
def visible_mark(width: int, height: int, placement: bytes, anchor: Anchor = IN_THE_MIDDLE) -> VisibleMark:
    """Slanted lines of the text over all of a picture. `placement`: secret bytes that choose slant and offset."""
    slant, down, across = (byte / 255 for byte in hmac.digest(placement, b"previews/visible mark", "sha256")[:3])
    long_side = max(width, height)
    scale = _pitch_for(anchor.height * long_side) / DRAWN_PITCH_PX
    middle = int(np.hypot(width, height) / scale) + 2 * DRAWN_PITCH_PX  # of lines that reach all of it from any anchor in it
    x, y = width / 2 + anchor.across * long_side, height / 2 + anchor.down * long_side
    turn = np.radians(SLANT_DEGREES[0] + slant * (SLANT_DEGREES[1] - SLANT_DEGREES[0]))
    cos, sin = float(np.cos(turn)) / scale, float(np.sin(turn)) / scale
    place = (cos, -sin, middle - cos * x + sin * y, sin, cos, middle - sin * x - cos * y)
    shown = _lines(middle, down, across).transform((width, height), Image.Transform.AFFINE, place, Image.Resampling.BICUBIC)
    cut = np.asarray(shown, dtype=np.float32)
    return VisibleMark(torch.from_numpy(cut[..., :1].copy()), torch.from_numpy(cut[..., 1:].copy() / 255))


def _pitch_for(face_px: float) -> float:
    """Pixels from line to line: the face's height over a power of two, so that only octaves of its size change the pattern."""
    face_px = max(face_px, 1.0)
    return float(face_px / 2 ** np.floor(np.log2(face_px / LINE_PITCH_PX)))


def _lines(middle: int, down: float, across: float) -> Image.Image:
    """The text on a canvas of 2 * middle pixels a side, laid out from its middle. down, across: shares of a line to start at."""
    line, period = _line()
    canvas = Image.new("LA", (2 * middle, 2 * middle), (0, 0))
    reach = middle // DRAWN_PITCH_PX + 1
    for number in range(-reach, reach):
        # each line is shifted against the one above, so that no column is left without letters
        start = middle + int(period * ((0.37 * number + across) % 1)) - period * (1 + middle // period)
        for left in range(start, 2 * middle, period):
            canvas.paste(line, (left, middle + round((number + down) * DRAWN_PITCH_PX)))
    return canvas


def _line() -> tuple[Image.Image, int]:
    """The text once, light letters with a dark outline, and the width after which it repeats."""
    font = ImageFont.load_default(size=TEXT_PX)
    period = int(font.getlength(TEXT)) + TEXT_PX
    line = Image.new("LA", (period, TEXT_PX + 4), (0, 0))
    outline, letters = (0, round(255 * DARK)), (255, round(255 * LIGHT))
    ImageDraw.Draw(line).text((1, 0), TEXT, fill=letters, font=font, stroke_width=1, stroke_fill=outline)
    return line, period


def burnt_in(frame: Tensor, mark: VisibleMark) -> Tensor:
    """uint8 (H, W, 3) with the mark over it."""
    return (frame * (1 - mark.alpha) + mark.level * mark.alpha).round().to(torch.uint8)


def watermarked(frame: Tensor, secrets: Secrets) -> Tensor:
    """uint8 (H, W, 3) with the invisible mark, strong enough to be read from this one picture."""
    batch = FrameBatch(frame[None], torch.zeros(1, dtype=torch.float64))
    return next(iter(secrets.embedder.embed([batch]))).rgb[0]


def encoded(frame: Tensor) -> bytes:
    """uint8 (H, W, 3) as a PNG."""
    out = io.BytesIO()
    Image.fromarray(frame.numpy()).save(out, "PNG", compress_level=1)
    return out.getvalue()
