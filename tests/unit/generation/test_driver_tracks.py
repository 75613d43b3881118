"""A driver's track with gaps: what counts as missing, how gaps are bridged, and that a face left alone comes to rest."""

from __future__ import annotations

import pytest
import torch
from mesh_material import RATE, as_track, portrait_landmarks, still_track, turned

from generation.engines.base import FaceTrack, Options, UnusablePerformance
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.motion import Driver
from generation.engines.tracks import BridgedTrack, bridge, bridged_stretches, certainty, missing_frames, require_usable


def nodding(frames: int) -> torch.Tensor:
    return still_track(frames, lambda points, i: turned(points, 0.5 * i)).landmarks


def without(landmarks: torch.Tensor, start: int, stop: int) -> FaceTrack:
    landmarks = landmarks.clone()
    landmarks[start:stop] = torch.nan
    return as_track(landmarks)


def test_a_covered_face_counts_as_missing() -> None:
    track = still_track(20)
    track.presence[5:8] = 0.3
    assert missing_frames(track).nonzero()[:, 0].tolist() == [5, 6, 7]
    assert len(bridged_stretches(track)) == 1


def test_a_clip_covered_for_over_a_fifth_is_refused() -> None:
    track = still_track(20)
    track.presence[5:10] = 0.3
    with pytest.raises(UnusablePerformance, match="25%"):
        require_usable(track)


def test_a_clip_without_frames_is_refused() -> None:
    with pytest.raises(UnusablePerformance, match="100%"):
        require_usable(as_track(torch.zeros(0, 478, 3)))


def test_a_bridge_leaves_and_arrives_gently() -> None:
    steps = bridge(without(nodding(60), 20, 30)).diff(dim=0)[19:30, 1].norm(dim=1)
    assert steps[0] < 0.5 * steps[5]
    assert steps[-1] < 0.5 * steps[5]
    assert bool((steps.diff().abs() < 0.35 * steps.max()).all())


def test_a_long_track_with_a_gap_is_in_memory_once() -> None:
    track = without(nodding(60), 20, 30)
    bridged = BridgedTrack(track)
    track.landmarks[40] = 7.0  # the bridge reads what the track holds
    assert bool((bridged[torch.tensor([40])] == 7.0).all())


def test_a_few_bridged_frames_are_those_of_the_whole_bridge() -> None:
    track = without(nodding(60), 20, 30)
    some = torch.tensor([5, 22, 29, 59, 59])
    assert torch.equal(BridgedTrack(track)[some], bridge(track)[some])


def test_a_bridge_changes_no_frame_that_was_seen() -> None:
    landmarks = nodding(60)
    filled = bridge(without(landmarks, 20, 30))
    seen = [i for i in range(60) if not 20 <= i < 30]
    assert torch.equal(filled[seen], landmarks[seen])


def test_a_short_gap_keeps_the_expression_and_a_long_one_lets_it_go_and_come_back() -> None:
    assert bool((certainty(without(nodding(60), 20, 30)) == 1).all())
    shares = certainty(without(nodding(120), 40, 64))
    assert float(shares[52]) == 0
    assert bool((shares[:40] == 1).all())
    assert bool((shares[64:] == 1).all())
    assert float(shares.diff().abs().max()) < 0.25


def test_a_mouth_left_open_at_a_long_gap_closes_in_it() -> None:
    def shouting(points: torch.Tensor, i: int) -> torch.Tensor:
        points[[14, 17, 84, 314, 87, 317, 152], 1] += 12.0 * (i >= 20)
        return points

    landmarks = still_track(120, shouting).landmarks
    motion = Driver(without(landmarks, 40, 63), Options(reference=0), MeshConfig()).block(0, 120)
    way = motion.expression[:, 14].norm(dim=1)
    assert float(way[51]) < 0.05 * float(way[35])
    assert float(way[70]) == pytest.approx(float(way[35]), rel=0.05)


def test_a_long_gap_at_an_end_holds_the_head_and_rests_the_face() -> None:
    track = without(nodding(120), 100, 120)
    shares = certainty(track)
    assert float(shares[-1]) == 0
    assert torch.equal(bridge(track)[119], bridge(track)[99])
    assert bridged_stretches(track)[0].end_s == pytest.approx(120 / float(RATE))
    assert torch.isfinite(portrait_landmarks()).all()
