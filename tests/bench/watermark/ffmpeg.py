"""The ffmpeg of the imageio-ffmpeg wheel, on one core, and how much processor time a run of it took."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

import imageio_ffmpeg

from tests.bench.watermark_clips import Clip, packed


def ffmpeg(arguments: list[str], data: bytes | None = None) -> float:
    """Runs ffmpeg and returns its processor time in seconds."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *arguments]
    before = _children_s()
    subprocess.run(command, input=b"" if data is None else data, check=True, capture_output=True)
    return _children_s() - before


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def raw_input(clip: Clip) -> list[str]:
    """Arguments that read the clip's planes from standard input."""
    width, height = clip.size
    return ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}", "-r", str(clip.rate), "-i", "pipe:0"]


def save_lossless(clip: Clip, path: Path) -> None:
    """The clip, bit for bit."""
    ffmpeg([*raw_input(clip), "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-threads", "1", str(path)], packed(clip))
