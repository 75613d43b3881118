"""Compares the picture of a file with one record, second by second and region by region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from provenance.fingerprint.align import F64, activity, activity_match, interpolate, overlapping
from provenance.fingerprint.hypotheses import Hypothesis, flat, likeliest, paired
from provenance.fingerprint.seconds import Errors, compared_seconds, median_over_time
from provenance.fingerprint.tolerances import DEFAULT, Tolerances
from provenance.fingerprint.video import RATE_HZ, SPREAD_GRID, SPREAD_STEPS, VideoFingerprint
from provenance.signals import Agreement, PictureSignal, SecondState

_FRAMED = 0.01  # of a side
_PARTS = (slice(None), slice(0, SPREAD_GRID // 2), slice(SPREAD_GRID // 2, None))  # a split screen shows the record in a half


def compare(
    query: VideoFingerprint, record: VideoFingerprint, *, tolerances: Tolerances = DEFAULT, thorough: bool = True
) -> PictureSignal:
    """How the picture of `query` compares with `record`.

    `agrees` means every second of the query and each of its regions, in a whole, cropped or mirrored view. `contradicts` is
    a finding of its own: the record's picture with another performance in it, or a picture that is found nowhere in the other
    (in any crop, inset or mirroring tried) together with another course of activity. thorough: also look for copies that
    play at another speed; without it nothing contradicts.
    """
    if len(query.cells) < 2 or len(record.cells) < 2:
        return PictureSignal(Agreement.INCONCLUSIVE, note="too few frames to compare")
    lying = likeliest(query, record, tolerances, thorough=thorough)
    if lying is None:
        return PictureSignal(Agreement.INCONCLUSIVE, note="too little of the record's picture to compare")
    errors, distance = _errors(query, record, lying, tolerances)
    seconds = compared_seconds(errors, lying.cells, query.duration_s, tolerances)
    if lying.speed != 1.0:
        seconds = tuple(_unsettled(second) for second in seconds)
    course = _course(query, record, tolerances)
    other = thorough and _is_other(lying, course, seconds[-1].end_s, tolerances)
    agreeing = [second.agreement is Agreement.AGREES for second in seconds]
    place, moving = lying.placement, _moving(record, lying, len(seconds), tolerances)
    return PictureSignal(
        agreement=_overall(agreeing, moving, lying, tolerances, other=other),
        seconds=seconds,
        offset_s=round(lying.offset_s, 3),
        distance=round(distance, 3),
        motion_correlation=_rounded(lying.motion),
        activity_correlation=_rounded(course),
        layout_correlation=_rounded(lying.correlation),
        note=", ".join(_notes(lying)),
        mirrored=place.mirrored,
        shown=(round(place.top, 3), round(place.left, 3), round(place.bottom, 3), round(place.right, 3)),
        speed=round(lying.speed, 3),
    )


def _errors(query: VideoFingerprint, record: VideoFingerprint, lying: Hypothesis, tolerances: Tolerances) -> tuple[Errors, float]:
    """The differences to judge, and their root mean square."""
    cells = lying.cells
    fitted, expected, wanted_s, lone_s = paired(query, record, lying)
    inside = overlapping(query.times_s * lying.speed, record.times_s, lying.offset_s)
    slope = interpolate(cells.slope(record), record.times_s, wanted_s)
    placing = 0.0 if cells.plain else tolerances.placing
    recorded, spreads = cells.record_cells(record), cells.record_spreads(_variances(record))
    wanted_spreads = interpolate(spreads, record.times_s, wanted_s)
    lasting_slope, lasting_spread = (median_over_time(values) for values in (slope, wanted_spreads))
    means_lasting, spreads_lasting = _lasting(lasting_slope, lasting_spread, tolerances, plain=cells.plain)
    gain = _gain(cells.query_cells(query)[inside], fitted)
    timing = (record.times_s, wanted_s, tolerances.timing_s)
    moved = 0.0 if cells.plain else tolerances.placed_spread
    errors = Errors(
        means=fitted - expected,
        motion=np.maximum(*((side - median_over_time(side)) ** 2 for side in (fitted, expected))),
        means_allowed=tolerances.noise**2 + _timing_allowance(recorded, *timing) + (placing * (slope - lasting_slope)) ** 2,
        spreads=cells.query_spreads(_variances(query))[inside] * gain - wanted_spreads,
        spreads_allowed=tolerances.spread**2 + _timing_allowance(spreads, *timing) + (moved * wanted_spreads) ** 2,
        means_lasting=means_lasting,
        spreads_lasting=spreads_lasting,
        times_s=query.times_s[inside],
        lone_s=lone_s,
    )
    return errors, float(np.sqrt(np.mean(errors.means**2))) if errors.means.size else float("inf")


def _lasting(slope: F64, spread: F64, tolerances: Tolerances, *, plain: bool) -> tuple[F64, F64]:
    """What may differ all along, luma levels, (C,): of means and of deviations. A place a little wrong adds to both."""
    if plain:
        return np.full_like(slope, tolerances.static), np.full_like(slope, tolerances.static)
    means = tolerances.placed_lasting * slope
    spreads = tolerances.placed_edge * slope + tolerances.placed_spread_lasting * spread
    return tolerances.static + means, tolerances.static + spreads


def _variances(fingerprint: VideoFingerprint) -> F64:
    """Squared deviations within the cells, squared luma levels, float64 (T, 16, 16)."""
    variances: F64 = (fingerprint.spreads / SPREAD_STEPS) ** 2
    return variances


def _gain(before: F64, after: F64) -> float:
    """The contrast that fitting the tone gave."""
    spread = float(before.std()) if before.size else 0.0
    return float(after.std()) / spread if spread > 0 else 1.0


def _timing_allowance(recorded: F64, times_s: F64, wanted_s: F64, timing_s: float) -> F64:
    """Squared error that motion explains: an offset a little wrong, and the straight line between two samples."""
    speed = np.gradient(recorded, axis=0) * RATE_HZ
    bend = np.gradient(np.gradient(recorded, axis=0), axis=0)
    between = np.abs(wanted_s * RATE_HZ - np.rint(wanted_s * RATE_HZ))  # 0 on a sample, 0.5 half-way
    at_speed, at_bend = interpolate(np.abs(speed), times_s, wanted_s), interpolate(np.abs(bend), times_s, wanted_s)
    allowance: F64 = (at_speed * timing_s) ** 2 + ((at_speed / RATE_HZ + at_bend) * between[:, None]) ** 2
    return allowance


def _moving(record: VideoFingerprint, lying: Hypothesis, count: int, tolerances: Tolerances) -> tuple[bool, ...]:
    """In which seconds of the file the record moves: agreement in the others says little."""
    recorded = lying.cells.record_cells(record)
    starts_s = np.arange(count) * lying.speed + lying.offset_s
    parts = (recorded[(record.times_s >= start) & (record.times_s < start + lying.speed)] for start in starts_s)
    return tuple(len(part) > 1 and bool(part.std(axis=0).max() > tolerances.motion) for part in parts)


def _overall(
    agreeing: list[bool], moving: tuple[bool, ...], lying: Hypothesis, tolerances: Tolerances, *, other: bool
) -> Agreement:
    """agreeing, moving: per second; other: whether layout, motion or activity say that this is something else."""
    if all(agreeing) and (lying.motion is None or lying.motion >= tolerances.motion_same):
        return Agreement.AGREES
    lively = [agrees for agrees, moves in zip(agreeing, moving, strict=True) if moves]
    if other and sum(lively) <= tolerances.agreeing_other * len(lively):
        return Agreement.CONTRADICTS
    return Agreement.IN_PART if any(agreeing) or _moves_alike(lying, tolerances) else Agreement.INCONCLUSIVE


def _moves_alike(lying: Hypothesis, tolerances: Tolerances) -> bool:
    moves = lying.motion is not None and lying.motion >= tolerances.motion_same
    return moves and lying.correlation >= tolerances.layout_other


def _course(query: VideoFingerprint, record: VideoFingerprint, tolerances: Tolerances) -> float | None:
    """How well the activity of the file follows the record's: of all of it, or of the half or quarter that follows it best."""
    whole, needed = activity(flat(record)), int(tolerances.evidence_s * RATE_HZ)
    cells = flat(query).reshape(-1, SPREAD_GRID, SPREAD_GRID)
    parts = (cells[:, rows, columns].reshape(len(cells), -1) for rows in _PARTS for columns in _PARTS)
    known = [match for part in parts if (match := activity_match(activity(part), whole, needed)) is not None]
    return max(known, default=None)


def _is_other(lying: Hypothesis, course: float | None, duration_s: float, tolerances: Tolerances) -> bool:
    if duration_s < tolerances.evidence_s:
        return False
    other_course = course is not None and course < tolerances.activity_other
    if lying.correlation >= tolerances.layout_same:
        other_motion = lying.motion is not None and lying.motion < tolerances.motion_other
        return other_motion and (other_course or course is None)
    other_motion = lying.motion is None or lying.motion < tolerances.motion_same
    return lying.correlation < tolerances.layout_other and other_course and other_motion


def _unsettled(second: SecondState) -> SecondState:
    """Seconds that play at another speed are changed, however well they fit."""
    return replace(second, agreement=Agreement.INCONCLUSIVE) if second.agreement is Agreement.AGREES else second


def _notes(lying: Hypothesis) -> Iterator[str]:
    place = lying.placement
    if place.mirrored:
        yield "mirrored"
    if min(place.top, place.left) < -_FRAMED or max(place.bottom, place.right) > 1 + _FRAMED:
        yield "inset or framed"
    if max(place.top, place.left) > _FRAMED or min(place.bottom, place.right) < 1 - _FRAMED:
        yield "cropped"
    if lying.speed != 1.0:
        yield "played at another speed"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
