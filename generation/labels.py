"""Visible labels burnt into every frame before the watermark. Pure: text is rasterised once, then blended on any device.

An output that rests on an `attested` consent carries TEST in its lower left corner (misuse register A9).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from media.frames import FrameBatch

LABEL_HEIGHT_SHARE = 0.055  # of the shorter side; at least 5% is what China's labelling measures ask of a visible label
MARGIN_SHARE = 0.02
OPACITY = 0.85


@dataclass(frozen=True, slots=True)
class LabelBitmap:
    """A rasterised label: colour float32 (h, w, 3) 0..255 and alpha float32 (h, w, 1) 0..1, placed at `top`, `left`."""

    colour: Tensor
    alpha: Tensor
    top: int
    left: int


def rasterise(text: str, *, width: int, height: int) -> LabelBitmap:
    """White text on a dark plate, sized to the frame, in its lower left corner, where it covers no face."""
    short_side = min(width, height)
    size_px = max(12, round(short_side * LABEL_HEIGHT_SHARE))
    margin = round(short_side * MARGIN_SHARE)
    font = ImageFont.load_default(size=size_px)
    x0, y0, x1, y1 = font.getbbox(text)
    pad = size_px // 3
    plate = (min(int(x1 - x0) + 2 * pad, width - 2 * margin), min(int(y1 - y0) + 2 * pad, height - 2 * margin))
    image = Image.new("L", plate, 24)
    ImageDraw.Draw(image).text((pad - x0, pad - y0), text, fill=255, font=font)
    grey = torch.from_numpy(np.asarray(image, dtype=np.float32)[..., None].copy())
    return LabelBitmap(
        colour=grey.expand(-1, -1, 3), alpha=torch.full_like(grey, OPACITY), top=height - margin - plate[1], left=margin
    )


def burn_in(batches: Iterable[FrameBatch], text: str) -> Iterator[FrameBatch]:
    """The same stream with `text` in every frame. RGB batches, uint8 (N, H, W, 3)."""
    label: LabelBitmap | None = None
    for batch in batches:
        if label is None:
            label = rasterise(text, width=batch.width, height=batch.height)
        yield batch.with_pixels(_blend(batch.rgb, label))


def _blend(frames: Tensor, label: LabelBitmap) -> Tensor:
    rows = slice(label.top, label.top + label.alpha.shape[0])
    columns = slice(label.left, label.left + label.alpha.shape[1])
    alpha, colour = label.alpha.to(frames.device), label.colour.to(frames.device)
    out = frames.clone()
    out[:, rows, columns] = (out[:, rows, columns] * (1 - alpha) + colour * alpha).round().to(torch.uint8)
    return out
