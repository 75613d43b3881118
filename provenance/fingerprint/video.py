"""Fingerprint of a picture stream: how its luma looks on a coarse grid, eight times a second.

A hash of single frames cannot separate two outputs of one portrait (the same clip a second later is further away than a
re-encoded copy), so the fingerprint keeps the course over time: 16x16 mean luma per sample, in 4x4 regions of 4x4 cells,
and one 64x64 mean picture of the clip (`layout`) that shows crops, insets and mirrorings.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from media.frames import FrameBatch
from provenance.errors import FingerprintUnreadable

ALGORITHM = "org.countersign.fingerprint.video.1"
RATE_HZ = 8  # mouth shapes last about 100 ms; half of that is the worst distance to a sample
GRID = 16
LAYOUT = 64
REGIONS = 4
_MAGIC, _VERSION = b"CSVF", 1
_HEADER = struct.Struct("<4sBBBBId")
_SAMPLES_MAX = RATE_HZ * 3600
_EARLY_S = 1e-3  # time stamps are rounded by containers
_BAR_SHARE = 0.02  # thinner bars are left alone
_BAR_LUMA, _BAR_SPREAD = 24.0, 12

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class VideoFingerprint:
    """cells: uint8 (T, 16, 16), mean luma of the first frame at or after k / 8 s; late_ms: uint8 (T,), how long after.

    layout: uint8 (64, 64), mean luma of the clip; duration_s: seconds from the first frame to the end of the last.
    """

    cells: U8
    late_ms: U8
    layout: U8
    duration_s: float

    def to_bytes(self) -> bytes:
        """Header (magic, version, rate, grid, layout, samples, duration), layout, then deflated: late_ms, steps of the cells."""
        header = _HEADER.pack(_MAGIC, _VERSION, RATE_HZ, GRID, LAYOUT, len(self.cells), self.duration_s)
        steps = np.diff(self.cells, axis=0, prepend=np.zeros((1, GRID, GRID), np.uint8))  # uint8 wraps: exact both ways
        return header + self.layout.tobytes() + zlib.compress(self.late_ms.tobytes() + steps.tobytes(), 6)

    @classmethod
    def from_bytes(cls, data: bytes) -> VideoFingerprint:
        """Raises FingerprintUnreadable when the bytes are of no known version or damaged."""
        try:
            magic, version, rate, grid, layout_side, count, duration_s = _HEADER.unpack_from(data)
            if (magic, version, rate, grid, layout_side) != (_MAGIC, _VERSION, RATE_HZ, GRID, LAYOUT) or count > _SAMPLES_MAX:
                raise FingerprintUnreadable("This fingerprint has an unknown format; upgrade the software that reads it.")
            start = _HEADER.size + LAYOUT * LAYOUT
            layout = np.frombuffer(data[_HEADER.size : start], np.uint8).reshape(LAYOUT, LAYOUT)
            raw = zlib.decompressobj().decompress(data[start:], count * (GRID * GRID + 1) + 1)
            late_ms = np.frombuffer(raw[:count], np.uint8)
            steps = np.frombuffer(raw[count:], np.uint8).reshape(count, GRID, GRID)
        except (struct.error, zlib.error, ValueError) as error:
            raise FingerprintUnreadable("This fingerprint is damaged; restore the record from a backup.") from error
        return cls(np.cumsum(steps, axis=0, dtype=np.uint8), late_ms, layout, duration_s)

    @property
    def times_s(self) -> npt.NDArray[np.float64]:
        """float64 (T,): when each sample was shown, seconds from the first frame."""
        return np.arange(len(self.cells)) / RATE_HZ + self.late_ms / 1000.0


class VideoFingerprinter:
    """Takes a stream batch by batch; memory stays that of one fingerprint (2 KB per second)."""

    def __init__(self) -> None:
        self._cells: list[U8] = []
        self._late_ms: list[int] = []
        self._layout_sum = np.zeros((LAYOUT, LAYOUT), np.float64)
        self._box: tuple[slice, slice] | None = None
        self._first_s: float | None = None
        self._last_s = 0.0
        self._step_s = 0.0

    def update(self, batch: FrameBatch) -> None:
        """Takes the frames due at the next sample times; the rest cost nothing."""
        for index, stamp in enumerate(batch.timestamps_s.tolist()):
            if self._first_s is None:
                self._first_s = stamp
            elapsed = stamp - self._first_s
            self._step_s = elapsed - self._last_s
            self._last_s = elapsed
            due = int((elapsed + _EARLY_S) * RATE_HZ) + 1 - len(self._cells)
            if due > 0:
                self._sample(_luma(batch, index), due, elapsed)

    def finish(self) -> VideoFingerprint:
        """The fingerprint of everything taken so far."""
        cells = np.stack(self._cells) if self._cells else np.zeros((0, GRID, GRID), np.uint8)
        layout = np.rint(self._layout_sum / max(1, len(self._cells))).astype(np.uint8)
        return VideoFingerprint(cells, np.array(self._late_ms, np.uint8), layout, self._last_s + self._step_s)

    def _sample(self, luma: Tensor, due: int, elapsed: float) -> None:
        if self._box is None:
            self._box = content_box(luma)
        picture = luma[self._box].to(torch.float32)[None]
        layout = adaptive_avg_pool2d(picture, LAYOUT)[0].cpu().numpy()
        cells = adaptive_avg_pool2d(picture, GRID)[0].round().to(torch.uint8).cpu().numpy()
        # A slow clip shows one frame at several sample times.
        count = min(due, _SAMPLES_MAX - len(self._cells))
        first = len(self._cells)
        late_s = (max(0.0, elapsed - (first + step) / RATE_HZ) for step in range(count))
        self._late_ms.extend(min(255, round(late * 1000)) for late in late_s)
        self._cells.extend([cells] * count)
        self._layout_sum += layout * count


def content_box(luma: Tensor) -> tuple[slice, slice]:
    """Rows and columns inside the black bars of a frame, uint8 (H, W); the whole frame where a side has no bar."""
    values = luma.to(torch.float32)
    return _inside(values), _inside(values.T)


def _inside(values: Tensor) -> slice:
    flat = (values.mean(dim=1) <= _BAR_LUMA) & (values.amax(dim=1) - values.amin(dim=1) <= _BAR_SPREAD)
    lit = torch.nonzero(~flat).flatten()
    size = int(values.shape[0])
    if len(lit) == 0:
        return slice(0, size)
    first, last = int(lit[0]), int(lit[-1]) + 1
    # Bars come in pairs: a dark sky alone is content.
    barred = min(first, size - last) >= _BAR_SHARE * size
    return slice(first, last) if barred else slice(0, size)


def _luma(batch: FrameBatch, index: int) -> Tensor:
    if batch.is_planar:
        return batch.yuv.y[index]
    weights = torch.tensor([0.2126, 0.7152, 0.0722], device=batch.rgb.device) * (219.0 / 255.0)  # BT.709, limited range
    return (batch.rgb[index].to(torch.float32) @ weights + 16.0).round().to(torch.uint8)
