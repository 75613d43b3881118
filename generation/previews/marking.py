"""What makes a preview useless as a product: small, crossed all over by a visible mark, and carrying an invisible one. Pure.

The visible mark lies in the same place for all previews of one pair of inputs: if it moved, a median over a few previews would
show what is beneath it. Where it lies is keyed, so that nobody computes it; no line of it can be cropped away, as there are many.
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
TEXT_PX = 13
LINE_PITCH_PX = 26  # two or more lines cross a face of 64 px, the smallest that is animated
SLANT_DEGREES = (24.0, 36.0)
LIGHT, DARK = 0.5, 0.42  # opacity of the letters and of their outline
STRENGTH = 2.0  # of the watermark: one still of 256 px is read back with four times the evidence needed; it may be seen here


@dataclass(frozen=True, slots=True)
class VisibleMark:
    """The repeated text over a whole picture: level float32 (H, W, 1) 0..255 and alpha float32 (H, W, 1) 0..1."""

    level: Tensor
    alpha: Tensor


@dataclass(frozen=True, slots=True)
class Secrets:
    """The keys of one mark: where the text lies, and the watermark with its payload."""

    placement: bytes
    watermark_key: bytes
    payload: int


def finished(frame: Tensor, secrets: Secrets) -> bytes:
    """An engine's frame, uint8 RGB (H, W, 3), as the PNG that may be shown: reduced, crossed by the text, watermarked."""
    small = reduced(frame)
    crossed = burnt_in(small, visible_mark(small.shape[1], small.shape[0], secrets.placement))
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
def visible_mark(width: int, height: int, placement: bytes) -> VisibleMark:
    """Slanted lines of the text over all of a picture. `placement`: secret bytes that choose slant and offset."""
    slant, down, across = (byte / 255 for byte in hmac.digest(placement, b"previews/visible mark", "sha256")[:3])
    line, period = _line()
    side = int(np.hypot(width, height)) + 4 * LINE_PITCH_PX
    image = Image.new("LA", (side, side), (0, 0))
    for number, top in enumerate(range(0, side, LINE_PITCH_PX)):
        # each line is shifted against the one above, so that no column is left without letters
        start = int(period * ((0.37 * number + across) % 1))
        for left in range(-start, side, period):
            image.paste(line, (left, top))
    turned = image.rotate(SLANT_DEGREES[0] + slant * (SLANT_DEGREES[1] - SLANT_DEGREES[0]), Image.Resampling.BICUBIC)
    x0, y0 = (side - width) // 2, (side - height) // 2 + round(down * LINE_PITCH_PX)
    cut = np.asarray(turned.crop((x0, y0, x0 + width, y0 + height)), dtype=np.float32)
    return VisibleMark(torch.from_numpy(cut[..., :1].copy()), torch.from_numpy(cut[..., 1:].copy() / 255))


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
    embedder = Embedder(secrets.watermark_key, secrets.payload, strength=STRENGTH)
    return next(iter(embedder.embed([batch]))).rgb[0]


def encoded(frame: Tensor) -> bytes:
    """uint8 (H, W, 3) as a PNG."""
    out = io.BytesIO()
    Image.fromarray(frame.numpy()).save(out, "PNG", compress_level=1)
    return out.getvalue()
