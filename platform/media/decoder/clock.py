"""Frame rates and constant-rate placement, in exact rationals. Pure.

Time stamps of real files are rounded to the ticks of their container (milliseconds in Matroska), so a rate is recognised when
every frame lies on its grid within a tick.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import TypeVar

NTSC = Fraction(1000, 1001)
STANDARD_RATES: tuple[Fraction, ...] = tuple(
    sorted(
        {Fraction(rate) for rate in (5, 6, 8, 10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 72, 90, 96, 100, 120, 144, 240)}
        | {rate * NTSC for rate in (15, 24, 30, 48, 60, 120, 240)}
        | {Fraction(25, 2), Fraction(15, 2)}
    )
)
GRID_SLACK_S = Fraction(1, 2000)  # besides one tick of the container
SNAP = Fraction(1, 40)  # a variable rate within 2.5% of a standard one is taken as that one

Item = TypeVar("Item")


def constant_rate(times_s: Sequence[Fraction], tick_s: Fraction, declared: Iterable[Fraction]) -> Fraction | None:
    """The frame rate on whose grid every time stamp lies, one frame per slot; None when the rate varies.

    times_s: presentation times, ascending. Of several rates that fit, the one with the least residual; a declared one on a tie.
    """
    fitting = [
        (residual, rate)
        for rate in dict.fromkeys((*declared, *STANDARD_RATES))
        if rate > 0 and (residual := _residual_s(times_s, rate)) is not None and residual <= tick_s + GRID_SLACK_S
    ]
    return min(fitting, key=lambda fit: fit[0])[1] if fitting else None


def nominal_rate(times_s: Sequence[Fraction], declared: Iterable[Fraction]) -> Fraction:
    """The constant rate that stands best for a variable one: the usual step, snapped to a standard rate.

    Raises ValueError when no two time stamps differ and nothing is declared.
    """
    steps = [later - earlier for earlier, later in pairwise(times_s) if later > earlier]
    if not steps:
        known = [rate for rate in declared if rate > 0]
        if not known:
            raise ValueError("no frame rate")
        return known[0]
    rate = 1 / median(steps)
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


def _residual_s(times_s: Sequence[Fraction], rate: Fraction) -> Fraction | None:
    """Greatest distance of a time stamp from slot i of the grid, or None when the frames do not fill the slots in order."""
    worst = Fraction(0)
    for index, time_s in enumerate(times_s):
        distance = abs((time_s - times_s[0]) - index / rate)
        if distance * rate * 2 >= 1:
            return None
        worst = max(worst, distance)
    return worst
