"""Clips that no tolerance was set on: other pictures of the portraits, mirrored drivers cut elsewhere, and footage as filmed.

Sets that share no picture and, but for half a second of one, no stretch of a driver. A set is spent as soon as a rule is
changed because of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from generation.engines import load
from media.frames import FrameBatch
from media.video import VideoWriter
from tests.bench import watermark_clips
from tests.bench.animation import clips
from tests.bench.fingerprint.copies import written
from tests.bench.fingerprint.outputs import Piece, one_face, render, small

SECONDS = 3.0
FIT = 0.85  # of a portrait's sides that is kept: another framing


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One set. portraits, drivers, footage: (stem of a file, second of the still or of the start); bikes_s: the same second."""

    side_px: int
    portraits: tuple[tuple[str, float], ...]
    drivers: tuple[tuple[str, float], ...]
    footage: tuple[tuple[str, float], ...]
    bikes_s: float


SETS = {
    "a": HeldOut(
        side_px=320,
        portraits=(("d0", 1.6), ("d3", 7.2), ("d18", 4.0), ("painting_s5", 0.0), ("painting_s10", 0.0), ("photo_s42", 0.0)),
        drivers=(("d12", 1.3), ("d18", 1.7), ("d3", 1.4), ("s32_video_source", 1.5)),
        footage=(("d0", 0.0), ("d3", 0.0), ("d18", 0.5), ("s32_video_source", 2.0)),
        bikes_s=4.0,
    ),
    "b": HeldOut(
        side_px=480,
        portraits=(("d12", 6.0), ("d20_two_faces", 5.0), ("s32_video_source", 5.0), ("cartoon_s7", 0.0), ("cat_s39", 0.0)),
        drivers=(("carphone", 0.9), ("d20_two_faces", 2.0), ("d3", 7.6), ("d12", 4.3)),
        footage=(("d12", 2.0), ("d20_two_faces", 3.0), ("d3", 8.0), ("carphone", 1.0)),
        bikes_s=7.0,
    ),
    "c": HeldOut(
        side_px=360,
        portraits=(("painting_s3", 0.0), ("sculpture_s6", 0.0), ("d3", 10.9), ("d0", 2.9), ("d20_two_faces", 0.5)),
        drivers=(("d18", 4.2), ("d3", 4.4), ("d0", 0.1)),
        footage=(("d18", 4.2), ("d3", 4.4), ("d20_two_faces", 0.0)),
        bikes_s=1.0,
    ),
}


def held_out(name: str, data: Path, folder: Path) -> list[Piece]:
    """The clips of a set, made where they are not kept yet: each portrait with three drivers, then footage."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = SETS[name]
    drivers = {clip.name: clip for clip in (clips.carphone(), *(clips.driver(path, None) for path in clips.drivers(data)))}
    return [*_performed(chosen, data, drivers, folder), *_filmed(chosen, drivers, folder)]


def _performed(chosen: HeldOut, data: Path, drivers: dict[str, clips.Clip], folder: Path) -> Iterator[Piece]:
    engine = load("mesh", device="cpu")
    for number, (stem, at_s) in enumerate(chosen.portraits):
        still = small(_still(stem, at_s, data, drivers), chosen.side_px)
        for step in range(3):
            source, start_s = chosen.drivers[(number + step) % len(chosen.drivers)]
            clip = _mirrored(_stretch(one_face(drivers[source]), start_s))
            piece = Piece(f"other_{stem}", clip.name, folder / f"other_{stem}__{clip.name}.mp4")
            refused = piece.path.with_suffix(".refused")
            if not piece.path.exists() and not refused.exists():
                render(engine, still, clip, piece.path, refused)
            if piece.path.exists():
                yield piece


def _filmed(chosen: HeldOut, drivers: dict[str, clips.Clip], folder: Path) -> Iterator[Piece]:
    for stem, start_s in chosen.footage:
        clip = _stretch(drivers[stem], start_s)
        path = folder / f"filmed_{clip.name}.mp4"
        if not path.exists():
            _write(clip, path)
        yield Piece(f"filmed_{stem}", clip.name, path)
    path = folder / "bikes.mp4"
    if not path.exists():
        whole = watermark_clips.bikes(chosen.bikes_s + SECONDS)
        written(whole.y[round(chosen.bikes_s * whole.rate) :].numpy(), whole.rate, path)
    yield Piece("bikes", "bikes", path)


def _still(stem: str, at_s: float, data: Path, drivers: dict[str, clips.Clip]) -> torch.Tensor:
    """Mirrored, and closer than it was."""
    if stem in drivers:
        clip = one_face(drivers[stem])
        picture = torch.from_numpy(clip.frames[round(at_s * clip.rate)].copy())
    else:
        picture = clips.portrait(data / "portraits" / f"{stem}.jpg")
    height, width = picture.shape[:2]
    top, left = round(height * (1 - FIT) / 2), round(width * (1 - FIT) / 2)
    return picture[top : height - top, left : width - left].flip(1).contiguous()


def _stretch(clip: clips.Clip, start_s: float) -> clips.Clip:
    first, count = round(start_s * clip.rate), round(SECONDS * clip.rate)
    frames = np.ascontiguousarray(clip.frames[first : first + count])
    return replace(clip, name=f"{clip.name}_at_{start_s:g}s", frames=frames, key=f"{clip.key}-{first}-{len(frames)}")


def _mirrored(clip: clips.Clip) -> clips.Clip:
    return replace(clip, name=f"{clip.name}_mirrored", frames=np.ascontiguousarray(clip.frames[:, :, ::-1]), key=f"{clip.key}-m")


def _write(clip: clips.Clip, path: Path) -> None:
    height, width = (side // 2 * 2 for side in clip.frames.shape[1:3])
    partial = path.with_suffix(".partial.mp4")
    with VideoWriter(partial, width=width, height=height, frame_rate=clip.rate, crf=18, preset="veryfast") as writer:
        for batch in clip.batches():
            writer.write(FrameBatch(batch.rgb[:, :height, :width].contiguous(), batch.timestamps_s))
    partial.replace(path)
