"""Among the records that an index proposes, the one a file is a copy of comes first."""

from __future__ import annotations

import uuid
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from provenance_samples import RATE, Frames, fingerprint_of, performance

from provenance.fingerprint.ranking import VIEWS, Match, Stored, by_windows, in_full
from provenance.fingerprint.video import RATE_HZ, VideoFingerprint
from provenance.fingerprint.windows import WHOLE, Course

SECONDS = 4
Cells = npt.NDArray[np.float64]
OWN, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)


@pytest.fixture(scope="module")
def frames() -> Frames:
    return performance(seconds=SECONDS)


@pytest.fixture(scope="module")
def copy(frames: Frames) -> VideoFingerprint:
    """Cropped by a tenth and mirrored."""
    return fingerprint_of(np.ascontiguousarray(frames[:, 4:177, 18:248][:, :, ::-1]))


def stored(fingerprint: VideoFingerprint) -> Stored:
    windows = Course.of(fingerprint).windows()
    return Stored(np.array([window.at_s for window in windows]), np.stack([window.vector for window in windows]))


def proposal(record_id: uuid.UUID, offset_s: float = 0.0) -> Match:
    return Match(record_id, offset_s, mirrored=True, score=1.0)


def test_a_record_of_the_whole_file_goes_before_a_better_one_of_a_moment_of_it(frames: Frames, copy: VideoFingerprint) -> None:
    moment = fingerprint_of(np.ascontiguousarray(frames[: round(1.3 * RATE), 4:177, 18:248]))
    records = {OWN: stored(fingerprint_of(frames)), OTHER: stored(moment)}
    found = by_windows(copy, [proposal(OTHER), proposal(OWN)], records)
    assert [match.record_id for match in found] == [OWN, OTHER]
    assert found[0].covered > 0.95
    assert found[1].covered < 0.4


def test_a_match_says_which_part_of_the_record_fits_and_where_the_file_starts(frames: Frames, copy: VideoFingerprint) -> None:
    near = proposal(OWN, offset_s=0.1)
    (found,) = by_windows(copy, [near], {OWN: stored(fingerprint_of(frames))})
    assert found.offset_s == pytest.approx(0.0, abs=0.07)
    assert (found.view.top, found.view.left, found.view.size) == (0.0, 0.05, 0.9)
    assert found.score > 0.8


def test_a_proposal_that_shares_no_time_with_the_file_is_dropped(frames: Frames, copy: VideoFingerprint) -> None:
    assert by_windows(copy, [proposal(OWN, offset_s=60.0)], {OWN: stored(fingerprint_of(frames))}) == []


def test_leaders_are_put_in_order_by_their_whole_fingerprints(frames: Frames, copy: VideoFingerprint) -> None:
    """The other one shares the portrait, and half of its performance."""
    half = frames.copy()
    half[2 * RATE :] = performance(driver=2, seconds=SECONDS)[2 * RATE :]
    records = {OWN: fingerprint_of(frames), OTHER: fingerprint_of(half)}
    leaders = [replace(proposal(key), view=VIEWS[3]) for key in (OTHER, OWN)]
    assert [match.record_id for match in in_full(copy, leaders, records)] == [OWN, OTHER]


def test_a_leader_without_a_readable_fingerprint_goes_last(frames: Frames, copy: VideoFingerprint) -> None:
    leaders = [proposal(OTHER), proposal(OWN)]
    assert [match.record_id for match in in_full(copy, leaders, {OWN: fingerprint_of(frames)})] == [OWN, OTHER]


def test_long_leaders_are_put_in_order_by_the_middle_of_what_they_share_with_the_file() -> None:
    chance = np.random.default_rng(3)
    still, course, other = chance.normal(120, 30, (1, 32, 32)), made_up(chance), made_up(chance)
    own, rival = (picture_of(still + moving) for moving in (course, other))
    query = picture_of((still + course)[40 * RATE_HZ : 100 * RATE_HZ])
    leaders = [Match(key, 40.0, mirrored=False, score=1.0) for key in (OTHER, OWN)]
    assert [match.record_id for match in in_full(query, leaders, {OWN: own, OTHER: rival})] == [OWN, OTHER]


def made_up(chance: np.random.Generator) -> Cells:
    """Two minutes of four cells that come and go, (T, 32, 32)."""
    levels = np.cumsum(chance.normal(0, 3, (120 * RATE_HZ, 2, 2)), axis=0) % 40
    return np.pad(levels.repeat(4, axis=1).repeat(4, axis=2), ((0, 0), (12, 12), (12, 12)))


def picture_of(cells: Cells) -> VideoFingerprint:
    whole = np.clip(np.rint(cells), 0, 255).astype(np.uint8)
    spreads = np.full((len(whole), 16, 16), 8, np.uint8)
    layout = whole.mean(axis=0).repeat(2, axis=0).repeat(2, axis=1).astype(np.uint8)
    return VideoFingerprint(whole, spreads, layout, len(whole) / RATE_HZ)


def test_several_views_at_once_are_those_taken_one_by_one(copy: VideoFingerprint) -> None:
    times_s = [1.0, 1.6]
    together = Course.of(copy, mirrored=True, views=(WHOLE, VIEWS[5])).at(times_s)
    for index, view in enumerate((WHOLE, VIEWS[5])):
        alone = Course.of(copy, mirrored=True, views=(view,)).at(times_s)[:, 0]
        assert np.allclose(together[:, index], alone, atol=1e-6)
