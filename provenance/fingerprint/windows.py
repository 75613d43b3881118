"""Short vectors that find a clip among many: what moves where in the 1.25 s around moments of it.

A record is kept by windows at most 0.6 s apart, a file is looked up by one for each sample over a stretch that is longer: one
of them meets, to 1/16 s, wherever the file was cut. It proposes a record and an offset, and all windows are then compared
exactly. Space is read through 4x4 soft bins, wide enough to bear a crop by a tenth; of the course over time its lowest
frequencies are kept. The mean picture goes in with less weight: outputs of one portrait share it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import dct

from provenance.fingerprint.video import GRID, RATE_HZ, VideoFingerprint

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]

BINS = 4
_BIN_WIDTH = 0.14  # of a side: standard deviation of a soft bin
_SAMPLES = 10  # 1.25 s
_FREQUENCIES = 5
DIMENSIONS = BINS * BINS * (_FREQUENCIES + 1)
_REACH_S = 0.5 * (_SAMPLES - 1) / RATE_HZ
GAP_S = 0.6  # at most, between windows of a record: an excerpt of 2 s holds one
_NOISE = 4.0  # norm of a still picture's motion, in luma levels: compression alone
_WAVES: F64 = dct(np.eye(_SAMPLES), axis=0, norm="ortho")[1 : _FREQUENCIES + 1]  # (5, 10): the lowest frequencies but none
_MOTION_WEIGHT = 0.85  # of the unit vector; the mean picture has the rest


@dataclass(frozen=True, slots=True)
class View:
    """The part of a picture that a file shows: its top and left edge and its size, as shares of the whole's sides."""

    top: float = 0.0
    left: float = 0.0
    size: float = 1.0


WHOLE = View()


@dataclass(frozen=True, slots=True)
class Window:
    """A moment, seconds from the first frame, and its unit vector, float32 (96,)."""

    at_s: float
    vector: F32


@dataclass(frozen=True, slots=True)
class Course:
    """A fingerprint through the soft bins, float64 (T, V, 16): enough to take a window anywhere, in each of V views."""

    bins: F64

    @classmethod
    def of(cls, fingerprint: VideoFingerprint, *, mirrored: bool = False, views: Sequence[View] = (WHOLE,)) -> Course:
        """The course of a fingerprint, or of its mirror image, as if the file showed those views of something larger."""
        cells = (fingerprint.cells[:, :, ::-1] if mirrored else fingerprint.cells).astype(np.float64)
        seen = [_bin_weights(view.top, view.size) @ cells @ _bin_weights(view.left, view.size).T for view in views]
        return cls(_smoothed(np.stack(seen, axis=1).reshape(len(cells), len(views), BINS * BINS)))

    @property
    def last_s(self) -> float:
        """Time of the last sample."""
        return max(0, len(self.bins) - 1) / RATE_HZ

    @property
    def ends_s(self) -> tuple[float, float]:
        """The first and the last time around which a whole window lies in the clip; its middle when it is too short."""
        return min(_REACH_S, self.last_s / 2), max(self.last_s - _REACH_S, self.last_s / 2)

    def holds(self, times_s: F64, *, slack_s: float = 0.0) -> npt.NDArray[np.bool_]:
        """Whether the whole window around each time, or around one at most `slack_s` away, lies in the clip; any shape."""
        (first, last), slack_s = self.ends_s, slack_s + 0.5 / RATE_HZ
        held: npt.NDArray[np.bool_] = (times_s >= first - slack_s) & (times_s <= last + slack_s)
        return held

    def moments(self) -> list[float]:
        """Times evenly over the clip, at most 0.6 s apart."""
        first, last = self.ends_s
        return [float(at_s) for at_s in np.linspace(first, last, math.ceil((last - first) / GAP_S) + 1)]

    def stretches(self, limit: int) -> list[float]:
        """Times one sample apart over the whole clip, or over its liveliest stretches of 0.6 s when that makes too many."""
        first, last = self.ends_s
        count = round((last - first) * RATE_HZ) + 1
        if count <= limit:
            return [float(at_s) for at_s in np.linspace(first, last, count)]
        length = math.ceil(GAP_S * RATE_HZ) + 1
        course = np.linalg.norm(np.diff(self.bins[:, 0], axis=0), axis=1)
        lively = np.convolve(course, np.ones(length + _SAMPLES - 2), mode="valid")[: count - length + 1].copy()
        starts: list[int] = []
        for _ in range(min(limit // length, len(lively) // length)):
            starts.append(int(lively.argmax()))
            lively[max(0, starts[-1] - length + 1) : starts[-1] + length] = -1
        return [first + (start + step) / RATE_HZ for start in starts for step in range(length)]

    def at(self, times_s: npt.ArrayLike) -> F32:
        """The unit vectors of the windows around these times, (N, V, 96)."""
        steps = (np.arange(_SAMPLES) - (_SAMPLES - 1) / 2) / RATE_HZ
        wanted = np.clip((np.asarray(times_s, np.float64)[:, None] + steps) * RATE_HZ, 0, len(self.bins) - 1)
        below = np.minimum(wanted.astype(int), max(0, len(self.bins) - 2))
        share = (wanted - below)[..., None, None]
        samples = self.bins[below] * (1 - share) + self.bins[np.minimum(below + 1, len(self.bins) - 1)] * share
        return _vectors(samples)

    def windows(self) -> list[Window]:
        """The windows that a record is kept by."""
        if not len(self.bins):
            return []
        times_s = self.moments()
        return [Window(at_s, vector) for at_s, vector in zip(times_s, self.at(times_s)[:, 0], strict=True)]


def _vectors(samples: F64) -> F32:
    """Unit vectors (N, V, 96) of bins over time (N, 10, V, 16): free of brightness and contrast."""
    count, steps, views, bins = samples.shape
    spectrum = (_WAVES @ samples.reshape(count, steps, views * bins)).reshape(count, _FREQUENCIES, views, bins)
    motion = spectrum.transpose(0, 2, 1, 3).reshape(count, views, -1)
    motion = motion / np.sqrt((motion**2).sum(axis=-1, keepdims=True) + _NOISE**2)
    look = samples.mean(axis=1)
    look = look - look.mean(axis=-1, keepdims=True)
    look /= np.maximum(np.linalg.norm(look, axis=-1, keepdims=True), 1e-6)
    joined = np.concatenate([_MOTION_WEIGHT * motion, np.sqrt(1 - _MOTION_WEIGHT**2) * look], axis=-1)
    joined /= np.maximum(np.linalg.norm(joined, axis=-1, keepdims=True), 1e-6)
    vectors: F32 = joined.astype(np.float32)
    return vectors


def _bin_weights(first: float, size: float) -> F64:
    """(4, 32): Gaussian bins along one side of the whole, of which the cells cover `size` from `first` on."""
    centres = (np.arange(BINS) + 0.5) / BINS
    cells = first + size * (np.arange(GRID) + 0.5) / GRID
    weights = np.exp(-0.5 * ((cells[None] - centres[:, None]) / _BIN_WIDTH) ** 2)
    normal: F64 = weights / weights.sum(axis=1, keepdims=True)
    return normal


def _smoothed(values: F64) -> F64:
    """Over three samples, so that it matters little when a slot of a copy begins."""
    if len(values) < 3:
        return values
    padded = np.concatenate([values[:1], values, values[-1:]])
    smooth: F64 = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return smooth
