"""Frame rates and constant-rate placement, in exact rationals. Pure.

Time stamps of real files are rounded to the ticks of their container (milliseconds in Matroska), so a rate is recognised when
every frame lies on its grid within a tick.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TypeVar

import numpy as np

NTSC = Fraction(1000, 1001)
STANDARD_RATES: tuple[Fraction, ...] = tuple(
    sorted(
        {Fraction(rate) for rate in (5, 6, 8, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 72, 90, 96, 100, 120, 144, 240)}
        | {rate * NTSC for rate in (15, 24, 30, 48, 60, 120, 240)}
        | {Fraction(25, 2), Fraction(15, 2)}
    )
)
GRID_SLACK_S = Fraction(1, 2000)  # besides one tick of the container
USUAL = 0.4  # steps within 40% of the median count as usual ones
SNAP = Fraction(1, 40)  # a variable rate within 2.5% of a standard one is taken as that one

Item = TypeVar("Item")
Seconds = np.ndarray[tuple[int], np.dtype[np.float64]]


def constant_rate(times_s: Sequence[Fraction], tick_s: Fraction, declared: Iterable[Fraction]) -> Fraction | None:
    """The frame rate on whose grid every time stamp lies, one frame per slot; None when the rate varies.

    times_s: presentation times, ascending. Of several rates that fit, a standard one that is declared comes before other standard
    ones, those before odd declared ones; among equals the one with the least residual.
    """
    known = {rate for rate in declared if rate > 0}
    offsets_s = _offsets_s(times_s)
    fitting = []
    for rate in known.union(STANDARD_RATES):
        residual = _residual_s(offsets_s, rate)
        if residual is not None and residual <= tick_s + GRID_SLACK_S:
            fitting.append((rate not in STANDARD_RATES, rate not in known, residual, rate))
    return min(fitting)[-1] if fitting else None


def nominal_rate(times_s: Sequence[Fraction], declared: Iterable[Fraction]) -> Fraction:
    """The constant rate that stands best for a variable one: the usual step, snapped to a standard rate.

    The usual step is the mean of those near the median, which evens out the rounding of time stamps to ticks.
    Raises ValueError when no two time stamps differ and nothing is declared.
    """
    steps_s = np.sort(np.diff(_offsets_s(times_s)))
    steps_s = steps_s[steps_s > 0]
    if not steps_s.size:
        known = [rate for rate in declared if rate > 0]
        if not known:
            raise ValueError("no frame rate")
        return known[0]
    median_s = float(steps_s[(steps_s.size - 1) // 2])  # a step that occurs
    usual_s = float(steps_s[np.abs(steps_s - median_s) <= USUAL * median_s].mean())
    rate = Fraction(1 / usual_s)
    nearest = min(STANDARD_RATES, key=lambda standard: abs(standard - rate))
    return nearest if abs(nearest - rate) <= SNAP * rate else rate.limit_denominator(1001)


def slot_count(times_s: Sequence[Fraction], last_duration_s: Fraction, rate: Fraction) -> int:
    """Frames that a constant-rate copy needs to last as long as the original."""
    last = round((times_s[-1] - times_s[0]) * rate)
    return last + max(1, round(last_duration_s * rate))


def place(frames: Iterable[tuple[Fraction, Item]], rate: Fraction, slots: int) -> Iterator[tuple[Item, int]]:
    """Pair each frame with how many consecutive slots of the constant-rate copy show it (0: none).

    Slot k, at k / rate seconds after the first frame, shows the frame nearest in time, the earlier one on a tie. The slots always
    add up to `slots` when there is a frame: nothing drifts.
    """
    start: Fraction | None = None
    held: tuple[Fraction, Item] | None = None
    used = 0
    for time_s, item in frames:
        start = time_s if start is None else start
        if held is not None:
            middle = (held[0] + time_s) / 2 - start
            until = min(slots, max(used, int(middle * rate) + 1))  # slots 0 .. floor(middle * rate)
            yield held[1], until - used
            used = until
        held = (time_s, item)
    if held is not None:
        yield held[1], slots - used


def _offsets_s(times_s: Sequence[Fraction]) -> Seconds:
    """Times after the first one as float64, good to a microsecond over days."""
    return np.array([float(time_s - times_s[0]) for time_s in times_s])


def _residual_s(offsets_s: Seconds, rate: Fraction) -> float | None:
    """Greatest distance of a time stamp from slot i of the grid, or None when the frames do not fill the slots in order."""
    grid_s = np.arange(offsets_s.size) / float(rate)
    worst = float(np.abs(offsets_s - grid_s).max())
    return worst if worst * float(rate) * 2 < 1 else None
