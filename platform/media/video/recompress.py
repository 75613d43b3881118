"""What happens to a video on its way through the world, without touching a disk: scaled or cropped, then compressed again.

Frames go through a real encoder and decoder one after the other, so memory does not grow with length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import torch
import torch.nn.functional as F
from torch import Tensor

from media.decoder.pixels import stack_of
from media.frames import FrameBatch, YuvPlanes
from media.video.reading import as_batch

PlaneTransform = Callable[[YuvPlanes], YuvPlanes]


def unchanged(planes: YuvPlanes) -> YuvPlanes:
    """The same planes."""
    return planes


def half_size(planes: YuvPlanes) -> YuvPlanes:
    """Half the width and height, rounded down to even numbers, by area averaging."""
    rows, columns = planes.y.shape[1] // 4 * 2, planes.y.shape[2] // 4 * 2
    return YuvPlanes(
        y=_resize(planes.y, rows, columns),
        u=_resize(planes.u, rows // 2, columns // 2),
        v=_resize(planes.v, rows // 2, columns // 2),
    )


def centre_crop(planes: YuvPlanes, share: float = 0.9) -> YuvPlanes:
    """The middle `share` of the width and of the height, on even rows and columns."""
    height, width = planes.y.shape[1:]
    rows, columns = int(height * share) // 2 * 2, int(width * share) // 2 * 2
    top, left = (height - rows) // 4 * 2, (width - columns) // 4 * 2
    y = planes.y[:, top : top + rows, left : left + columns]
    half = (slice(None), slice(top // 2, (top + rows) // 2), slice(left // 2, (left + columns) // 2))
    return YuvPlanes(y=y, u=planes.u[half], v=planes.v[half])


def _resize(plane: Tensor, rows: int, columns: int) -> Tensor:
    small = F.interpolate(plane[:, None].float(), size=(rows, columns), mode="area")
    return small[:, 0].round().clamp(0, 255).to(torch.uint8)


def recompressed(
    batches: Iterable[FrameBatch],
    *,
    frame_rate: Fraction,
    crf: int,
    transform: PlaneTransform = unchanged,
    preset: str = "veryfast",
) -> Iterator[FrameBatch]:
    """Planar batches as they look after `transform` and x264 at `crf`. Order and number of frames stay."""
    encoder: av.VideoCodecContext | None = None
    decoder = av.CodecContext.create("h264", "r")
    index = 0
    for batch in batches:
        planes = transform(batch.yuv)
        if encoder is None:
            encoder = _encoder(planes, frame_rate, crf, preset)
        for row in _packed(planes):
            frame = av.VideoFrame.from_ndarray(row.numpy(), format="yuv420p")
            frame.pts, frame.time_base = index, 1 / frame_rate
            index += 1
            yield from _decoded(decoder, encoder.encode(frame), frame_rate)
    if encoder is not None:
        yield from _decoded(decoder, [*encoder.encode(None), None], frame_rate)


def _encoder(planes: YuvPlanes, frame_rate: Fraction, crf: int, preset: str) -> av.VideoCodecContext:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = planes.y.shape[1:]
    encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", 1 / frame_rate, frame_rate
    encoder.options = {"crf": str(crf), "preset": preset}
    return encoder


def _packed(planes: YuvPlanes) -> Tensor:
    flat = torch.cat([plane.flatten(1) for plane in (planes.y, planes.u, planes.v)], dim=1)
    return flat.cpu().reshape(flat.shape[0], -1, planes.y.shape[2])  # (N, 3H/2, W)


def _decoded(
    decoder: av.VideoCodecContext, packets: Iterable[av.Packet[Any] | None], frame_rate: Fraction
) -> Iterator[FrameBatch]:
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    if frames:
        times_s = [float(frame.pts / frame_rate) for frame in frames if frame.pts is not None]
        yield as_batch([stack_of(frame) for frame in frames], times_s)
