"""Outputs of the mesh engine to tell apart: every portrait with every segment of every driver, rendered once and kept.

    python -m tests.bench.fingerprint.outputs [--data DIR] [--folder DIR]

Portraits are those of DIR (or COUNTERSIGN_SAMPLE_DATA), the astronaut, and one frame of each driver; drivers are carphone and
those of DIR, cut into segments of 3 s that do not overlap (a rest of 2.5 s or more is one too); of a clip with two faces side
by side, the left one performs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from skimage.data import astronaut
from torch.nn.functional import interpolate

from generation.engines import load
from generation.engines.base import Animator, EngineError, Options
from media.frames import FrameBatch
from media.video import VideoWriter
from tests.bench.animation import acting, clips

SIDE_PX = 400
SEGMENT_S, REST_S = 3.0, 2.5
TWO_FACES = "two_faces"
FOLDER = Path("var/bench/fingerprint/outputs")


@dataclass(frozen=True, slots=True)
class Piece:
    """One clip. portrait, driver: who is seen, and whose performance; clips that share one of them are the hardest to tell."""

    portrait: str
    driver: str
    path: Path

    @property
    def name(self) -> str:
        """Unique."""
        return f"{self.portrait}__{self.driver}"


def rendered(data: Path, folder: Path = FOLDER) -> list[Piece]:
    """Every output, rendered where it is not kept yet."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = list(_drivers(data))
    stills = dict(_stills(data, whole))
    engine: Animator | None = None
    made = []
    for clip in (segment for driver in whole for segment in _segments(one_face(driver))):
        for name, still in stills.items():
            output = Piece(name, clip.name, folder / f"{name}__{clip.name}.mp4")
            refused = output.path.with_suffix(".refused")
            if not output.path.exists() and not refused.exists():
                engine = engine or load("mesh", device="cpu")
                render(engine, still, clip, output.path, refused)
            if output.path.exists():
                made.append(output)
    return made


def render(engine: Animator, still: torch.Tensor, clip: clips.Clip, path: Path, refused: Path) -> None:
    """One output; a note at `refused` when the engine refuses the still."""
    partial = path.with_suffix(".partial.mp4")
    try:
        frames = acting.perform(still, clips.track_of(clip), engine=engine, options=Options()).frames
    except EngineError as error:
        refused.write_text(error.message, encoding="utf-8")
        return
    height, width = (side // 2 * 2 for side in frames.shape[1:3])
    with VideoWriter(partial, width=width, height=height, frame_rate=clip.rate, crf=18, preset="veryfast") as writer:
        for start in range(0, len(frames), 8):
            part = torch.from_numpy(np.ascontiguousarray(frames[start : start + 8, :height, :width]))
            writer.write(FrameBatch(part, torch.arange(start, start + len(part), dtype=torch.float64) / float(clip.rate)))
    partial.replace(path)
    print(f"rendered {path.stem}", flush=True)


def _drivers(data: Path) -> Iterator[clips.Clip]:
    yield clips.carphone()
    for path in clips.drivers(data):
        yield clips.driver(path, None)


def one_face(clip: clips.Clip) -> clips.Clip:
    """A driver with one performer."""
    if TWO_FACES not in clip.name:
        return clip
    left = np.ascontiguousarray(clip.frames[:, :, : clip.size[0] // 2])
    return replace(clip, name=f"{clip.name}_left", frames=left, key=f"{clip.key}-left")


def _segments(clip: clips.Clip) -> Iterator[clips.Clip]:
    length = round(SEGMENT_S * clip.rate)
    for number, first in enumerate(range(0, len(clip.frames) - round(REST_S * clip.rate) + 1, length)):
        frames = clip.frames[first : first + length]
        yield replace(clip, name=f"{clip.name}_{number}", frames=frames, key=f"{clip.key}-{first}-{len(frames)}")


def _stills(data: Path, drivers: Sequence[clips.Clip]) -> Iterator[tuple[str, torch.Tensor]]:
    yield "astronaut", small(torch.from_numpy(astronaut()))
    for path in clips.portraits(data):
        yield path.stem, small(clips.portrait(path))
    for clip in drivers:
        yield f"of_{clip.name}", small(torch.from_numpy(clip.frames[0].copy()))


def small(still: torch.Tensor, side_px: int = SIDE_PX) -> torch.Tensor:
    """A still (H, W, 3) whose longer side has `side_px`."""
    height, width = still.shape[:2]
    scale = side_px / max(height, width)
    size = (round(height * scale / 2) * 2, round(width * scale / 2) * 2)
    picture = still.permute(2, 0, 1)[None].float()
    small = interpolate(picture, size=size, mode="bilinear", antialias=True, align_corners=False)
    return small.round().clamp(0, 255).byte()[0].permute(1, 2, 0).contiguous()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    data = clips.sample_data(options.data)
    if data is None:
        parser.exit(2, f"Name a folder of portraits and drivers by --data or {clips.DATA_VARIABLE}.\n")
    print(f"{len(rendered(data, options.folder))} outputs in {options.folder}")


if __name__ == "__main__":
    main()
