"""What is read of a clip before its release, and how much room the mark must have there."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.watermark import Detection, margin_of
from provenance.watermark.self_test import EXCERPT_S, excerpts

FOUND = Detection(
    found=True, payload=7, key_name="k", scheme=2, log_evidence=200.0, required_log_evidence=100.0, false_match_probability=0.0,
    candidates=1, windows=1, seconds=4, geometry=None, segments=((0.0, 3.0),), strength="strong",
)  # fmt: skip


def test_a_margin_tells_nats_decibels_and_the_share_of_seconds() -> None:
    margin = margin_of(FOUND, 7)
    assert (margin.nats, margin.db, margin.marked_share) == (100.0, pytest.approx(3.01), 0.75)
    assert not margin.is_thin


def test_another_payload_or_none_has_no_margin() -> None:
    assert margin_of(FOUND, 8).is_thin
    assert margin_of(replace(FOUND, found=False), 7).nats == 0.0


def test_a_mark_just_above_acceptance_is_thin() -> None:
    assert margin_of(replace(FOUND, log_evidence=104.9), 7).is_thin
    assert not margin_of(replace(FOUND, log_evidence=105.1), 7).is_thin


def test_short_clips_are_read_whole() -> None:
    assert excerpts(100, Fraction(25)) == [(0, 100)]
    assert excerpts(1, Fraction(25)) == [(0, 1)]


def test_of_a_minute_the_start_the_middle_and_the_end_are_read() -> None:
    assert excerpts(1500, Fraction(25)) == [(0, 50), (725, 50), (1450, 50)]


@given(st.integers(1, 20_000), st.sampled_from([Fraction(24), Fraction(30000, 1001), Fraction(60)]))
def test_excerpts_lie_inside_apart_and_cost_no_more_than_six_seconds(frames: int, rate: Fraction) -> None:
    parts = excerpts(frames, rate)
    assert all(start >= 0 and start + count <= frames for start, count in parts)
    assert all(first + count <= second for (first, count), (second, _) in itertools.pairwise(parts))
    assert sum(count for _, count in parts) <= 3 * (EXCERPT_S * rate + 1)
