"""Property: a driver's track at another rate shows at every moment what the driver showed then."""

from __future__ import annotations

from fractions import Fraction

import torch
from hypothesis import given
from hypothesis import strategies as st

from generation.engines.base import FaceTrack
from generation.engines.tracks import missing_frames, resample

RATES = st.sampled_from([Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(60)])


def moving(frames: int, rate: Fraction, missing: set[int] = frozenset()) -> FaceTrack:  # type: ignore[assignment]
    """Every point moves one pixel a second to the right."""
    at = torch.arange(frames, dtype=torch.float64) / float(rate)
    landmarks = at.float()[:, None, None].expand(frames, 478, 3).clone()
    for frame in missing:
        if frame < frames:
            landmarks[frame] = torch.nan
    return FaceTrack(landmarks, torch.ones(frames), rate, 64, 64)


@given(RATES, RATES, st.integers(1, 90), st.integers(1, 120))
def test_what_moves_evenly_still_does_and_the_end_is_held(old: Fraction, new: Fraction, frames: int, asked: int) -> None:
    made = resample(moving(frames, old), new, asked)
    expected = [min(i / float(new), (frames - 1) / float(old)) for i in range(asked)]
    assert (made.frame_rate, made.frame_count) == (new, asked)
    assert torch.allclose(made.landmarks[:, 0, 0], torch.tensor(expected), atol=1e-4)


@given(RATES, st.integers(1, 60), st.sets(st.integers(0, 59), max_size=8))
def test_the_same_rate_changes_nothing(rate: Fraction, frames: int, missing: set[int]) -> None:
    track = moving(frames, rate, missing)
    made = resample(track, rate, frames)
    assert torch.equal(made.landmarks, track.landmarks) or torch.isnan(track.landmarks).any()
    assert torch.equal(missing_frames(made), missing_frames(track))


@given(st.integers(2, 40), st.sets(st.integers(0, 39), min_size=1, max_size=10))
def test_at_twice_the_rate_frames_at_equal_times_are_exact_and_those_beside_a_gap_are_missing(
    frames: int, missing: set[int]
) -> None:
    track = moving(frames, Fraction(25), missing)
    made = missing_frames(resample(track, Fraction(50), 2 * frames - 1))
    gone = missing_frames(track)
    assert torch.equal(made[::2], gone)
    assert torch.equal(made[1::2], gone[:-1] | gone[1:])


@given(RATES, RATES, st.integers(2, 60), st.integers(0, 59))
def test_a_covered_frame_never_colours_a_frame_that_counts(old: Fraction, new: Fraction, frames: int, covered: int) -> None:
    track = moving(frames, old)
    covered = min(covered, frames - 1)
    track.landmarks[covered] = 1e6
    track.presence[covered] = 0.1
    made = resample(track, new, frames)
    assert float(made.landmarks[~missing_frames(made)].max() if not bool(missing_frames(made).all()) else 0.0) < 1e3


def test_a_track_without_frames_gives_missing_ones() -> None:
    assert bool(missing_frames(resample(moving(0, Fraction(25)), Fraction(30), 5)).all())
