"""What a finished second costs: every stage on its own, all of them as the product runs them, a 4K picture, and memory.

    python -m tests.bench.animation.speed [--frames N] [--portrait FILE] [--memory FRAMES ...] [--skip-4k]

The driver is 512 x 512 (carphone enlarged four times and cut), read from a normalised file as often as needed; the portrait is
512 x 512 as well (the astronaut of scikit-image, enlarged, or the centre of FILE). One thread of torch, as the workers have.

stages: CPU and wall milliseconds per frame of each stage alone, on frames in memory. `encode` is x264 medium at CRF 18, by
which the others are measured too. whole: CLEAR's read -> track, then RENDER's animate -> watermark -> encode; reading and
animating work ahead in threads of their own (`media.video.prefetch`), and x264 in its own. fps is for both parts together. On
a busy machine look at CPU alone; `fps by CPU` is what two idle cores could reach at best. 4K: `animate` on 3840 x 2160, as a
multiple of 512 x 512.
preview: one frame by `Animator.preview`, as a multiple of a rendered one. memory: the largest resident memory of a fresh
process that does the whole for so many frames. The last line is JSON.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import skimage.data
import torch
from PIL import Image

from generation.engines import load
from generation.engines.base import FaceTrack, Options, Performance, SourceFace, Still
from media.frames import FrameBatch
from media.tracking import FaceTracker
from media.video import VideoWriter, prefetch, read_frames
from media.video.colour import to_yuv
from provenance.watermark import Embedder, derive_key
from settings.dev_commands import DEFAULTS
from tests.bench.animation import acting, clips, report

SIZE = 512
FRAMES = 96
MEMORY_FRAMES = (100, 400, 3000)
BATCH = 8
KEY = derive_key(b"a master secret of the benchmark", "bench")
PAYLOAD = 0x0123456789ABCDEF
CUT_LEFT, CUT_TOP = 60, 32  # of carphone at 704 x 576: the face stays inside
LARGE = (3840, 2160)
WHOLE_PICTURE = SourceFace((0.0, 0.0, float(SIZE), float(SIZE)))


@dataclass(frozen=True)
class Cost:
    """Milliseconds per frame."""

    cpu_ms: float
    wall_ms: float


def timed(work: Callable[[], object], frames: int) -> Cost:
    """What a piece of work costs per frame. CPU is that of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost((time.process_time() - cpu) * 1000 / frames, (time.perf_counter() - wall) * 1000 / frames)


def driver_file() -> Path:
    """A normalised 512 x 512 driver."""
    path = clips.cache_dir() / "carphone-512.mp4"
    if not path.exists():
        clip = clips.carphone()
        frames = np.ascontiguousarray(clip.frames[:, CUT_TOP : CUT_TOP + SIZE, CUT_LEFT : CUT_LEFT + SIZE])
        raw = path.with_suffix(".raw.mp4")
        with VideoWriter(raw, width=SIZE, height=SIZE, frame_rate=clip.rate, crf=12) as writer:
            writer.write(FrameBatch(torch.from_numpy(frames), torch.zeros(len(frames), dtype=torch.float64)))
        clips.normalise(raw, path)
        raw.unlink()
    return path


def endless(path: Path) -> Iterator[FrameBatch]:
    """The file again and again, decoded each time."""
    while True:
        yield from read_frames(path, batch_size=BATCH)


def driving(path: Path, frames: int) -> Iterator[FrameBatch]:
    """So many frames of the endless driver; `frames` counts in whole batches."""
    return islice(endless(path), frames // BATCH)


def followed(frames: Iterable[FrameBatch], count: int) -> FaceTrack:
    """The largest face of each of `count` frames. The track is written in place, as RENDER reads it: once in memory."""
    landmarks, presence = torch.full((count, 478, 3), torch.nan), torch.zeros(count)
    for tracked in FaceTracker("cpu").track(frames):
        face = max(tracked.faces, key=lambda face: face.presence, default=None)
        if face is not None:
            landmarks[tracked.index], presence[tracked.index] = face.landmarks, face.presence
    return FaceTrack(landmarks, presence, clips.carphone_rate(), SIZE, SIZE)


def portrait(path: Path | None) -> torch.Tensor:
    """uint8 (512, 512, 3)."""
    if path is None:
        picture = Image.fromarray(skimage.data.astronaut()[:320, 64:384])
    else:
        whole = Image.open(path).convert("RGB")
        side = min(whole.size)
        left, top = (whole.width - side) // 2, (whole.height - side) // 2
        picture = whole.crop((left, top, left + side, top + side))
    return torch.from_numpy(np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.LANCZOS)).copy())


def large(small: torch.Tensor) -> torch.Tensor:
    """uint8 (2160, 3840, 3): the same portrait, enlarged, before a wall that shows nobody."""
    wall = Image.fromarray(skimage.data.coffee()).resize(LARGE, Image.Resampling.BICUBIC)
    wall.paste(Image.fromarray(small.numpy()).resize((LARGE[1], LARGE[1]), Image.Resampling.LANCZOS), (840, 0))
    return torch.from_numpy(np.asarray(wall).copy())


class Studio:
    """The engine with one prepared portrait."""

    def __init__(self, still: torch.Tensor, face: SourceFace | None = None) -> None:
        self._engine, self._face = load("mesh", device="cpu"), face or acting.main_face(still)
        self.prepare = timed(lambda: self._prepare(still), 1)

    def _prepare(self, still: torch.Tensor) -> None:
        self.prepared = self._engine.prepare(Still(still))

    def animated(self, track: FaceTrack) -> Iterator[FrameBatch]:
        """The rendered frames."""
        return self._engine.animate(self.prepared, [Performance(self._face, track)], Options())

    def preview(self, track: FaceTrack) -> torch.Tensor:
        """One frame out of the middle."""
        seconds = track.frame_count / 2 / float(track.frame_rate)
        return self._engine.preview(self.prepared, [Performance(self._face, track)], Options(), seconds)


def marked(frames: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
    """Planar and watermarked."""
    return Embedder(KEY, PAYLOAD).embed(map(to_yuv, frames))


def encode(frames: Iterable[FrameBatch], folder: Path, size: tuple[int, int] = (SIZE, SIZE)) -> None:
    """As the product encodes."""
    width, height = size
    with VideoWriter(folder / "out.mp4", width=width, height=height, frame_rate=clips.carphone_rate()) as writer:
        for batch in frames:
            writer.write(batch)


def stages(studio: Studio, path: Path, frames: int, folder: Path) -> tuple[dict[str, Cost], FaceTrack]:
    """Each stage alone, on what the one before it left in memory."""
    kept: dict[str, list[FrameBatch]] = {}
    tracks: list[FaceTrack] = []
    costs = {
        "read": timed(lambda: kept.update(read=list(driving(path, frames))), frames),
        "track": timed(lambda: tracks.append(followed(kept["read"], frames)), frames),
        "animate": timed(lambda: kept.update(animate=list(studio.animated(tracks[0]))), frames),
        "watermark": timed(lambda: kept.update(watermark=list(marked(kept["animate"]))), frames),
        "encode": timed(lambda: encode(kept["watermark"], folder), frames),
    }
    return costs, tracks[0]


def whole(studio: Studio, path: Path, frames: int, folder: Path) -> tuple[Cost, Cost]:
    """CLEAR's and RENDER's share of one job, in the overlapped way."""
    tracks: list[FaceTrack] = []
    clear = timed(lambda: tracks.append(followed(prefetch(driving(path, frames)), frames)), frames)
    render = timed(lambda: encode(marked(prefetch(studio.animated(tracks[0]))), folder), frames)
    return clear, render


def four_k(still: torch.Tensor, track: FaceTrack) -> Cost:
    """`animate` alone on a 4K picture, over as many frames as on the small one: what is learnt once is shared by as many."""
    studio = Studio(large(still))

    def consume() -> None:
        for _ in studio.animated(track):
            pass

    return timed(consume, track.frame_count)


def peak_mb(frames: int, portrait_path: Path | None) -> float:
    """Largest resident memory, in MiB, of a fresh process that does the whole."""
    command = [sys.executable, "-m", "tests.bench.animation.speed", "--memory-child", str(frames)]
    command += ["--portrait", str(portrait_path)] if portrait_path else []
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**DEFAULTS, **os.environ})
    return float(done.stdout.split()[-1])


def memory_child(frames: int, still: torch.Tensor) -> None:
    """The whole, and then this process's largest resident memory."""
    with tempfile.TemporaryDirectory() as folder:
        # the search for the face needs more than all the rest, and would hide what grows
        whole(Studio(still, WHOLE_PICTURE), driver_file(), frames // BATCH * BATCH, Path(folder))
    # ru_maxrss would tell the peak of the process that started this one, where that was larger (Linux, getrusage(2))
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    print(int(status["VmHWM"].split()[0]) / 1024)


def measure(portrait_path: Path | None, frames: int, *, with_4k: bool) -> dict[str, object]:
    """All speeds; prints them as they come."""
    frames = frames // BATCH * BATCH
    path, still = driver_file(), portrait(portrait_path)
    studio = Studio(still)
    with tempfile.TemporaryDirectory() as name:
        costs, track = stages(studio, path, frames, Path(name))
        clear, render = whole(studio, path, frames, Path(name))
    preview, one_ms = timed(lambda: studio.preview(track), 1), costs["animate"].cpu_ms
    figures: dict[str, object] = {
        "frames": frames,
        "load": os.getloadavg()[0],
        "prepare_s": studio.prepare.cpu_ms / 1000,
        "stages": {stage: vars(cost) for stage, cost in costs.items()},
        **_totals(costs, clear, render),
        "preview_ms": preview.cpu_ms,
        "preview_ratio": preview.cpu_ms / one_ms,
    }
    if with_4k:
        large_ms = four_k(still, track).cpu_ms
        figures |= {"animate_4k_ms": large_ms, "ratio_4k": large_ms / one_ms}
    return figures


def _totals(costs: dict[str, Cost], clear: Cost, render: Cost) -> dict[str, object]:
    cpu_ms, wall_ms = clear.cpu_ms + render.cpu_ms, clear.wall_ms + render.wall_ms
    return {
        "clear": vars(clear),
        "render": vars(render),
        "fps": 1000 / wall_ms,
        "fps_by_cpu": 2 * 1000 / cpu_ms,
        "wall_ratio_to_x264": wall_ms / costs["encode"].wall_ms,
        "cpu_ratio_to_x264": cpu_ms / costs["encode"].cpu_ms,
    }


def table(figures: dict[str, object]) -> str:
    """The figures as lines."""
    named = {name: value for name, value in figures.items() if isinstance(value, dict)}
    rows = {**named["stages"], "whole: clear": named["clear"], "whole: render": named["render"]}
    lines = [f"{'ms per frame':14}{'CPU':>8}{'wall':>8}"]
    lines += [f"{name:14}{cost['cpu_ms']:8.1f}{cost['wall_ms']:8.1f}" for name, cost in rows.items()]
    return "\n".join([*lines, *(f"{name:20}{value:9.2f}" for name, value in figures.items() if name not in named)])


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=FRAMES, help="for the speeds (default: %(default)s)")
    parser.add_argument("--portrait", type=Path, help="a picture; its centre is cut square and brought to 512 x 512")
    parser.add_argument("--memory", type=int, nargs="*", default=[], metavar="FRAMES", help=f"such as {MEMORY_FRAMES}")
    parser.add_argument("--skip-4k", action="store_true")
    parser.add_argument("--memory-child", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.memory_child:
        memory_child(given.memory_child, portrait(given.portrait))
        return {}
    figures = measure(given.portrait, given.frames, with_4k=not given.skip_4k)
    print(table(figures))
    peaks = {}
    for frames in given.memory:
        peaks[str(frames)] = peak_mb(frames, given.portrait)
        print(f"peak at {frames} frames {peaks[str(frames)]:.0f} MiB", flush=True)
    figures["peak_mb"] = peaks
    print(report.as_json("animation.speed", figures))
    return figures


if __name__ == "__main__":
    main()
