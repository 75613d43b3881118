"""How a file may lie in a record: where in its picture, where in its time, and at what speed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from provenance.fingerprint.align import (
    F64,
    activity,
    activity_shift,
    best_offset,
    best_speed,
    fit_tone,
    interpolate,
    match_tone,
    overlapping,
    refine_offset,
)
from provenance.fingerprint.geometry import Found, Placement, placements, refined
from provenance.fingerprint.lattice import Lattice, lattice
from provenance.fingerprint.tolerances import Tolerances
from provenance.fingerprint.video import GRID, LAYOUT, RATE_HZ, SPREAD_GRID, VideoFingerprint

_HYPOTHESES = 3
_LIKELY = 0.5
_QUIET = 0.05  # share of the other side's motion
_RIGHT_SPEED = 0.005


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """How the file may lie in the record. correlation: of the mean pictures there; motion: of what moves, None if little does.

    query_time_s = time of the file; record time = offset_s + speed * query_time_s.
    """

    cells: Lattice
    placement: Placement
    correlation: float
    offset_s: float
    motion: float | None
    speed: float = 1.0


def flat(fingerprint: VideoFingerprint) -> F64:
    """The whole picture at 16x16, float64 (T, 256)."""
    side = GRID // SPREAD_GRID
    cells = fingerprint.cells.reshape(-1, SPREAD_GRID, side, SPREAD_GRID, side).astype(np.float64).mean(axis=(2, 4))
    whole: F64 = cells.reshape(len(cells), -1)
    return whole


def likeliest(query: VideoFingerprint, record: VideoFingerprint, tolerances: Tolerances, *, thorough: bool) -> Hypothesis | None:
    """The best of all ways to lay the file on the record; None when they overlap in none. thorough: at any speed, too."""
    tried = list(_hypotheses(query, record, _layout(query), _layout(record), tolerances))
    if not _is_settled(tried, tolerances) and thorough:
        tried += _hypotheses(query, record, _layout(query), _local_layout(query, record), tolerances)
    if not tried:
        return None
    best = max(tried, key=lambda lying: _rank(lying, tolerances))
    similar = best.correlation >= tolerances.layout_same
    if thorough and similar and best.motion is not None and best.motion < tolerances.motion_sure:
        best = _at_speed(query, record, best, tolerances)
    return best


def closeness(
    query: VideoFingerprint, record: VideoFingerprint, offset_s: float, place: Placement, tolerances: Tolerances
) -> float:
    """How closely the file lies on the record when it is laid about there: up to 1.5, the correlation of the mean pictures
    and half of that of what moves; below 1 when nothing speaks for it."""
    cells = lattice(place)
    if cells is None:
        return 0.0
    offset_s = _refined_offset(query, record, cells, offset_s)
    lying = _replaced(query, record, Hypothesis(cells, place, -1.0, offset_s, None))
    lying = replace(lying, offset_s=_refined_offset(query, record, lying.cells, offset_s))
    return _rank(replace(lying, motion=_motion_correlation(query, record, lying, tolerances)), tolerances)


def _refined_offset(query: VideoFingerprint, record: VideoFingerprint, cells: Lattice, offset_s: float) -> float:
    recorded = cells.record_cells(record)
    return refine_offset(match_tone(cells.query_cells(query), recorded), query.times_s, recorded, record.times_s, offset_s)


def _layout(fingerprint: VideoFingerprint) -> F64:
    return fingerprint.layout.astype(np.float64)


def _local_layout(query: VideoFingerprint, record: VideoFingerprint) -> F64:
    """The mean picture of that part of the record whose activity follows the file's best: in a long one all is not alike."""
    courses = activity(flat(query)), activity(flat(record))
    count = min(len(query.cells), len(record.cells))
    shift = activity_shift(*courses, max(2, count // 2))
    part = record.cells[max(0, shift) : max(0, shift) + count]
    side = LAYOUT // GRID
    layout: F64 = part.mean(axis=0).repeat(side, axis=0).repeat(side, axis=1)
    return layout


def _hypotheses(
    query: VideoFingerprint, record: VideoFingerprint, one: F64, other: F64, tolerances: Tolerances
) -> Iterator[Hypothesis]:
    for found in placements(one, other, limit=_HYPOTHESES):
        cells = lattice(found.placement)
        if cells is not None and (found.placement.plain or found.correlation >= _LIKELY):
            yield _timed(query, record, found, cells, tolerances)


def _timed(query: VideoFingerprint, record: VideoFingerprint, found: Found, cells: Lattice, tolerances: Tolerances) -> Hypothesis:
    recorded, times_s = cells.record_cells(record), record.times_s
    toned = match_tone(cells.query_cells(query), recorded)
    offset_s = best_offset(toned, recorded, times_s)
    offset_s = refine_offset(toned, query.times_s, recorded, times_s, offset_s)
    lying = Hypothesis(cells, found.placement, found.correlation, offset_s, None)
    if not found.placement.plain:
        lying = _replaced(query, record, lying)
    return replace(lying, motion=_motion_correlation(query, record, lying, tolerances))


def _replaced(query: VideoFingerprint, record: VideoFingerprint, lying: Hypothesis) -> Hypothesis:
    """The place once more, from what both show at the same time."""
    inside = overlapping(query.times_s, record.times_s, lying.offset_s)
    rows = np.clip(np.rint((query.times_s[inside] + lying.offset_s) * RATE_HZ).astype(int), 0, len(record.cells) - 1)
    if len(rows) == 0:
        return lying
    found = refined(query.cells[inside].mean(axis=0), record.cells[rows].mean(axis=0), lying.placement)
    cells = lattice(found.placement)
    if cells is None or found.correlation < lying.correlation:
        return lying
    return replace(lying, cells=cells, placement=found.placement, correlation=found.correlation)


def _at_speed(query: VideoFingerprint, record: VideoFingerprint, lying: Hypothesis, tolerances: Tolerances) -> Hypothesis:
    recorded = lying.cells.record_cells(record)
    speed, offset_s = best_speed(match_tone(lying.cells.query_cells(query), recorded), recorded, record.times_s)
    if abs(speed - 1) < _RIGHT_SPEED:
        return lying
    changed = replace(lying, speed=speed, offset_s=offset_s)
    motion = _motion_correlation(query, record, changed, tolerances)
    if lying.motion is None or motion is None or motion < tolerances.motion_at_speed:
        return lying  # with a speed to choose, other performances come close by chance
    explains = 1 - motion <= tolerances.speed_explains * (1 - lying.motion)
    return replace(changed, motion=motion) if explains else lying


def _is_settled(tried: list[Hypothesis], tolerances: Tolerances) -> bool:
    return any(lying.correlation >= tolerances.layout_same and (lying.motion or 0.0) >= tolerances.motion_same for lying in tried)


def _rank(lying: Hypothesis, tolerances: Tolerances) -> float:
    # an inset too small to show motion says nothing against its place: counted as none, a worse place with a little wins
    motion = tolerances.motion_other if lying.motion is None else max(0.0, lying.motion)
    return lying.correlation + 0.5 * motion


def paired(query: VideoFingerprint, record: VideoFingerprint, lying: Hypothesis) -> tuple[F64, F64, F64, F64]:
    """Samples that belong together, (M, C) each, in one tone; the record's times of them, (M,), and the file's lone ones."""
    times_s = query.times_s * lying.speed
    inside = overlapping(times_s, record.times_s, lying.offset_s)
    wanted_s = times_s[inside] + lying.offset_s
    expected = interpolate(lying.cells.record_cells(record), record.times_s, wanted_s)
    return fit_tone(lying.cells.query_cells(query)[inside], expected), expected, wanted_s, query.times_s[~inside]


def _motion_correlation(
    query: VideoFingerprint, record: VideoFingerprint, lying: Hypothesis, tolerances: Tolerances
) -> float | None:
    """Correlation of what moves, -1..1; None when little does or for too short: small insets lose what motion there is.

    0 when the file moves where the record is still; a file that is still plays nothing else.
    """
    fitted, expected, _, _ = paired(query, record, lying)
    if len(fitted) < tolerances.evidence_s * RATE_HZ:
        return None
    one, other = (side - side.mean(axis=0) for side in (fitted, expected))
    moving = np.maximum(one.std(axis=0), other.std(axis=0)) > tolerances.motion
    if not moving.any():
        return None
    one, other = one[:, moving], other[:, moving]
    energies = float((one**2).sum()), float((other**2).sum())
    if min(energies) < _QUIET * max(energies):
        return 0.0 if energies[0] > energies[1] else None
    return float((one * other).sum() / np.sqrt(energies[0] * energies[1]))
