"""What is left of a stream when the picture is taken away, summed over windows of time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import chain, groupby

from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from media.frames import FrameBatch, YuvPlanes

from .colour import blue_difference, luma
from .errors import FrameSizeChanged

_CELL_PX = 4
_LUMA_EPS = 15.0
_CHROMA_EPS = 30.0
_CLIP = 1.5
_ANALYSIS_SIDE_PX = 1280  # larger pictures are averaged down by a whole factor first: memory and time stay bounded
_LEAST_SIDE_PX = 32


def guided_residual(plane: Tensor, eps: float) -> Tensor:
    """plane - guided filter of plane by itself, over the local rms of that difference plus one, clipped at 1.5.

    plane: float32 (N, H, W). Fast guided filter (He and Sun 2015), radius about 8, statistics at a quarter of the size.
    """
    mean = _box(_cells(plane))
    variance = (_box(_cells(plane.square())) - mean.square()).clamp_min(0.0)
    gain = variance / (variance + eps)
    offset = _box(mean * (1.0 - gain))
    size = (plane.shape[1], plane.shape[2])
    residual = plane - _stretch(_box(gain), size) * plane - _stretch(offset, size)
    rms = _stretch(_box(_cells(residual.square())).clamp_min(0.0).sqrt(), size)
    return (residual / (rms + 1.0)).clamp_(-_CLIP, _CLIP)


def _cells(plane: Tensor) -> Tensor:
    return avg_pool2d(plane[:, None], _CELL_PX, ceil_mode=True, count_include_pad=False)[:, 0]


def _box(cells: Tensor) -> Tensor:
    return avg_pool2d(cells[:, None], 5, stride=1, padding=2, count_include_pad=False)[:, 0]


def _stretch(cells: Tensor, size: tuple[int, int]) -> Tensor:
    return interpolate(cells[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]


@dataclass
class Window:
    """Summed residuals of one stretch of time.

    luma: float32 (h, w); chroma: float32 (about h/2, w/2); pixel: received pixels per sample of `luma`; rows: received height.
    """

    start_s: float
    end_s: float
    frames: int
    luma: Tensor
    chroma: Tensor
    pixel: int
    rows: int

    def plus(self, other: Window) -> Window:
        """Both stretches as one, from the first start to the last end."""
        if self.luma.shape != other.luma.shape:
            raise FrameSizeChanged
        return Window(
            start_s=min(self.start_s, other.start_s),
            end_s=max(self.end_s, other.end_s),
            frames=self.frames + other.frames,
            luma=self.luma + other.luma,
            chroma=self.chroma + other.chroma,
            pixel=self.pixel,
            rows=self.rows,
        )


def windows(batches: Iterable[FrameBatch], *, window_s: float, looks_per_s: float) -> Iterator[Window]:
    """Residual windows of a stream, in order. Frames looked at are spread evenly over time. Memory: two windows.

    A stretch with less than a third of the frames of the one before it is joined to that one. Frames under 32 pixels a side
    cannot hold a mark and are passed over. Raises FrameSizeChanged when the size changes on the way.
    """
    moments = _moments(batches, 1.0 / looks_per_s)
    first = next(moments, None)
    if first is None:
        return
    held: Window | None = None
    numbered = groupby(chain([first], moments), key=lambda moment: int((moment.start_s - first.start_s) / window_s + 1e-6))
    for _, group in numbered:
        current = reduce(Window.plus, group)
        if held is not None and 3 * current.frames < held.frames:
            held = held.plus(current)
            continue
        if held is not None:
            yield held
        held = current
    if held is not None:
        yield held


def _moments(batches: Iterable[FrameBatch], interval_s: float) -> Iterator[Window]:
    """One window per frame looked at; each lasts until the next one.

    The frame on show when a look is due is the one taken, so a frame that is held for long, or many in a short time, count by
    the time they are seen.
    """
    due_s = -math.inf
    step_s = 0.0
    last_s: float | None = None
    size: tuple[int, int] | None = None
    for batch in batches:
        size = size or (batch.height, batch.width)
        if size != (batch.height, batch.width):
            raise FrameSizeChanged
        if min(batch.height, batch.width) < _LEAST_SIDE_PX:
            continue
        for i, start_s in enumerate(batch.timestamps_s.tolist()):
            if start_s < due_s:
                continue
            due_s = max(due_s + interval_s, start_s + 0.5 * interval_s)
            step_s = start_s - last_s if last_s is not None else step_s
            last_s = start_s
            yield _look(batch, i, start_s, start_s + step_s)


def _look(batch: FrameBatch, index: int, start_s: float, end_s: float) -> Window:
    one = FrameBatch(pixels=_frame(batch, index), timestamps_s=batch.timestamps_s[index : index + 1])
    pixel = -(-max(batch.height, batch.width) // _ANALYSIS_SIDE_PX)
    bright, blue = luma(one), blue_difference(one)
    if pixel > 1:
        bright, blue = (avg_pool2d(plane[:, None], pixel)[:, 0] for plane in (bright, blue))
    return Window(
        start_s=start_s,
        end_s=end_s,
        frames=1,
        luma=guided_residual(bright, _LUMA_EPS)[0],
        chroma=guided_residual(blue, _CHROMA_EPS)[0],
        pixel=pixel,
        rows=batch.height,
    )


def _frame(batch: FrameBatch, index: int) -> Tensor | YuvPlanes:
    if isinstance(batch.pixels, YuvPlanes):
        return YuvPlanes(*(plane[index : index + 1] for plane in (batch.pixels.y, batch.pixels.u, batch.pixels.v)))
    return batch.pixels[index : index + 1]
