"""The mesh engine reads back what it draws: points come to be read where they were asked, and nothing else changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import pytest
import torch
from mesh_material import engine, face, perform, prepared, still_track, turned
from torch import Tensor

from generation.engines.base import FaceTrack, Options, Performance, Regions
from generation.engines.mesh import reading
from generation.engines.mesh.animator import MeshAnimator, PreparedStill
from generation.engines.mesh.casting import Timing
from media.tracking.geometry import Roi, roi_from_landmarks
from media.tracking.landmarker import FaceLandmarker

FRAMES = 13


@cache
def turning_aside() -> FaceTrack:
    """A head that turns aside and comes back, in the portrait's own pose at first."""
    return still_track(FRAMES, lambda points, i: turned(points, 14 * math.sin(i / 4)))


class Answering:
    """A reader that sees nothing of the picture."""

    def __init__(self, presence: float) -> None:
        self._presence = presence

    def landmarks(self, frames: Tensor, rois: Sequence[Roi]) -> tuple[Tensor, Tensor]:
        middle = torch.tensor([rois[0].centre_x, rois[0].centre_y, 0.0])
        return middle.expand(len(frames), 478, 3), torch.full((len(frames),), self._presence)


def animated(reader: reading.Reader | None, options: Options | None = None) -> Tensor:
    animator = MeshAnimator(engine()._analyser, reader=reader)
    batches = animator.animate(prepared(), [Performance(face(), turning_aside())], options or Options(reference=0))
    return torch.cat([batch.rgb for batch in batches])


@cache
def open_loop() -> Tensor:
    return animated(None)


def misread_px(frames: Tensor) -> Tensor:
    """(T,): mean distance in pixels from where points were asked to where they are read, less that of the first frame."""
    still, track = prepared(), turning_aside()
    assert isinstance(still, PreparedStill)
    timing = Timing(track.frame_rate, track.frame_count)
    (act,) = engine()._acts(still, [Performance(face(), track)], Options(reference=0), timing)
    asked = act.pose(0, FRAMES).vertices[:, :468] + torch.tensor([act.model.region.left, act.model.region.top, 0.0])
    seen, _ = FaceLandmarker().landmarks(frames, [roi_from_landmarks(points) for points in asked])
    wrong = (seen[:, :468] - asked)[..., :2]
    distance: Tensor = (wrong - wrong[0]).norm(dim=-1).mean(1)
    return distance


def test_a_turning_face_is_read_nearer_to_where_its_points_were_asked() -> None:
    before, after = misread_px(open_loop()), misread_px(perform(turning_aside()))
    assert float(after.mean()) < 0.8 * float(before.mean())


def test_the_reference_frame_stays_as_it_is() -> None:
    closed, plain = perform(turning_aside()), open_loop()
    assert int((closed[0].int() - plain[0].int()).abs().max()) <= 1
    assert int((closed[6].int() - plain[6].int()).abs().max()) > 20


@pytest.mark.parametrize("presence", [0.2, 1.0], ids=["no face", "something else"])
def test_a_drawn_face_that_is_not_read_as_one_is_left_as_it_is(presence: float) -> None:
    assert torch.equal(animated(Answering(presence)), open_loop())


def test_readings_that_do_not_foretell_each_other_are_not_believed() -> None:
    chance = torch.Generator().manual_seed(2)
    moved = 0.1 * (torch.randn(20, 4, generator=chance) @ torch.randn(4, 1404, generator=chance)).double() / 1404**0.5
    by_chance = 0.01 * torch.randn(20, 6, generator=chance).double()
    assert reading._fit(moved, by_chance) is None
    assert reading._fit(moved, 0.1 * moved[:, :6] + 0.01 * by_chance) is not None


def test_a_part_of_the_face_alone_leaves_the_rest_exactly_as_it_is() -> None:
    lips = Options(reference=0, regions=Regions.LIPS)
    assert torch.equal(perform(turning_aside(), lips), animated(None, lips))


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_a_head_that_is_to_keep_still_is_not_turned(strength: float) -> None:
    calm = Options(reference=0, strength=strength, head_motion=0.0)
    assert torch.equal(perform(turning_aside(), calm), animated(None, calm))


def test_a_head_is_never_turned_or_moved_beyond_the_limits() -> None:
    chance = torch.Generator().manual_seed(1)
    correction = reading.Correction(torch.randn(5, 1404, generator=chance).double(), torch.randn(5, 6, generator=chance).double())
    amount = correction(9 * torch.randn(2, 468, 3, generator=chance))
    assert bool((amount.abs() <= torch.tensor(reading.LIMIT)).all())


def test_frames_to_read_are_spread_over_the_clip_and_begin_with_the_reference() -> None:
    frames = reading.sample_frames(1000, reference=70)
    assert frames[0] == 70
    assert len(frames) == len(set(frames)) == reading.SAMPLES + 1
    assert {0, 999} <= set(frames)
    assert sorted(reading.sample_frames(3, reference=1)) == [0, 1, 2]
