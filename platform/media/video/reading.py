"""Reading normalised video, in process and in constant memory. Never for untrusted files: see `media.video.untrusted`."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
import torch
from av.container import InputContainer
from av.video.stream import VideoStream

from media.decoder.pixels import PlaneStack, stack_of
from media.errors import BadInput
from media.frames import FrameBatch, YuvPlanes
from media.video.colour import to_rgb


def read_planes(path: Path, *, batch_size: int = 8, start_frame: int = 0) -> Iterator[FrameBatch]:
    """Stream a normalised video as planar batches of at most `batch_size` frames, with time stamps from the first frame on.

    start_frame: how many frames to leave out; the reader jumps to the key frame before the first that is wanted.
    Raises BadInput when the file is not a normalised video (8-bit 4:2:0 of an even size) or breaks off.
    """
    pending: list[PlaneStack] = []
    times: list[float] = []
    for planes, time_s in _frames(path, start_frame):
        pending.append(planes)
        times.append(time_s)
        if len(pending) == batch_size:
            yield as_batch(pending, times)
            pending, times = [], []
    if pending:
        yield as_batch(pending, times)


def read_frames(path: Path, *, batch_size: int = 8, start_frame: int = 0) -> Iterator[FrameBatch]:
    """Stream a normalised video as uint8 RGB batches (N, H, W, 3); else as `read_planes`."""
    return map(to_rgb, read_planes(path, batch_size=batch_size, start_frame=start_frame))


def as_batch(stacks: list[PlaneStack], times_s: list[float]) -> FrameBatch:
    """Frames packed as (3H/2, W) -> one planar batch."""
    packed = torch.from_numpy(np.stack(stacks))  # (N, 3H/2, W)
    count, rows, width = packed.shape
    height = rows * 2 // 3
    chroma = packed[:, height:].reshape(count, 2, height // 2, width // 2)
    planes = YuvPlanes(y=packed[:, :height], u=chroma[:, 0], v=chroma[:, 1])
    return FrameBatch(pixels=planes, timestamps_s=torch.tensor(times_s, dtype=torch.float64))


def read_frame(path: Path, index: int) -> torch.Tensor:
    """Frame `index`, uint8 RGB (H, W, 3). Raises BadInput as `read_planes` does, and past the end."""
    for batch in read_frames(path, batch_size=1, start_frame=index):
        return batch.rgb[0]
    raise BadInput(f"{path.name} has no frame {index}; normalise the original again")


def _frames(path: Path, start_frame: int) -> Iterator[tuple[PlaneStack, float]]:
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            first, wanted = _jump(container, stream, start_frame)
            for frame in container.decode(stream):
                if frame.format.name != "yuv420p" or frame.pts is None or frame.time_base is None:
                    raise BadInput(f"{path.name} is not a normalised video ({frame.format.name}); normalise it first")
                shown = frame.pts * frame.time_base
                first = shown if first is None else first
                if shown - first >= wanted:
                    yield stack_of(frame), float(shown - first)
    except (av.error.FFmpegError, IndexError) as error:
        raise BadInput(f"{path.name} cannot be read as video ({error}); normalise the original again") from error


def _jump(container: InputContainer, stream: VideoStream, start_frame: int) -> tuple[Fraction | None, Fraction]:
    """Go to the key frame before a frame. Returns when the first frame of all is shown, if that is known, and how long after it
    the wanted one is, less half a frame: both are rounded to the file's time base.
    """
    rate = stream.average_rate
    if start_frame <= 0 or stream.time_base is None or stream.start_time is None or not rate:
        return None, Fraction(0)
    first, after = stream.start_time * stream.time_base, (start_frame - Fraction(1, 2)) / rate
    container.seek(int((first + after) / stream.time_base), stream=stream)
    return first, after
