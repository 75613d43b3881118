"""Marks a stream of frames with a payload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from media.frames import FrameBatch, YuvPlanes

from .carrier import render
from .codec import codewords
from .colour import add, glance, luma
from .errors import FrameSizeChanged, PictureTooSmall
from .keys import KeyRing
from .masking import Mask, mask_of, thumbnail
from .schemes import SCHEME_1, Scheme

SMALLEST_SIDE_PX = 96
REFRESH_FRAMES = 4
_CUT_STEP = 20.0  # mean change from one frame to the next, in code values, that is no movement: it makes the mask stale at once


class Embedder:
    """Adds the mark of one payload under one key.

    key: 16 bytes or more (see `derive_key`). payload: unsigned 64-bit. sync_key: the platform's key for the place of the tile,
    for schemes that share it (2 and later). strength: factor on the amplitude, 1.0 for a first
    render and about 1.35 when the self-test found a thin margin. refresh_frames: frames that share one mask.
    """

    def __init__(
        self,
        key: bytes,
        payload: int,
        scheme: Scheme = SCHEME_1,
        strength: float = 1.0,
        refresh_frames: int = REFRESH_FRAMES,
        *,
        sync_key: bytes | None = None,
    ) -> None:
        ring = KeyRing({"": key}, scheme, sync_key)
        if not 0.1 <= strength <= 4.0:
            raise ValueError("watermark strength lies between 0.1 and 4; use 1.0 for a first render")
        codeword = codewords([payload])[0]
        self._scheme, self._strength, self._refresh_frames = scheme, strength, max(1, refresh_frames)
        keyed = ring.expanded("")
        self._luma_chips, self._chroma_chips = keyed.luma.chips(codeword), keyed.chroma.chips(codeword)

    def embed(self, batches: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
        """The same frames, marked, batch by batch on the batch's own device. All frames of a stream have one size.

        Each frame depends on frames up to itself only, and not on how the stream was cut into batches.
        Raises PictureTooSmall below 96 pixels a side and FrameSizeChanged when the size changes on the way.
        """
        painter: _Painter | None = None
        for batch in batches:
            if painter is None:
                painter = self._painter(batch)
            if (batch.height, batch.width) != painter.size:
                raise FrameSizeChanged
            yield painter.paint(batch)

    def _painter(self, batch: FrameBatch) -> _Painter:
        if min(batch.height, batch.width) < SMALLEST_SIDE_PX:
            raise PictureTooSmall(batch.width, batch.height, SMALLEST_SIDE_PX)
        scheme, height, width = self._scheme, batch.height, batch.width
        period, device = scheme.period_for(height), luma_device(batch)
        half = (-(-height // 2), -(-width // 2))
        return _Painter(
            luma_tile=render(scheme.luma, self._luma_chips, (height, width), period, 1.0, device),
            chroma_tile=render(scheme.chroma, self._chroma_chips, half, period, 2.0, device),
            luma_rms=scheme.luma_rms * self._strength,
            chroma_rms=scheme.chroma_rms * self._strength,
            refresh_frames=self._refresh_frames,
        )


def luma_device(batch: FrameBatch) -> torch.device:
    """Where the batch's pixels live."""
    return batch.pixels.y.device if isinstance(batch.pixels, YuvPlanes) else batch.pixels.device


class _Painter:
    """State of one pass over a stream: the tiles, and the mask in use with its age."""

    def __init__(self, luma_tile: Tensor, chroma_tile: Tensor, luma_rms: float, chroma_rms: float, refresh_frames: int) -> None:
        self._luma_tile, self._chroma_tile = luma_tile, chroma_tile
        self.size = (int(luma_tile.shape[0]), int(luma_tile.shape[1]))
        self._luma_rms, self._chroma_rms = luma_rms, chroma_rms
        self._refresh_frames = refresh_frames
        self._age = 0
        self._mask: Mask | None = None
        self._before: Tensor | None = None
        self._seen = torch.zeros(())
        self._steps = (luma_tile, chroma_tile)

    def paint(self, batch: FrameBatch) -> FrameBatch:
        """The batch with the mark added. Frames that share a mask are painted together."""
        runs: list[FrameBatch] = []
        start = 0
        for i in range(len(batch)):
            if self._is_stale(batch, i):
                if i > start:
                    runs.append(add(_slice(batch, start, i), *self._steps))
                    start = i
                self._renew(luma(_slice(batch, i, i + 1))[0])
            elif self._age == self._refresh_frames - 1:
                self._before = thumbnail(luma(_slice(batch, i, i + 1))[0])
            self._age += 1
        runs.append(add(_slice(batch, start, len(batch)), *self._steps))
        return _join(batch, runs)

    def _is_stale(self, batch: FrameBatch, index: int) -> bool:
        """Whether the mask must be renewed for this frame: by its age, or because of a cut."""
        seen = glance(batch, index)
        cut = self._mask is not None and float((seen - self._seen).abs().mean()) > _CUT_STEP
        self._seen = seen
        if cut:
            self._before = None  # nothing moved, all is new
        return cut or self._mask is None or self._age >= self._refresh_frames

    def _renew(self, frame: Tensor) -> None:
        cells = thumbnail(frame)
        self._mask = mask_of(frame, cells, self._before, luma_rms=self._luma_rms, chroma_rms=self._chroma_rms)
        steps = (self._mask.luma * self._luma_tile, self._mask.chroma * self._chroma_tile)
        self._steps = (steps[0].round_().to(torch.int16), steps[1].round_().to(torch.int16))
        # What moves is not known from the first frame of a shot: its mask is for that frame alone.
        self._age = 0 if self._before is not None else self._refresh_frames - 1
        self._before = cells


def _slice(batch: FrameBatch, start: int, end: int) -> FrameBatch:
    pixels = batch.pixels
    if isinstance(pixels, YuvPlanes):
        part: Tensor | YuvPlanes = YuvPlanes(y=pixels.y[start:end], u=pixels.u[start:end], v=pixels.v[start:end])
    else:
        part = pixels[start:end]
    return FrameBatch(pixels=part, timestamps_s=batch.timestamps_s[start:end])


def _join(batch: FrameBatch, runs: list[FrameBatch]) -> FrameBatch:
    """The painted runs as one batch with the time stamps of the original."""
    if len(runs) == 1:
        return batch.with_pixels(runs[0].pixels)
    if batch.is_planar:
        y, u, v = (torch.cat([getattr(run.yuv, name) for run in runs]) for name in ("y", "u", "v"))
        return batch.with_pixels(YuvPlanes(y=y, u=u, v=v))
    return batch.with_pixels(torch.cat([run.rgb for run in runs]))
