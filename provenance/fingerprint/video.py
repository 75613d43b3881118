"""Fingerprint of a picture stream: how its luma looks on a coarse grid, eight times a second.

A hash of single frames cannot separate two outputs of one portrait (the same clip a second later is further away than a
re-encoded copy), so the fingerprint keeps the course over time: 32x32 mean luma per slot of 1/8 s, finer than what is
compared so that it can be laid under a crop, and one 64x64 mean picture of the clip (`layout`) that shows crops, insets and
mirrorings. Every frame counts for as long as it is shown: a sample of frames would vouch for those between. A mean alone can
be kept under other content, so 16x16 cells also say how far their parts lie from it, over their area and over the slot.
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

ALGORITHM = "org.countersign.fingerprint.video.3"
RATE_HZ = 8  # mouth shapes last about 100 ms
GRID = 32
SPREAD_GRID = 16
LAYOUT = 64
REGIONS = 4
SPREAD_STEPS = 2  # per luma level
_MAGIC, _VERSION = b"CSVF", 3
_COARSE_VERSION, _COARSE_GRID = 2, 16  # of records sealed before version 3
_HEADER = struct.Struct("<4sBBBBId")
_SAMPLES_MAX = RATE_HZ * 3600
_SLIVER_S = 1e-3  # time stamps are rounded by containers: what reaches this little into a slot makes no slot
_BAR_SHARE = 0.02  # thinner bars are left alone
_BAR_UNEVEN = 0.03  # as shares of the side
_BAR_LUMA, _BAR_SPREAD = 24.0, 12

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class VideoFingerprint:
    """cells: uint8 (T, 32, 32), mean luma of what is shown from k / 8 s on for 1/8 s, each frame by its time.

    spreads: uint8 (T, 16, 16), half levels: standard deviation of the 4x4 parts of a cell over its area and that time.
    layout: uint8 (64, 64), mean luma of the clip; duration_s: seconds from the first frame to the end of the last.
    """

    cells: U8
    spreads: U8
    layout: U8
    duration_s: float

    def to_bytes(self) -> bytes:
        """Header (magic, version, rate, grid, layout, slots, duration), layout, then deflated: steps of cells, of spreads."""
        header = _HEADER.pack(_MAGIC, _VERSION, RATE_HZ, GRID, LAYOUT, len(self.cells), self.duration_s)
        steps = b"".join(_steps(values).tobytes() for values in (self.cells, self.spreads))
        return header + self.layout.tobytes() + zlib.compress(steps, 6)

    @classmethod
    def from_bytes(cls, data: bytes) -> VideoFingerprint:
        """Raises FingerprintUnreadable when the bytes are of no known version or damaged."""
        try:
            magic, version, rate, grid, layout_side, count, duration_s = _HEADER.unpack_from(data)
            known = (version, grid) in ((_VERSION, GRID), (_COARSE_VERSION, _COARSE_GRID))
            if not known or (magic, rate, layout_side) != (_MAGIC, RATE_HZ, LAYOUT) or count > _SAMPLES_MAX:
                raise FingerprintUnreadable("This fingerprint has an unknown format; upgrade the software that reads it.")
            start = _HEADER.size + LAYOUT * LAYOUT
            layout = np.frombuffer(data[_HEADER.size : start], np.uint8).reshape(LAYOUT, LAYOUT)
            sizes = count * grid**2, count * SPREAD_GRID**2
            steps = np.frombuffer(zlib.decompressobj().decompress(data[start:], sum(sizes) + 1), np.uint8)
            if len(steps) != sum(sizes):
                raise FingerprintUnreadable("This fingerprint is damaged; restore the record from a backup.")
        except (struct.error, zlib.error, ValueError) as error:
            raise FingerprintUnreadable("This fingerprint is damaged; restore the record from a backup.") from error
        cells = _summed(steps[: sizes[0]], grid).repeat(GRID // grid, axis=1).repeat(GRID // grid, axis=2)
        return cls(cells, _summed(steps[sizes[0] :], SPREAD_GRID), layout, duration_s)

    @property
    def times_s(self) -> F64:
        """float64 (T,): when each slot begins, seconds from the first frame.

        The last one, which ends with the clip, is dated so that the middle of what it shows is that of a whole slot.
        """
        times_s = np.arange(len(self.cells)) / RATE_HZ
        missing_s = len(self.cells) / RATE_HZ - self.duration_s
        if len(times_s) > 1 and 0 < missing_s < 1 / RATE_HZ:
            times_s[-1] -= missing_s / 2
        return times_s


class VideoFingerprinter:
    """Takes a stream batch by batch; memory stays that of one fingerprint (10 KB per second)."""

    def __init__(self) -> None:
        self._slots = _Slots()
        self._shown: F64 | None = None  # the frame on the screen, (64, 64); its time is known when the next one comes
        self._box: tuple[slice, slice] | None = None
        self._first_s = 0.0
        self._last_s = 0.0
        self._step_s = 0.0

    def update(self, batch: FrameBatch) -> None:
        """Takes every frame of the batch."""
        for index, stamp in enumerate(batch.timestamps_s.tolist()):
            if self._shown is None:
                self._first_s = stamp
            else:
                self._step_s = stamp - self._first_s - self._last_s
                self._slots.show(self._shown, self._last_s, stamp - self._first_s)
            self._last_s = stamp - self._first_s
            self._shown = self._reduced(_luma(batch, index))

    def finish(self) -> VideoFingerprint:
        """The fingerprint of everything taken so far. The last frame is taken to last as long as the one before it."""
        end_s = self._last_s + self._step_s
        if self._shown is None:
            return self._slots.fingerprint(0.0)
        rest = self._slots.copy()
        rest.show(self._shown, self._last_s, end_s if self._step_s > 0 else 1 / RATE_HZ)
        return rest.fingerprint(end_s)

    def _reduced(self, luma: Tensor) -> F64:
        if self._box is None and int(luma.amax()) > _BAR_LUMA + _BAR_SPREAD:  # a fade from black shows no bars yet
            self._box = content_box(luma)
        picture = (luma if self._box is None else luma[self._box]).to(torch.float32)[None]
        reduced: F64 = adaptive_avg_pool2d(picture, LAYOUT)[0].to(torch.float64).cpu().numpy()
        return reduced


class _Slots:
    """Sums of what is shown, slot by slot."""

    def __init__(self) -> None:
        self._cells: list[U8] = []
        self._spreads: list[U8] = []
        self._layout = np.zeros((LAYOUT, LAYOUT), np.float64)
        self._open()

    def copy(self) -> _Slots:
        """A state that can go on by itself."""
        made = _Slots()
        made._cells, made._spreads = list(self._cells), list(self._spreads)
        made._layout, made._sum = self._layout.copy(), self._sum.copy()
        made._squares, made._weight_s = self._squares.copy(), self._weight_s
        return made

    def show(self, picture: F64, start_s: float, end_s: float) -> None:
        """`picture` (64, 64) is on the screen from start_s to end_s; calls come in the order of time."""
        while start_s < end_s and len(self._cells) < _SAMPLES_MAX:
            boundary_s = (len(self._cells) + 1) / RATE_HZ
            until_s = min(end_s, boundary_s)
            self._add(picture, max(0.0, until_s - start_s))
            if end_s < boundary_s:
                return
            self._close()
            start_s = max(start_s, boundary_s)

    def fingerprint(self, duration_s: float) -> VideoFingerprint:
        """What was shown so far; the slot that is open counts unless it is but a sliver."""
        if self._weight_s > _SLIVER_S:
            self._close()
        kept = ((self._cells, GRID), (self._spreads, SPREAD_GRID))
        cells, spreads = (np.stack(slots) if slots else np.zeros((0, side, side), np.uint8) for slots, side in kept)
        layout = np.rint(self._layout / max(1, len(self._cells))).astype(np.uint8)
        return VideoFingerprint(cells, spreads, layout, duration_s)

    def _open(self) -> None:
        self._sum = np.zeros((LAYOUT, LAYOUT), np.float64)
        self._squares = np.zeros((LAYOUT, LAYOUT), np.float64)
        self._weight_s = 0.0

    def _add(self, picture: F64, weight_s: float) -> None:
        self._sum += picture * weight_s
        self._squares += picture**2 * weight_s
        self._weight_s += weight_s

    def _close(self) -> None:
        if self._weight_s <= 0:
            return
        mean = self._sum / self._weight_s
        variance = by_cell(self._squares / self._weight_s, SPREAD_GRID) - by_cell(mean, SPREAD_GRID) ** 2
        self._cells.append(np.rint(by_cell(mean, GRID)).astype(np.uint8))
        self._spreads.append(np.rint(np.sqrt(np.maximum(variance, 0.0)) * SPREAD_STEPS).clip(0, 255).astype(np.uint8))
        self._layout += mean
        self._open()


def by_cell(picture: F64, grid: int) -> F64:
    """Means of a square picture over grid x grid cells."""
    side = len(picture) // grid
    means: F64 = picture.reshape(grid, side, grid, side).mean(axis=(1, 3))
    return means


def _steps(values: U8) -> U8:
    return np.diff(values, axis=0, prepend=np.zeros((1, *values.shape[1:]), np.uint8))  # uint8 wraps: exact both ways


def _summed(steps: U8, grid: int) -> U8:
    return np.cumsum(steps.reshape(-1, grid, grid), axis=0, dtype=np.uint8)


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
    # Bars come in pairs, one as wide as the other: a dark sky alone is content, and so is a dark side of a painting.
    narrow, wide = sorted((first, size - last))
    barred = narrow >= _BAR_SHARE * size and wide - narrow <= _BAR_UNEVEN * size
    return slice(first, last) if barred else slice(0, size)


def _luma(batch: FrameBatch, index: int) -> Tensor:
    if batch.is_planar:
        return batch.yuv.y[index]
    weights = torch.tensor([0.2126, 0.7152, 0.0722], device=batch.rgb.device) * (219.0 / 255.0)  # BT.709, limited range
    return (batch.rgb[index].to(torch.float32) @ weights + 16.0).round().to(torch.uint8)
