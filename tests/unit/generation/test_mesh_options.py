"""What each option of a performance changes on the portrait, and that it changes nothing else."""

from __future__ import annotations

import pytest
import torch
from mesh_material import as_track, eye_apertures, nose_offset, perform, portrait_landmarks, retrack, still_track, turned

from generation.engines.base import FaceTrack, MotionMode, Options, Regions
from generation.engines.mesh import geometry, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.motion import Driver
from generation.engines.mesh.retarget import Pose, Retarget
from generation.engines.mesh.source import rest_face

BLINK, SHOUT = 4, 8
BROWS, CHIN = list(topology.BROWS), [topology.CHIN]
UPPER, LOWER = list(topology.INNER_UPPER), list(topology.INNER_LOWER)


def lively(points: torch.Tensor, i: int) -> torch.Tensor:
    """A driver who rests, blinks at frame 4, and from frame 7 on shouts, raises the brows, looks aside and turns."""
    if i == BLINK:
        for upper, lower in zip(topology.UPPER_LIDS, topology.LOWER_LIDS, strict=True):
            points[list(upper)] = points[list(lower)]
    if i >= SHOUT - 1:
        points[[*LOWER, *topology.OUTER_LOWER, topology.CHIN], 1] += 14
        points[BROWS, 1] -= 7
        points[468:, 0] += 2
        points = turned(points, 12)
    return points


def driver() -> FaceTrack:
    return still_track(10, lively)


def posed(options: Options, track: FaceTrack | None = None) -> Pose:
    """All frames of the performance, as places of the portrait's points."""
    track, config = track or driver(), MeshConfig()
    acting = Driver(track, options, config).facing(portrait_landmarks())
    return Retarget(rest(), acting.neutral, options, config)(acting.block(0, track.frame_count))


def rest():  # type: ignore[no-untyped-def]
    return rest_face(portrait_landmarks(), MeshConfig())


def lip_gap(pose: Pose) -> torch.Tensor:
    """(T,): the middle of the lips' gap in pixels."""
    return (pose.vertices[:, LOWER[4]] - pose.vertices[:, UPPER[4]]).norm(dim=1)


def moved(pose: Pose, points: list[int], frame: int = SHOUT) -> float:
    """The longest way of some points from where the portrait has them, in pixels."""
    return float((pose.vertices[frame, points] - rest().vertices[points]).norm(dim=1).max())


def angles(pose: Pose) -> torch.Tensor:
    """(T, 3) degrees of yaw, pitch and roll."""
    return torch.rad2deg(geometry.to_angles(pose.rotation / torch.linalg.det(pose.rotation)[:, None, None] ** (1 / 3)))


def test_with_all_regions_everything_moves() -> None:
    pose = posed(Options())
    assert lip_gap(pose)[SHOUT] > lip_gap(pose)[0] + 8
    assert float(pose.lids[BLINK].max()) < 0.1
    assert float(angles(pose)[SHOUT, 0].abs()) > 8
    assert float(pose.gaze[SHOUT, 0]) > 1


def test_lips_alone_leave_lids_gaze_brows_and_head_at_rest() -> None:
    pose = posed(Options(regions=Regions.LIPS))
    assert lip_gap(pose)[SHOUT] > lip_gap(pose)[0] + 8
    assert torch.equal(pose.lids, torch.ones_like(pose.lids))
    assert torch.equal(pose.gaze, torch.zeros_like(pose.gaze))
    assert moved(pose, BROWS) < 1e-3
    assert float(angles(pose).abs().max()) < 1e-3


def test_eyes_alone_leave_lips_chin_and_head_at_rest() -> None:
    pose = posed(Options(regions=Regions.EYES))
    assert moved(pose, BROWS) > 3
    assert float(pose.lids[BLINK].max()) < 0.1
    assert moved(pose, UPPER + LOWER + CHIN) < 1e-3
    assert float(angles(pose).abs().max()) < 1e-3


def test_the_face_without_the_pose_keeps_the_head_where_it_is() -> None:
    pose = posed(Options(regions=Regions.FACE))
    assert lip_gap(pose)[SHOUT] > lip_gap(pose)[0] + 8
    assert moved(pose, BROWS) > 3
    assert float(angles(pose).abs().max()) < 1e-3
    assert float(pose.shift.abs().max()) == 0


def test_the_pose_alone_turns_the_portraits_own_expression() -> None:
    pose = posed(Options(regions=Regions.POSE))
    assert float(angles(pose)[SHOUT, 0].abs()) > 8
    assert torch.equal(pose.lids, torch.ones_like(pose.lids))
    face = (pose.vertices[:, :468] - rest().centre - pose.shift[:, None]) @ torch.linalg.inv(pose.rotation).mT
    assert torch.allclose(face, (rest().vertices[:468] - rest().centre).expand_as(face), atol=1e-2)


@pytest.mark.parametrize("regions", list(Regions))
def test_eyes_are_closed_on_request_whatever_the_driver_gives(regions: Regions) -> None:
    assert float(posed(Options(regions=regions, eye_opening=-1.0)).lids.max()) == 0


@pytest.mark.parametrize("regions", list(Regions))
def test_lips_are_closed_or_opened_on_request_whatever_the_driver_gives(regions: Regions) -> None:
    assert float(lip_gap(posed(Options(regions=regions, lip_opening=-1.0, head_motion=0.0))).max()) < 1.5
    wide = lip_gap(posed(Options(regions=regions, lip_opening=1.0)))
    assert float(wide.min()) > 0.14 * rest().height


def test_eyes_held_wide_open_still_blink() -> None:
    lids = posed(Options(eye_opening=1.0)).lids
    assert float(lids[0].min()) > 1.25
    assert float(lids[BLINK].max()) < 0.1


def test_closed_eyes_are_seen_as_closed() -> None:
    frames = perform(still_track(1), Options(reference=0, eye_opening=-1.0))
    assert float(eye_apertures(retrack(frames))) < 0.4 * float(eye_apertures(portrait_landmarks()[None]))


@pytest.mark.parametrize("regions", list(Regions))
def test_the_gaze_can_be_directed_to_the_pictures_right_and_up(regions: Regions) -> None:
    gaze = posed(Options(regions=regions, gaze=0.0, gaze_across=1.0, gaze_up=1.0)).gaze[0]
    assert float(gaze[0]) > 2
    assert float(gaze[1]) < -1


@pytest.mark.parametrize(
    ("options", "points"),
    [
        (Options(lip_opening=0.6), BROWS + list(topology.UPPER_LIDS[0])),
        (Options(lip_opening=-1.0), BROWS + list(topology.UPPER_LIDS[0])),
        (Options(eye_opening=-1.0), UPPER + LOWER + CHIN + BROWS),
        (Options(gaze_across=1.0, gaze_up=-1.0), list(range(468))),
        (Options(gaze=0.0), list(range(468))),
    ],
)
def test_an_offset_moves_nothing_but_its_own_part(options: Options, points: list[int]) -> None:
    plain, changed = posed(Options()), posed(options)
    assert torch.allclose(plain.vertices[:, points], changed.vertices[:, points], atol=1e-3)
    assert torch.equal(plain.rotation, changed.rotation)


def test_without_strength_the_portrait_keeps_its_smile_and_the_head_still_turns() -> None:
    pose = posed(Options(strength=0.0))
    assert torch.allclose(lip_gap(pose), lip_gap(posed(Options(regions=Regions.POSE))), atol=1e-3)
    assert float(pose.lids.min()) == 1
    assert torch.allclose(angles(pose), angles(posed(Options())), atol=1e-3)


def test_strength_scales_the_expression_and_not_the_head() -> None:
    half, whole, more = (posed(Options(strength=s, head_motion=0.0)) for s in (0.5, 1.0, 1.5))
    ways = [moved(pose, BROWS) for pose in (half, whole, more)]
    assert ways[0] == pytest.approx(ways[1] / 2, rel=0.1)
    assert ways[2] > 1.3 * ways[1]


def test_head_motion_scales_the_head_and_not_the_expression() -> None:
    still, half, whole = (posed(Options(head_motion=h)) for h in (0.0, 0.5, 1.0))
    assert float(angles(still).abs().max()) < 1e-3
    assert float(angles(half)[SHOUT, 0]) == pytest.approx(float(angles(whole)[SHOUT, 0]) / 2, rel=0.05)
    assert torch.allclose(lip_gap(still), lip_gap(posed(Options(regions=Regions.FACE))), atol=1e-3)


def test_relative_motion_starts_from_the_portraits_pose_and_absolute_takes_the_drivers() -> None:
    track = still_track(9, lambda points, i: turned(points, 15))
    assert float(angles(posed(Options(), track)).abs().max()) < 0.5
    absolute = posed(Options(motion=MotionMode.ABSOLUTE), track)
    assert float(angles(absolute)[4, 0].abs()) == pytest.approx(15, abs=1.5)
    assert float(nose_offset(absolute.vertices)[4]) > float(nose_offset(rest().vertices[None])) + 0.05  # to the picture's right
    assert float(angles(posed(Options(motion=MotionMode.ABSOLUTE, head_motion=0.0), track)).abs().max()) < 1e-3


def test_absolute_motion_closes_a_smile_that_the_driver_does_not_have() -> None:
    def serious(points: torch.Tensor, _: int) -> torch.Tensor:
        points[UPPER] = points[LOWER] = (points[UPPER] + points[LOWER]) / 2
        return points

    gap = lip_gap(posed(Options(motion=MotionMode.ABSOLUTE), still_track(9, serious)))
    assert float(gap.max()) < 0.3 * float(lip_gap(posed(Options(strength=0.0)))[0])


def test_a_driver_who_starts_from_the_portrait_itself_rests_there() -> None:
    track = still_track(12, lambda points, i: lively(points, i) if i != 6 else points)
    acting = Driver(track, Options(), MeshConfig()).facing(portrait_landmarks())
    assert acting.reference in {0, 1, 2, 3, 5, 6}
    assert Driver(track, Options(reference=8), MeshConfig()).facing(portrait_landmarks()).reference == 8


def test_a_smiling_portrait_is_matched_with_the_drivers_smile() -> None:
    def mostly_serious(points: torch.Tensor, i: int) -> torch.Tensor:
        shrunk = points * torch.tensor([0.9, 1.0, 1.0])  # another person, whose face is narrower
        if not 10 <= i < 20:
            shrunk[UPPER] = shrunk[LOWER] = (shrunk[UPPER] + shrunk[LOWER]) / 2
            shrunk[list(topology.OUTER_CORNERS), 1] += 6
        return shrunk

    track = still_track(30, mostly_serious)
    assert 10 <= Driver(track, Options(), MeshConfig()).facing(portrait_landmarks()).reference < 20
    assert not 10 <= Driver(track, Options(), MeshConfig()).reference < 20


def test_smoothing_calms_noise_and_keeps_a_sudden_turn_and_a_blink_of_one_frame() -> None:
    noise = torch.randn(30, 478, 3, generator=torch.Generator().manual_seed(5)) * 0.2
    track = still_track(30, lambda points, i: turned(points, 12.0 * (i >= 15)) + noise[i])
    raw, smooth = (posed(Options(smoothing=s, reference=3), track) for s in (0.0, 1.0))
    wobble = [float((p.vertices[5:12] - p.vertices[4:11]).norm(dim=-1).mean()) for p in (raw, smooth)]
    assert wobble[1] < 0.6 * wobble[0]
    turns = [angles(p)[:, 0] for p in (raw, smooth)]
    assert torch.allclose(turns[0][14:16], turns[1][14:16], atol=2.0)
    assert float(posed(Options(smoothing=1.0)).lids[BLINK].max()) < 0.1


def test_a_wink_stays_a_wink() -> None:
    def wink(points: torch.Tensor, i: int) -> torch.Tensor:
        if i > 4:
            points[list(topology.UPPER_LIDS[0])] = points[list(topology.LOWER_LIDS[0])]
        return points

    lids = posed(Options(), still_track(9, wink)).lids[7]
    assert float(lids[0]) < 0.15
    assert float(lids[1]) > 0.85


def test_a_mouth_that_goes_to_one_side_does_so_on_the_portrait() -> None:
    def aside(points: torch.Tensor, i: int) -> torch.Tensor:
        if i > 4:
            points[[*UPPER, *LOWER, *topology.OUTER_CORNERS, *topology.MOUTH_CORNERS, topology.CHIN], 0] += 6
        return points

    pose = posed(Options(), still_track(9, aside))
    way = pose.vertices[7, [*UPPER, topology.CHIN], 0] - pose.vertices[0, [*UPPER, topology.CHIN], 0]
    assert float(way.min()) > 4


def test_a_driver_of_other_proportions_does_not_lend_them() -> None:
    wide = torch.tensor([1.2, 0.85, 1.0])
    plain, other = posed(Options(), driver()), posed(Options(), as_track(driver().landmarks * wide))
    assert torch.allclose(plain.vertices[0], other.vertices[0], atol=1.0)
    sizes = [rest().vertices[:468, :2], other.vertices[0, :468, :2]]
    spans = [(s.amax(0) - s.amin(0)).tolist() for s in sizes]
    assert spans[0] == pytest.approx(spans[1], rel=0.02)
