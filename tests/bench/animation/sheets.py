"""Contact sheets and frame strips: what the figures do not say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tests.bench.animation import metrics

Frames = NDArray[np.uint8]
MOMENTS = 12
STRIP_FRAMES = 12
COLUMNS = 6
CAPTION_PX = 18


def telling_moments(landmarks: metrics.Floats, count: int = MOMENTS) -> list[tuple[int, str]]:
    """Frames to look at, in order, each with the reason: the extremes of head, mouth and eyes, then evenly spread ones."""
    angles = metrics.head_angles(landmarks)
    signals = {
        "first": np.where(np.isfinite(angles[:, 0]), -np.arange(len(angles)), np.nan),
        "yaw -": -angles[:, 0],
        "yaw +": angles[:, 0],
        "mouth": metrics.mouth_opening(landmarks),
        "blink": -metrics.eye_opening(landmarks),
        "pitch -": -angles[:, 1],
        "pitch +": angles[:, 1],
        "wide eyes": metrics.eye_opening(landmarks),
    }
    chosen: dict[int, str] = {}
    for reason, signal in signals.items():
        if np.isfinite(signal).any():
            index = int(np.nanargmax(signal))
            chosen[index] = f"{chosen[index]}, {reason}" if index in chosen else reason
    for index in np.linspace(0, len(landmarks) - 1, count, dtype=int).tolist():
        if len(chosen) < count:
            chosen.setdefault(index, "")
    return sorted(chosen.items())


def liveliest(landmarks: metrics.Floats, length: int = STRIP_FRAMES) -> int:
    """First frame of the stretch in which the face moves most."""
    moved = np.linalg.norm(np.diff(landmarks[:, : metrics.FACE_POINTS, :2], axis=0), axis=2).mean(axis=1)
    moved = np.nan_to_num(moved)
    if len(moved) <= length:
        return 0
    return int(np.convolve(moved, np.ones(length - 1), "valid").argmax())


def sheet(path: Path, rows: list[tuple[str, Frames]], moments: list[tuple[int, str]], tile_px: int = 256) -> None:
    """One column per moment and one row per clip, in bands of six columns, captions above."""
    bands = [_band(rows, moments[start : start + COLUMNS], tile_px) for start in range(0, len(moments), COLUMNS)]
    canvas = Image.new("RGB", (max(band.width for band in bands), sum(band.height for band in bands)), "black")
    top = 0
    for band in bands:
        canvas.paste(band, (0, top))
        top += band.height
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path)


def _band(rows: list[tuple[str, Frames]], moments: list[tuple[int, str]], tile_px: int) -> Image.Image:
    pictures = [[_tile(frames[index], tile_px) for index, _ in moments] for _, frames in rows]
    heights = [row[0].height for row in pictures]
    canvas = Image.new("RGB", (tile_px * len(moments), CAPTION_PX + sum(heights)), "black")
    draw = ImageDraw.Draw(canvas)
    for column, (index, reason) in enumerate(moments):
        draw.text((column * tile_px + 4, 3), f"{index} {reason}", fill="white")
    top = CAPTION_PX
    for (name, _), row, height in zip(rows, pictures, heights, strict=True):
        for column, picture in enumerate(row):
            canvas.paste(picture, (column * tile_px, top))
        draw.text((4, top + 3), name, fill="yellow", stroke_width=2, stroke_fill="black")
        top += height
    return canvas


def strip(path: Path, rows: list[tuple[str, Frames]], start: int, length: int = STRIP_FRAMES, tile_px: int = 256) -> None:
    """Consecutive frames, so that jumps between them show."""
    stop = min(start + length, len(rows[0][1]))
    sheet(path, rows, [(index, "") for index in range(start, stop)], tile_px)


def around_the_face(frames: Frames, landmarks: metrics.Floats, share: float = 0.6) -> Frames:
    """Every frame cut to one box that holds the face throughout, with a margin of `share` of its sides."""
    points = landmarks[np.isfinite(landmarks[:, 0, 0])][:, : metrics.FACE_POINTS, :2].reshape(-1, 2)
    if not len(points):
        return frames
    low, high = np.percentile(points, 1, axis=0), np.percentile(points, 99, axis=0)
    side = float((high - low).max()) * (1 + share)
    x, y = (low + high) / 2
    height, width = frames.shape[1:3]
    x0, y0 = int(max(x - side / 2, 0)), int(max(y - side / 2, 0))
    x1, y1 = int(min(x + side / 2, width)), int(min(y + side / 2, height))
    return frames[:, y0:y1, x0:x1]


def scaled(frame: Frames, height: int) -> Frames:
    """A frame at another height, with an even width."""
    width = round(frame.shape[1] * height / frame.shape[0] / 2) * 2
    return np.asarray(Image.fromarray(np.ascontiguousarray(frame)).resize((width, height), Image.Resampling.LANCZOS))


def _tile(frame: Frames, width: int) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(frame))
    return picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
