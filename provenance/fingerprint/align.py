"""Where in a record a clip lies in time, and whether its picture lies there whole, cropped, inset or mirrored."""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve

from provenance.fingerprint.video import LAYOUT, RATE_HZ

F64 = npt.NDArray[np.float64]

FINE = 2  # offsets are tried in half samples: 1/16 s
_DISTANCE_CAP = 30.0  # luma levels; one wrong second must not outweigh the others
_ALIKE = 15.0  # luma levels; samples further apart say nothing about an offset
_TIE = 0.99  # share of the best score from which no offset is better than the plain one
_GAINS = (0.6, 1.67)  # contrast edits beyond this change what is seen
_TRIM_ROUNDS = 3
_SAME_PLACE = 0.95
_LEADERS = 2
_REFINEMENTS = ((0.85, 1.0, 1.18), (0.93, 1.0, 1.08))
_SCALES = (1.0, 0.9, 0.8, 0.65, 0.5, 0.35, 0.25)
_STRIPS = (0.9, 0.75, 0.6, 0.45, 0.32)  # crops to another aspect; the last is 16:9 to 9:16
_INSETS = ((0.6, 0.34), (0.6, 0.45), (0.4, 0.22), (0.4, 0.3), (0.28, 0.16))  # windows of another aspect
_SHAPES = (
    *((scale, scale) for scale in _SCALES),
    *((1.0, share) for share in _STRIPS),
    *((share, 1.0) for share in _STRIPS),
    *_INSETS,
    *((columns, rows) for rows, columns in _INSETS),
)
_PLAIN_MARGIN = 0.02
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

    Searched in steps of 1/16 s over every overlap of at least half the shorter one.
    """
    fine_s = np.arange(FINE * (len(record) - 1) + 1) / (FINE * RATE_HZ)
    distances = _distances(query, interpolate(record, record_times_s, fine_s))
    needed = max(1, min(len(query), len(record)) // 2)
    offsets = range(-FINE * (len(query) - needed), len(fine_s) - FINE * (needed - 1))
    scores = {offset: _score(distances, offset) for offset in offsets}
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
    """Which query samples have a counterpart in the record; one sample of rounding at both ends is compared with the end."""
    slack = 1.01 / RATE_HZ
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
    scores = [
        _correlation(query[max(0, -shift) :][:length], record[max(0, shift) :][:length])
        for shift in range(-(len(query) - needed), len(record) - needed + 1)
        if (length := min(len(query) - max(0, -shift), len(record) - max(0, shift))) >= needed
    ]
    known = [score for score in scores if score is not None]
    return max(known) if known else None


def layout_match(query: F64, record: F64) -> tuple[float, bool]:
    """Best correlation of two layouts (64, 64) over crops, insets and mirroring, and whether the plain position gives it.

    Correlation is the normalised one, -1..1 (Lewis, "Fast normalized cross-correlation", 1995). Shapes are tried on a
    coarse list, then around the best of them.
    """
    plain = float(_ncc(query, record).max())
    if plain >= _SAME_PLACE:
        return plain, True
    best = plain
    for side in (record, record[:, ::-1]):
        for whole, part in ((query, side), (side, query)):
            best = max(best, _shape_search(whole, part))
    return best, plain >= best - _PLAIN_MARGIN


def _distances(query: F64, fine: F64) -> F64:
    squares = (query**2).sum(1)[:, None] + (fine**2).sum(1)[None] - 2 * query @ fine.T
    root: F64 = np.sqrt(np.maximum(squares, 0) / query.shape[1])
    return np.minimum(root, _DISTANCE_CAP)


def _shape_search(whole: F64, part: F64) -> float:
    """Highest correlation of `part`, shrunk to any shape, inside `whole`."""

    def at(shape: tuple[float, float]) -> float:
        return float(_ncc(whole, _shrink(part, min(shape[0], 1.0), min(shape[1], 1.0))).max())

    scores = {shape: at(shape) for shape in _SHAPES}
    for factors in _REFINEMENTS:
        leaders = heapq.nlargest(_LEADERS, scores, key=lambda shape: scores[shape])
        around = ((rows * row, columns * column) for rows, columns in leaders for row in factors for column in factors)
        scores |= {shape: at(shape) for shape in around if shape not in scores}
    return max(scores.values())


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


def _correlation(one: F64, other: F64) -> float | None:
    spreads = float(one.std()), float(other.std())
    if min(spreads) < _STILL:
        return None
    return float(((one - one.mean()) * (other - other.mean())).mean() / (spreads[0] * spreads[1]))


def _shrink(picture: F64, row_scale: float, column_scale: float) -> F64:
    shrunk: F64 = _area_weights(row_scale) @ picture @ _area_weights(column_scale).T
    return shrunk


def _area_weights(scale: float) -> F64:
    """Rows that average LAYOUT pixels into round(LAYOUT * scale) of equal width, (n, LAYOUT)."""
    edges = np.linspace(0, LAYOUT, max(8, round(LAYOUT * scale)) + 1)
    ends = np.minimum(edges[1:, None], np.arange(1, LAYOUT + 1))
    starts = np.maximum(edges[:-1, None], np.arange(LAYOUT))
    shares = np.clip(ends - starts, 0, 1)
    weights: F64 = shares / shares.sum(1, keepdims=True)
    return weights


def _ncc(whole: F64, part: F64) -> F64:
    """Normalised correlation of `part` at every place inside `whole` where it fits."""
    centred = part - part.mean()
    norm = float(np.sqrt((centred**2).sum()))
    ones = np.ones_like(part)
    sums, squares = (fftconvolve(power, ones, mode="valid") for power in (whole, whole**2))
    spread = np.sqrt(np.maximum(squares - sums**2 / part.size, 1e-6))
    correlation: F64 = fftconvolve(whole, centred[::-1, ::-1], mode="valid") / (spread * max(norm, 1e-6))
    # Flat places have no pattern to agree with; rounding must not make one.
    patterned: F64 = np.where(spread > part.size**0.5, correlation, 0.0)
    return patterned
