"""Compares the picture of a file with one record, second by second and region by region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from provenance.fingerprint.align import (
    F64,
    activity,
    activity_match,
    best_offset,
    fit_tone,
    interpolate,
    layout_match,
    match_tone,
    overlapping,
    refine_offset,
)
from provenance.fingerprint.video import GRID, RATE_HZ, REGIONS, SPREAD_STEPS, VideoFingerprint
from provenance.signals import Agreement, PictureSignal, SecondState


@dataclass(frozen=True, slots=True)
class Tolerances:
    """Where agreement ends. Luma is in levels of 8 bits."""

    noise: float = 1.0  # one cell over time: half size at CRF 28 moves it by 0.3 to 0.8
    spread: float = 1.3  # deviation within one cell over time: half size at CRF 28 moves it by 0.4 to 1.3
    static: float = 3.0  # one cell for the whole clip: blur and tone; half size at CRF 28 gives up to 1.7
    timing_s: float = 0.012  # what the search of the offset leaves open
    agrees: float = 1.7  # in tolerances, the worst region of a second; half size at CRF 28 reaches 1.2
    differs: float = 2.4  # a mouth that plays another moment starts at 3
    undecided_regions: int = 2  # of 16, in one second that still agrees
    alien_regions: int = 12  # of 16 that differ: the second shows something else
    motion: float = 1.5  # temporal spread of a cell that says something
    motion_same: float = 0.6  # correlation of motion above it: one performance
    motion_other: float = 0.35  # and below it: another one
    layout_same: float = 0.95
    layout_other: float = 0.86  # insets reach 0.9 and crops 0.99; unrelated clips 0.85
    activity_other: float = 0.8  # unrelated clips of 4 s reach 0.8 at their luckiest shift, tilted copies 0.97
    evidence_s: float = 2.0  # less than this decides nothing


DEFAULT = Tolerances()


@dataclass(frozen=True, slots=True)
class _Aligned:
    """Query and record samples that belong together, (M, 256) each; allowed: squared tolerance of each, (M, 256).

    spread_errors, spread_allowed: the same for the deviations within the cells. lone_s: times without a counterpart, (L,).
    """

    query: F64
    record: F64
    allowed: F64
    spread_errors: F64
    spread_allowed: F64
    times_s: F64
    lone_s: F64
    offset_s: float


@dataclass(frozen=True, slots=True)
class _Figures:
    """What decides when no second agrees: correlations of layout, of motion in place, and of activity over time."""

    layout: float
    plain: bool
    motion: float | None
    activity: float | None


def compare(query: VideoFingerprint, record: VideoFingerprint, *, tolerances: Tolerances = DEFAULT) -> PictureSignal:
    """How the picture of `query` compares with `record`.

    `agrees` means every second of the query and each of its regions. `contradicts` is a finding of its own: the same
    layout with another performance in it, or a layout found nowhere in the other (in any crop, inset or mirroring tried)
    together with another course of activity.
    """
    if len(query.cells) < 2 or len(record.cells) < 2:
        return PictureSignal(Agreement.INCONCLUSIVE, note="too few frames to compare")
    aligned = _align(query, record, tolerances)
    seconds = _seconds(aligned, query.duration_s, tolerances)
    layout, plain = layout_match(query.layout.astype(np.float64), record.layout.astype(np.float64))
    needed = int(tolerances.evidence_s * RATE_HZ)
    course = activity_match(activity(flat(query)), activity(flat(record)), needed)
    figures = _Figures(layout, plain, _motion_correlation(aligned, tolerances), course)
    return PictureSignal(
        agreement=_overall(seconds, figures, query.duration_s, tolerances),
        seconds=seconds,
        offset_s=round(aligned.offset_s, 3),
        distance=round(float(np.sqrt(np.mean((aligned.query - aligned.record) ** 2))), 3),
        motion_correlation=_rounded(figures.motion),
        activity_correlation=_rounded(course),
        layout_correlation=_rounded(layout),
        note="" if plain else "cropped, inset or mirrored",
    )


def flat(fingerprint: VideoFingerprint) -> F64:
    """Cells as float64 (T, 256)."""
    return fingerprint.cells.reshape(len(fingerprint.cells), -1).astype(np.float64)


def _align(query: VideoFingerprint, record: VideoFingerprint, tolerances: Tolerances) -> _Aligned:
    recorded, times_s = flat(record), record.times_s
    toned = match_tone(flat(query), recorded)
    offset_s = best_offset(toned, recorded, times_s)
    offset_s = refine_offset(toned, query.times_s, recorded, times_s, offset_s)
    inside = overlapping(query.times_s, times_s, offset_s)
    wanted_s = query.times_s[inside] + offset_s
    expected = interpolate(recorded, times_s, wanted_s)
    fitted = fit_tone(flat(query)[inside], expected)
    return _Aligned(
        query=fitted,
        record=expected,
        allowed=tolerances.noise**2 + _timing_allowance(recorded, times_s, wanted_s, tolerances.timing_s),
        spread_errors=_spreads(query)[inside] * _gain(flat(query)[inside], fitted)
        - interpolate(_spreads(record), times_s, wanted_s),
        spread_allowed=tolerances.spread**2 + _timing_allowance(_spreads(record), times_s, wanted_s, tolerances.timing_s),
        times_s=query.times_s[inside],
        lone_s=query.times_s[~inside],
        offset_s=offset_s,
    )


def _spreads(fingerprint: VideoFingerprint) -> F64:
    """Deviations within the cells in luma levels, float64 (T, 256)."""
    return fingerprint.spreads.reshape(len(fingerprint.spreads), -1) / SPREAD_STEPS


def _gain(before: F64, after: F64) -> float:
    """The contrast that fitting the tone gave."""
    spread = float(before.std())
    return float(after.std()) / spread if spread > 0 else 1.0


def _timing_allowance(recorded: F64, times_s: F64, wanted_s: F64, timing_s: float) -> F64:
    """Squared error that motion explains: an offset a little wrong, and the straight line between two samples."""
    speed = np.gradient(recorded, axis=0) * RATE_HZ
    bend = np.gradient(np.gradient(recorded, axis=0), axis=0)
    between = np.abs(wanted_s[:, None] - times_s[None]).min(axis=1) * RATE_HZ  # 0 on a sample, 0.5 half-way
    at_speed, at_bend = interpolate(np.abs(speed), times_s, wanted_s), interpolate(np.abs(bend), times_s, wanted_s)
    allowance: F64 = (at_speed * timing_s) ** 2 + ((at_speed / RATE_HZ + at_bend) * between[:, None]) ** 2
    return allowance


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _seconds(aligned: _Aligned, duration_s: float, tolerances: Tolerances) -> tuple[SecondState, ...]:
    whole = max(1, int(np.ceil(duration_s - 0.5 / RATE_HZ)))
    number, lone = (np.minimum(times_s.astype(int), whole - 1) for times_s in (aligned.times_s, aligned.lone_s))
    means = _without_lasting(aligned.query - aligned.record, tolerances)
    spreads = _without_lasting(aligned.spread_errors, tolerances)
    states = []
    for second in range(whole):
        here = number == second
        ratios = np.maximum(
            _region_ratios(means[here], aligned.allowed[here]), _region_ratios(spreads[here], aligned.spread_allowed[here])
        )
        # What the record does not show is not ours, however little of it there is.
        foreign = bool((lone == second).any())
        states.append(_second(float(second), duration_s, np.full_like(ratios, np.inf) if foreign else ratios, tolerances))
    return tuple(states)


def _without_lasting(errors: F64, tolerances: Tolerances) -> F64:
    """Squared errors. Blur, tone and small overlays stay where they are: forgiven up to a bound, so that changes show."""
    lasting = np.median(errors, axis=0) if len(errors) else np.zeros(GRID * GRID)
    squared: F64 = (errors - np.clip(lasting, -tolerances.static, tolerances.static)) ** 2
    return squared


def _region_ratios(squared: F64, allowed: F64) -> F64:
    if not len(squared):
        return np.full(REGIONS * REGIONS, np.inf)
    return np.sqrt(_by_region(squared) / _by_region(allowed))


def _second(start_s: float, duration_s: float, ratios: F64, tolerances: Tolerances) -> SecondState:
    differing = np.flatnonzero(ratios > tolerances.differs)
    undecided = int((ratios > tolerances.agrees).sum()) - len(differing)
    agreement = _second_agreement(len(differing), undecided, tolerances)
    end_s = min(start_s + 1.0, duration_s)
    return SecondState(start_s, end_s, agreement, round(float(ratios.max()), 3), tuple(int(region) for region in differing))


def _second_agreement(differing: int, undecided: int, tolerances: Tolerances) -> Agreement:
    if differing >= tolerances.alien_regions:
        return Agreement.NONE
    if differing:
        return Agreement.IN_PART
    return Agreement.AGREES if undecided <= tolerances.undecided_regions else Agreement.INCONCLUSIVE


def _by_region(values: F64) -> F64:
    side = GRID // REGIONS
    blocks = values.reshape(-1, REGIONS, side, REGIONS, side)
    means: F64 = blocks.mean(axis=(0, 2, 4)).ravel()
    return means


def _motion_correlation(aligned: _Aligned, tolerances: Tolerances) -> float | None:
    """Correlation of what moves, -1..1; None when either side hardly moves or there is too little of it."""
    if len(aligned.query) < tolerances.evidence_s * RATE_HZ:
        return None
    query, record = (side - side.mean(axis=0) for side in (aligned.query, aligned.record))
    moving = np.maximum(query.std(axis=0), record.std(axis=0)) > tolerances.motion
    if not moving.any():
        return None
    query, record = query[:, moving], record[:, moving]
    energies = float((query**2).sum()), float((record**2).sum())
    if min(energies) < 0.05 * max(energies):
        return 0.0 if min(energies) > 0 else None
    return float((query * record).sum() / np.sqrt(energies[0] * energies[1]))


def _overall(seconds: tuple[SecondState, ...], figures: _Figures, duration_s: float, tolerances: Tolerances) -> Agreement:
    agreeing = sum(state.agreement is Agreement.AGREES for state in seconds)
    if agreeing == len(seconds):
        return Agreement.AGREES
    if _contradicts(figures, duration_s, tolerances):
        return Agreement.CONTRADICTS
    same_performance = figures.motion is not None and figures.motion >= tolerances.motion_same and figures.plain
    return Agreement.IN_PART if agreeing or same_performance else Agreement.INCONCLUSIVE


def _contradicts(figures: _Figures, duration_s: float, tolerances: Tolerances) -> bool:
    if duration_s < tolerances.evidence_s:
        return False
    if figures.plain and figures.layout >= tolerances.layout_same:
        return figures.motion is not None and figures.motion < tolerances.motion_other
    other_course = figures.activity is not None and figures.activity < tolerances.activity_other
    return figures.layout < tolerances.layout_other and other_course
