"""The mesh engine reads back what it draws: points come to be read where they were asked, and nothing else changes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

import pytest
import torch
from mesh_material import RATE, engine, face, perform, portrait, portrait_landmarks, prepared, still_track, turned
from torch import Tensor

from generation.casting import CAST_MAX
from generation.engines.base import FaceTrack, Options, Performance, Regions, SourceFace, Still
from generation.engines.mesh import geometry, reading
from generation.engines.mesh.animator import MeshAnimator, PreparedStill
from generation.engines.mesh.casting import Act, Timing
from generation.engines.mesh.retarget import Pose
from generation.engines.mesh.source import Region
from media.tracking.geometry import Roi, roi_from_landmarks, to_frame
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


class Staring:
    """A reader that sees every face turned as the portrait's is, and counts how many it was shown."""

    def __init__(self) -> None:
        self.count = 0

    def landmarks(self, frames: Tensor, rois: Sequence[Roi]) -> tuple[Tensor, Tensor]:
        self.count += len(frames)
        points = portrait_landmarks()
        own = roi_from_landmarks(points[:468])
        within = (points - torch.tensor([own.centre_x, own.centre_y, 0.0])) / own.side + torch.tensor([0.5, 0.5, 0.0])
        return torch.stack([to_frame(within, roi) for roi in rois]), torch.ones(len(frames))


class Doubting:
    """A reader that sees all as it was drawn but a little aside as a head turns, and doubts some of it."""

    def __init__(self, poses: Sequence[Pose], doubted: Sequence[int]) -> None:
        self._poses, self._doubted = iter(enumerate(poses)), doubted

    def landmarks(self, frames: Tensor, rois: Sequence[Roi]) -> tuple[Tensor, Tensor]:
        index, pose = next(self._poses)
        seen = turned(pose.vertices[0], 0.1 * index)[None]
        return seen, torch.tensor([0.2 if index in self._doubted else 1.0])


def turning(degrees: float, frames: int = 4) -> FaceTrack:
    """A head that turns further in every frame, by `degrees` in the last."""
    return still_track(frames, lambda points, i: turned(points, degrees * i / (frames - 1)))


def poses(count: int) -> list[Pose]:
    """Of a head that turns by a degree each, with nothing but what is read."""
    none = torch.zeros(1)
    return [Pose(turned(portrait_landmarks()[:468], i)[None], none, none, none, none, none) for i in range(count)]


def learnt(count: int, doubted: Sequence[int]) -> reading.Correction | None:
    made = poses(count)
    return reading.learn(((pose, torch.zeros(1)) for pose in made), Doubting(made, doubted), 200.0, Region(0, 0, 512, 512))


def act_of(options: Options) -> Act:
    still, track = prepared(), turning(6.0)
    assert isinstance(still, PreparedStill)
    (act,) = engine()._acts(still, [Performance(face(), track)], options, Timing(track.frame_rate, track.frame_count))
    return act


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


def test_points_that_are_nowhere_are_doubted_and_not_looked_for() -> None:
    made = poses(9)
    lost = replace(made[4], vertices=made[4].vertices * torch.nan)
    drawn = [(pose, torch.zeros(1)) for pose in [*made[:4], lost, *made[4:]]]
    correction = reading.learn(drawn, Doubting(made, []), 200.0, Region(0, 0, 512, 512))
    assert correction is not None
    assert len(correction.moved) == 8
    assert reading.learn(drawn[4:], Doubting(made, []), 200.0, Region(0, 0, 512, 512)) is None


def test_without_a_reading_of_the_reference_frame_nothing_is_put_right() -> None:
    assert learnt(9, doubted=[]) is not None
    assert learnt(9, doubted=[0]) is None


@pytest.mark.parametrize(("count", "doubted", "believed"), [(10, 5, True), (10, 6, False), (1, 0, False)])
def test_a_face_that_is_mostly_doubted_is_left_as_it_is(count: int, doubted: int, believed: bool) -> None:
    assert (learnt(count, doubted=range(1, 1 + doubted)) is not None) == believed


def test_faces_of_one_still_are_put_right_each_by_its_own_driver() -> None:
    pair = torch.cat([portrait()[:288, 60:388], portrait()[:288, 60:388]], 1).contiguous()
    still = engine().prepare(Still(pair))
    places = [SourceFace((80.0, 40.0, 250.0, 200.0)), SourceFace((408.0, 40.0, 578.0, 200.0))]
    acts = [Performance(place, turning(degrees)) for place, degrees in zip(places, (-6.0, 4.0), strict=True)]

    def shown(acts: list[Performance], reader: reading.Reader | None = None) -> Tensor:
        return MeshAnimator(engine()._analyser, reader=reader).preview(still, acts, Options(reference=0), 3 / float(RATE))

    both, left, right = shown(acts, Staring()), shown(acts[:1], Staring()), shown(acts[1:], Staring())
    assert torch.equal(both[:, :328], left[:, :328])
    assert torch.equal(both[:, 328:], right[:, 328:])
    plain = shown(acts)
    assert not torch.equal(both[:, :328], plain[:, :328])
    assert not torch.equal(both[:, 328:], plain[:, 328:])


def crowd() -> Iterator[tuple[SourceFace, Tensor]]:
    """Where the portrait's face is said to be in a scene of as many as a job may cast, with its landmarks there."""
    (x0, y0, x1, y1), points = face().box, portrait_landmarks()
    for place in range(CAST_MAX):
        yield SourceFace((x0 + 512 * place, y0, x1 + 512 * place, y1)), points + torch.tensor([512.0 * place, 0.0, 0.0])


def test_a_whole_cast_is_read_for_its_first_preview_only() -> None:
    still, reader = prepared(), Staring()
    assert isinstance(still, PreparedStill)
    places = list(crowd())
    still = replace(still, faces=tuple(replace(still.faces[0], landmarks=points) for _, points in places))
    animator = MeshAnimator(engine()._analyser, reader=reader)
    track = turning(4.0)
    acts = [Performance(place, track) for place, _ in places]
    animator.preview(still, acts, Options(head_motion=0.0), 0.0)
    assert reader.count == 0
    for options in (Options(), Options(strength=0.5), Options(regions=Regions.LIPS), Options()):
        animator.preview(still, acts, options, 0.1)
        assert reader.count == 4 * CAST_MAX


def test_a_preview_with_other_options_is_put_right_by_what_the_plain_performance_told() -> None:
    other = Options(reference=0, strength=0.3, head_motion=0.4, eye_opening=0.5, lip_opening=0.3)
    acts = [Performance(face(), turning(6.0))]
    before, after, never = (MeshAnimator(engine()._analyser, reader=reader) for reader in (Staring(), Staring(), None))
    before.preview(prepared(), acts, Options(reference=0), 0.1)
    shown = after.preview(prepared(), acts, other, 0.1)
    assert torch.equal(before.preview(prepared(), acts, other, 0.1), shown)
    assert not torch.equal(never.preview(prepared(), acts, other, 0.1), shown)


@pytest.mark.parametrize(("head_motion", "share"), [(0.5, 0.5), (1.0, 1.0), (1.5, 1.0)])
def test_a_head_that_moves_more_than_its_driver_is_put_right_no_more(head_motion: float, share: float) -> None:
    act, whole = act_of(Options(reference=0, head_motion=head_motion)), torch.tensor([0.04, -0.02, 0.01, 0.01, 0.01, -0.01])
    motion = act.driver.block(3, 4)
    corrected = act.retarget.corrected(lambda ways: whole.expand(len(ways), 6), act.driver.block(0, 1))
    plain, put_right = act.retarget(motion), corrected(motion)
    shift = (put_right.shift - plain.shift)[0, :2] / act.model.rest.height
    torch.testing.assert_close(shift, share * whole[4:], atol=1e-5, rtol=1e-3)
    turn = geometry.from_angles(share * whole[None, :3]) * torch.exp(share * whole[3])
    torch.testing.assert_close(put_right.rotation, turn @ plain.rotation, atol=1e-5, rtol=1e-4)
