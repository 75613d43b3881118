"""Frame rates and placement hold for every clock, not only the ones we thought of."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from media.decoder.clock import STANDARD_RATES, constant_rate, nominal_rate, place, slot_count

rates = st.sampled_from(STANDARD_RATES)
ticks = st.sampled_from([Fraction(1, 1000), Fraction(1, 90_000), Fraction(1, 30_000), Fraction(1, 15_360)])
gaps_ms = st.lists(st.integers(1, 200), min_size=1, max_size=60)


@given(rate=rates, tick=ticks, count=st.integers(200, 600))
def test_a_constant_rate_is_recognised_through_rounded_time_stamps(rate: Fraction, tick: Fraction, count: int) -> None:
    times = [round(index / rate / tick) * tick for index in range(count)]
    found = constant_rate(times, tick, [])
    assert found is not None
    assert abs(count / found - count / rate) < tick + Fraction(1, 1000)
    if rate <= 60:
        assert found == rate


@given(gaps=gaps_ms, rate=rates)
def test_slots_always_add_up(gaps: list[int], rate: Fraction) -> None:
    times = [Fraction(sum(gaps[:index]), 1000) for index in range(len(gaps) + 1)]
    slots = slot_count(times, Fraction(gaps[-1], 1000), rate)
    placed = list(place(((time_s, index) for index, time_s in enumerate(times)), rate, slots))
    assert [index for index, _ in placed] == list(range(len(times)))
    assert all(repeats >= 0 for _, repeats in placed)
    assert sum(repeats for _, repeats in placed) == slots


@given(gaps=gaps_ms, rate=rates)
def test_every_slot_shows_a_frame_nearest_in_time(gaps: list[int], rate: Fraction) -> None:
    times = [Fraction(sum(gaps[:index]), 1000) for index in range(len(gaps) + 1)]
    slots = slot_count(times, Fraction(0), rate)
    shown = [index for index, repeats in place(((t, i) for i, t in enumerate(times)), rate, slots) for _ in range(repeats)]
    for slot, index in enumerate(shown):
        moment = slot / rate
        assert abs(times[index] - moment) == min(abs(time_s - moment) for time_s in times)


@given(gaps=gaps_ms)
def test_a_variable_rate_gets_a_positive_rate(gaps: list[int]) -> None:
    times = [Fraction(sum(gaps[:index]), 1000) for index in range(len(gaps) + 1)]
    assert nominal_rate(times, []) > 0
