"""Where in a record a clip lies in time, in what tone, and at what speed it plays."""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve

from provenance.fingerprint.video import RATE_HZ

F64 = npt.NDArray[np.float64]

FINE = 2  # offsets are tried in half samples: 1/16 s
_DISTANCE_CAP = 30.0  # luma levels; one wrong second must not outweigh the others
_ALIKE = 15.0  # luma levels; samples further apart say nothing about an offset
_TIE = 0.99  # share of the best score from which no offset is better than the plain one
_GAINS = (0.6, 1.67)  # contrast edits beyond this change what is seen
_TRIM_ROUNDS = 3
_EXHAUSTIVE = 4_000_000  # pairs of samples
_BLOCK = 1_000_000  # samples correlated at once
_PEAKS = 8
_SPEED_WINDOW_S = 8.0
_SPEEDS = tuple(1.028**step for step in range(-12, 13))
_SPEED_STEPS = (0.988, 0.994, 1.006, 1.012)
_LEAST_MOTION = 0.25  # squared luma levels: less is noise
_STILL = 0.05  # luma levels of spread in activity below which there is no course to compare


def match_tone(query: F64, record: F64) -> F64:
    """`query` with the mean and spread of `record`: brightness and contrast edits are no difference of content."""
    spread, wanted = float(query.std()), float(record.std())
    gain = float(np.clip(wanted / spread, *_GAINS)) if spread > 0 else 1.0
    toned: F64 = (query - query.mean()) * gain + record.mean()
    return toned


def fit_tone(query: F64, record: F64) -> F64:
    """Aligned `query` (M, C) in the tone of `record`, fitted to the half of the samples that fit best.

    Least trimmed squares (Rousseeuw, 1984) over samples: foreign seconds must not recolour the true ones.
    """
    fits = [_trimmed_fit(query, record, start) for start in (query, match_tone(query, record))]
    return min(fits, key=lambda fitted: float(np.median(_sample_errors(fitted, record))))


def interpolate(samples: F64, times_s: F64, wanted_s: F64) -> F64:
    """Samples (T, C) taken at `times_s`, ascending, read linearly at `wanted_s` (M,): (M, C)."""
    right = np.clip(np.searchsorted(times_s, wanted_s, side="right"), 1, len(times_s) - 1)
    span = np.maximum(times_s[right] - times_s[right - 1], 1e-6)
    share = np.clip((wanted_s - times_s[right - 1]) / span, 0.0, 1.0)[:, None]
    between: F64 = samples[right - 1] * (1 - share) + samples[right] * share
    return between


def best_offset(query: F64, record: F64, record_times_s: F64) -> float:
    """Seconds into the record at which the query starts; negative when it starts before. Shapes (Tq, C), (Tr, C).

    Searched in steps of 1/16 s over every overlap of at least half the shorter one: offsets at which the pictures are alike
    and offsets at which their changes correlate are candidates, and the one whose changes fit best is it. When both clips
    are long only the changes give candidates, so that memory grows with the length and not with its square.
    """
    fine_s = np.arange(FINE * (len(record) - 1) + 1) / (FINE * RATE_HZ)
    fine = interpolate(record, record_times_s, fine_s)
    needed = max(1, min(len(query), len(record)) // 2)
    every = range(-FINE * (len(query) - needed), len(fine) - FINE * (needed - 1))
    near = {FINE * peak + step for peak in _peaks(query, record, needed) for step in range(-FINE, FINE + 1)}
    if len(query) * len(fine) <= _EXHAUSTIVE:
        distances = _distances(query, fine)
        near.update(heapq.nlargest(_PEAKS, every, key=lambda offset: _score(distances, offset)))
    scores = {offset: _fit_of_changes(query, fine, offset) for offset in {0, *near} if offset in every}
    best = max(scores, key=lambda offset: scores[offset])
    plain = 0 in scores and scores[0] >= scores[best] * _TIE
    return 0.0 if plain else best / (FINE * RATE_HZ)


def refine_offset(query: F64, query_times_s: F64, record: F64, record_times_s: F64, offset_s: float) -> float:
    """The offset within 1/16 s of `offset_s` that fits best, to 5 ms."""
    if len(record) < 2:
        return offset_s
    candidates = [offset_s, *(offset_s + step / 1000 for step in range(-60, 61, 5))]

    def distance(candidate: float) -> float:
        inside = overlapping(query_times_s, record_times_s, candidate)
        expected = interpolate(record, record_times_s, query_times_s[inside] + candidate)
        return float(np.minimum(np.abs(query[inside] - expected), _DISTANCE_CAP).mean()) if inside.any() else _DISTANCE_CAP

    return min(candidates, key=distance)


def overlapping(query_times_s: F64, record_times_s: F64, offset_s: float) -> npt.NDArray[np.bool_]:
    """Which query samples have a counterpart in the record; what rounding adds at both ends is compared with the end.

    A copy at 15 frames per second holds its last frame for up to 1/15 s longer, and the offset leaves some of it open.
    """
    slack = 1.5 / RATE_HZ
    wanted = query_times_s + offset_s
    inside: npt.NDArray[np.bool_] = (wanted >= record_times_s[0] - slack) & (wanted <= record_times_s[-1] + slack)
    return inside


def activity(samples: F64) -> F64:
    """How much the picture changes from sample to sample, (T - 1,)."""
    course: F64 = np.abs(np.diff(samples, axis=0)).mean(axis=1)
    return course


def activity_match(query: F64, record: F64, needed: int) -> float | None:
    """Highest correlation of two courses of activity over all shifts, -1..1. It survives crops, tilts and recolouring.

    None when they overlap in fewer than `needed` samples, or when one of them hardly changes.
    """
    known = [score for _, score in _activity_scores(query, record, needed)]
    return max(known) if known else None


def activity_shift(query: F64, record: F64, needed: int) -> int:
    """The shift, in samples into the record, at which `activity_match` is highest; 0 when nothing is known."""
    return max(_activity_scores(query, record, needed), key=lambda shifted: shifted[1], default=(0, 0.0))[0]


def best_speed(query: F64, record: F64, record_times_s: F64) -> tuple[float, float]:
    """At what speed the query plays the record, 0.72 to 1.39 (1.1: a tenth too fast), and the offset then, in seconds.

    Judged on its liveliest 8 s: further apart, a speed a little wrong has lost its way.
    """
    start = _liveliest(query, round(_SPEED_WINDOW_S * RATE_HZ))
    window = query[start : start + round(_SPEED_WINDOW_S * RATE_HZ)]
    scores: dict[float, tuple[float, float]] = {1.0: _score_at_speed(window, record, record_times_s, 1.0)}
    for steps in (_SPEEDS, _SPEED_STEPS):
        best = max(scores, key=lambda speed: scores[speed][0])
        tried = {round(best * step, 4) for step in steps} - scores.keys()
        scores |= {speed: _score_at_speed(window, record, record_times_s, speed) for speed in tried}
    best = max(scores, key=lambda speed: scores[speed][0])
    return best, scores[best][1] - best * start / RATE_HZ


def _liveliest(query: F64, length: int) -> int:
    course = np.concatenate([[0.0], np.cumsum(activity(query))])
    if len(course) <= length:
        return 0
    return int((course[length - 1 :] - course[: len(course) - length + 1]).argmax())


def _score_at_speed(window: F64, record: F64, record_times_s: F64, speed: float) -> tuple[float, float]:
    """Share of the motion explained when the window is played at its right speed, and its offset, in seconds."""
    times_s = np.arange(len(window)) / RATE_HZ
    slowed = interpolate(window, times_s * speed, np.arange(0, times_s[-1] * speed, 1 / RATE_HZ))
    if len(slowed) < 2:
        return 0.0, 0.0
    offset_s = best_offset(slowed, record, record_times_s)
    fine = interpolate(record, record_times_s, np.arange(FINE * (len(record) - 1) + 1) / (FINE * RATE_HZ))
    return _fit_of_changes(slowed, fine, round(offset_s * FINE * RATE_HZ)) / len(slowed), offset_s


def _activity_scores(query: F64, record: F64, needed: int) -> list[tuple[int, float]]:
    scores = (
        (shift, _correlation(query[max(0, -shift) :][:length], record[max(0, shift) :][:length]))
        for shift in range(-(len(query) - needed), len(record) - needed + 1)
        if (length := min(len(query) - max(0, -shift), len(record) - max(0, shift))) >= needed
    )
    return [(shift, score) for shift, score in scores if score is not None]


def _distances(query: F64, fine: F64) -> F64:
    squares = (query**2).sum(1)[:, None] + (fine**2).sum(1)[None] - 2 * query @ fine.T
    root: F64 = np.sqrt(np.maximum(squares, 0) / query.shape[1])
    return np.minimum(root, _DISTANCE_CAP)


def _trimmed_fit(query: F64, record: F64, start: F64) -> F64:
    fitted = start
    for _ in range(_TRIM_ROUNDS):
        errors = _sample_errors(fitted, record)
        kept = errors <= np.median(errors)
        fitted = _line_fit(query, query[kept], record[kept])
    return fitted


def _line_fit(query: F64, given: F64, wanted: F64) -> F64:
    centred = given - given.mean()
    variance = float((centred**2).mean())
    gain = float(np.clip((centred * (wanted - wanted.mean())).mean() / variance, *_GAINS)) if variance > 0 else 1.0
    fitted: F64 = (query - given.mean()) * gain + wanted.mean()
    return fitted


def _sample_errors(query: F64, record: F64) -> F64:
    errors: F64 = ((query - record) ** 2).mean(axis=1)
    return errors


def _score(distances: F64, offset: int) -> float:
    index = np.arange(distances.shape[0])
    fine = FINE * index + offset
    inside = (fine >= 0) & (fine < distances.shape[1])
    # A sum, not a mean: an offset must not win by pushing foreign seconds out of the overlap.
    return float(np.maximum(_ALIKE - distances[index[inside], fine[inside]], 0).sum())


def _fit_of_changes(query: F64, fine: F64, offset: int) -> float:
    """How much of the motion is explained, summed over samples; blur and captions, which stay, are left out of it."""
    index = np.arange(len(query))
    inside = (FINE * index + offset >= 0) & (FINE * index + offset < len(fine))
    expected = fine[FINE * index[inside] + offset]
    errors = query[inside] - expected
    motion = max(_LEAST_MOTION, float(((fine - np.median(fine, axis=0)) ** 2).mean()))
    unexplained = ((errors - np.median(errors, axis=0)) ** 2).mean(axis=1) / motion
    return float(np.maximum(1 - unexplained, 0).sum())


def _peaks(query: F64, record: F64, needed: int) -> list[int]:
    """The shifts, in samples, at which the changes of both correlate best."""
    changes = [np.clip(np.diff(samples, axis=0), -_ALIKE, _ALIKE) for samples in (query, record)]
    total = np.zeros(len(query) + len(record) - 3)
    block = max(1, _BLOCK // len(total))  # all cells at once would take gigabytes for an hour
    for first in range(0, query.shape[1], block):
        one, other = (change[:, first : first + block] for change in changes)
        total += fftconvolve(other, one[::-1], axes=0).sum(axis=1)
    allowed = total[needed - 1 : len(total) - needed + 1]
    best = np.argsort(allowed)[::-1][:_PEAKS]
    return [int(peak) + needed - 1 - (len(query) - 2) for peak in best]


def _correlation(one: F64, other: F64) -> float | None:
    spreads = float(one.std()), float(other.std())
    if min(spreads) < _STILL:
        return None
    return float(((one - one.mean()) * (other - other.mean())).mean() / (spreads[0] * spreads[1]))
