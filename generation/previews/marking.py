"""What makes a preview useless as a product: small, crossed all over by a visible mark, and carrying an invisible one. Pure.

The visible mark lies on the face itself and is the same for everybody, always: lines that let nothing through, so there is
nothing to average and nothing to compute back; what they cover is covered in every preview of that face. They are symmetrical,
so that mirroring a portrait moves none of them. The words between them are half transparent, say what this is, and leave eyes and
mouth free.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from generation.previews.placing import FACE_HEIGHT, from_middle, middle_plane, nearest, plane_of
from media.frames import FrameBatch
from provenance.watermark import Embedder

LONG_SIDE_PX = 256
SHORT_SIDE_PX = 96  # the watermark needs as much; a panorama gets bars
TEXT = "PREVIEW - AI generated"
DRAWN_PITCH_PX, TEXT_PX = 26, 13
ROWS = 8  # of text, after which it repeats; each is shifted by three eighths against the one above: no column without letters
LINES_PER_FACE = 4  # in a face's height
LINE_PITCH_MIN_PX = 22.0  # for a smaller face they lie twice as far apart, or four times
LINE_WIDTH, LINE_WIDTH_MIN_PX = 0.045, 1.4  # of the pitch
EDGE_PX = 0.9  # dark, on both sides of a line
LETTERS, OUTLINE = 0.55, 0.45  # opacity of the words
CLEAR_OF_WORDS = 1.15  # around eyes and mouth, in distances of the eyes: what a preview is looked at for carries the lines alone
STRENGTH = 2.0  # of the watermark: one still of 256 px is read back with four times the evidence needed; it may be seen here


@dataclass(frozen=True, slots=True)
class VisibleMark:
    """Lines and words over a whole picture: level float32 (H, W, 1) 0..255 and alpha float32 (H, W, 1) 0..1."""

    level: Tensor
    alpha: Tensor


def crossed(frame: Tensor, faces: Sequence[Tensor]) -> Tensor:
    """An engine's frame, uint8 RGB (H, W, 3), reduced to a preview's size and with the visible mark on it, uint8.

    faces: the landmarks (478, 2 or 3) of each face in it, in pixels of the frame.
    """
    small = reduced(frame)
    shrunk = _shrink(frame)
    offset = torch.tensor([(small.shape[1] - shrunk[1]) // 2, (small.shape[0] - shrunk[0]) // 2])
    scale = torch.tensor([shrunk[1] / frame.shape[1], shrunk[0] / frame.shape[0]])
    placed = [face[:, :2] * scale + offset for face in faces]
    return burnt_in(small, visible_mark(small.shape[1], small.shape[0], placed))


def finished(picture: Tensor, embedder: Embedder) -> bytes:
    """What `crossed` gave, as the PNG that may be shown: watermarked too, by an embedder of strength STRENGTH."""
    return encoded(watermarked(picture, embedder))


def _shrink(frame: Tensor) -> tuple[int, int]:
    """Height and width, both even, that a frame (H, W, 3) is reduced to."""
    height, width = frame.shape[:2]
    scale = min(1.0, LONG_SIDE_PX / max(height, width))
    return max(2, round(height * scale / 2) * 2), max(2, round(width * scale / 2) * 2)


def reduced(frame: Tensor) -> Tensor:
    """uint8 (H, W, 3) to at most LONG_SIDE_PX on its long side, even on both; grey bars where the short side gets too short."""
    size = _shrink(frame)
    planes = frame.permute(2, 0, 1)[None].float()
    if size != tuple(frame.shape[:2]):
        planes = F.interpolate(planes, size=size, mode="bilinear", antialias=True, align_corners=False)
    down, across = max(0, SHORT_SIDE_PX - size[0]), max(0, SHORT_SIDE_PX - size[1])
    planes = F.pad(planes, (across // 2, across - across // 2, down // 2, down - down // 2), value=128.0)
    return planes[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()


def visible_mark(width: int, height: int, faces: Sequence[Tensor] = ()) -> VisibleMark:
    """The mark on the faces, landmarks (478, 2 or 3), of a picture and around them; around its middle when there is none."""
    planes = [plane for face in faces if (plane := plane_of(face, width, height)) is not None]
    places, units_px = nearest(planes or [middle_plane(width, height)])
    outside = (from_middle(places) - CLEAR_OF_WORDS).clamp(0, 0.25) * 4
    pitch_px = _pitch_px(FACE_HEIGHT / LINES_PER_FACE * units_px)
    places = places * (units_px / pitch_px)[..., None]  # in pitches
    words = _words(places)
    lines, edges = _lines(places, pitch_px)
    level, alpha = words[..., 0] * (1 - edges), words[..., 1] * outside * (1 - edges) + OUTLINE * edges
    level, alpha = level * (1 - lines) + 255 * lines, alpha * (1 - lines) + lines
    return VisibleMark(level[..., None], alpha[..., None])


def _pitch_px(pitch_px: Tensor) -> Tensor:
    """Pixels from line to line (H, W): doubled until they can be told apart."""
    return pitch_px * 2 ** torch.ceil(torch.log2(LINE_PITCH_MIN_PX / pitch_px)).clamp_min(0)


def _lines(places: Tensor, pitch_px: Tensor) -> tuple[Tensor, Tensor]:
    """How far lines, and their dark edges with them, cover each pixel, 0..1 (H, W): diamonds, alike on both sides."""
    across, down = places[..., 0], places[..., 1]
    turned = torch.stack([across + down, down - across])
    away_px = ((turned - turned.round()).abs() / 2**0.5).amin(dim=0) * pitch_px
    half_px = (LINE_WIDTH * pitch_px).clamp_min(LINE_WIDTH_MIN_PX) / 2
    return (half_px + 0.5 - away_px).clamp(0, 1), (half_px + EDGE_PX + 0.5 - away_px).clamp(0, 1)


def _words(places: Tensor) -> Tensor:
    """Level and alpha (H, W, 2) of the text at places in pitches, one row per pitch."""
    tile = _tile()
    size = torch.tensor([tile.shape[2] - 1, tile.shape[1] - 1])  # the last row and column are the first again
    at = (places * DRAWN_PITCH_PX).remainder(size) / size * 2 - 1
    return F.grid_sample(tile[None], at[None].float(), mode="bilinear", align_corners=True)[0].permute(1, 2, 0)


@lru_cache(maxsize=1)
def _tile() -> Tensor:
    """The text over and over, float32 (2, H + 1, W + 1): level 0..255 and alpha 0..1; its edges fit each other."""
    font = ImageFont.load_default(size=TEXT_PX)
    period = -(-(int(font.getlength(TEXT)) + TEXT_PX) // ROWS) * ROWS
    tile = Image.new("LA", (period, ROWS * DRAWN_PITCH_PX), (0, 0))
    outline, letters = (0, round(255 * OUTLINE)), (255, round(255 * LETTERS))
    for row in range(ROWS):
        line = Image.new("LA", (period, DRAWN_PITCH_PX), (0, 0))
        ImageDraw.Draw(line).text((1, 5), TEXT, fill=letters, font=font, stroke_width=1, stroke_fill=outline)
        tile.paste(Image.fromarray(np.roll(np.asarray(line), 3 * row * period // ROWS, axis=1)), (0, row * DRAWN_PITCH_PX))
    values = torch.from_numpy(np.asarray(tile, dtype=np.float32)).permute(2, 0, 1) / torch.tensor([1.0, 255.0]).reshape(2, 1, 1)
    return F.pad(values[None], (0, 1, 0, 1), mode="circular")[0]


def burnt_in(frame: Tensor, mark: VisibleMark) -> Tensor:
    """uint8 (H, W, 3) with the mark over it."""
    return (frame * (1 - mark.alpha) + mark.level * mark.alpha).round().to(torch.uint8)


def watermarked(frame: Tensor, embedder: Embedder) -> Tensor:
    """uint8 (H, W, 3) with the invisible mark, strong enough to be read from this one picture."""
    batch = FrameBatch(frame[None], torch.zeros(1, dtype=torch.float64))
    return next(iter(embedder.embed([batch]))).rgb[0]


def encoded(frame: Tensor) -> bytes:
    """uint8 (H, W, 3) as a PNG."""
    out = io.BytesIO()
    Image.fromarray(frame.numpy()).save(out, "PNG", compress_level=1)
    return out.getvalue()
