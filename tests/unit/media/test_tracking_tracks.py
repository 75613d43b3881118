"""A track is one person: it goes on through speech, turns and a hand before the face, and ends when in doubt."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from tracking_inputs import astronaut, backdrop, carphone, head, pasted, reference, resized, stream

from media.frames import FrameBatch, YuvPlanes
from media.tracking import FaceTracker, TrackedFrame

ASTRONAUT_OVER_CARPHONE = (1.95, 165, 75)  # scale, left, top: eyes over eyes around frame 10


@pytest.fixture(scope="module")
def tracker() -> FaceTracker:
    return FaceTracker()


def tracks(tracker: FaceTracker, frames: Tensor) -> list[TrackedFrame]:
    return list(tracker.track(stream(frames)))


def ids(tracked: list[TrackedFrame]) -> list[list[int]]:
    return [sorted(face.track_id for face in frame.faces) for frame in tracked]


def test_a_talking_head_is_one_track_from_first_to_last_frame(tracker: FaceTracker) -> None:
    tracked = tracks(tracker, carphone())

    assert ids(tracked) == [[0]] * 120
    assert [frame.index for frame in tracked] == list(range(120))
    assert tracked[90].timestamp_s == pytest.approx(3.0)
    assert all(frame.faces[0].presence > 0.9 for frame in tracked)
    expected = reference("carphone_60_landmarks")
    between_eyes = torch.linalg.vector_norm(expected[468, :2] - expected[473, :2])
    error = torch.linalg.vector_norm(tracked[60].faces[0].landmarks[:, :2] - expected[:, :2], dim=1) / between_eyes
    assert error.median() < 0.005


def test_the_size_of_the_batches_changes_nothing(tracker: FaceTracker) -> None:
    frames = carphone()[:7]

    one, many = (list(tracker.track(stream(frames, size))) for size in (1, 7))

    for left, right in zip(one, many, strict=True):
        torch.testing.assert_close(left.faces[0].landmarks, right.faces[0].landmarks, atol=0.05, rtol=0)


def test_a_second_face_in_a_single_frame_is_a_track_of_its_own(tracker: FaceTracker) -> None:
    frames = carphone()[:12].clone()
    frames[5] = pasted(frames[5], head(), 20, 20)

    tracked = tracks(tracker, frames)

    assert ids(tracked) == [[0]] * 5 + [[0, 1]] + [[0]] * 6
    assert tracked[5].faces[1].presence > 0.9


def test_another_face_at_the_same_place_is_another_track(tracker: FaceTracker) -> None:
    scale, left, top = ASTRONAUT_OVER_CARPHONE
    frames = carphone()[8:20].clone()
    frames[6:] = torch.stack([pasted(frame, resized(head(), scale), left, top) for frame in frames[6:]])

    assert ids(tracks(tracker, frames)) == [[0]] * 6 + [[1]] * 6


def test_a_face_swapped_for_one_frame_is_not_hidden_in_the_track(tracker: FaceTracker) -> None:
    scale, left, top = ASTRONAUT_OVER_CARPHONE
    frames = carphone()[8:20].clone()
    frames[6] = pasted(frames[6], resized(head(), scale), left, top)

    numbers = ids(tracks(tracker, frames))

    assert numbers[6] == [1]
    assert all(1 not in found for index, found in enumerate(numbers) if index != 6)


def test_a_cut_to_another_scene_ends_the_track(tracker: FaceTracker) -> None:
    scene = pasted(backdrop(704, 576), resized(astronaut(), 1.1), 70, 10)
    frames = torch.cat([carphone()[:6], scene.expand(4, -1, -1, -1)])

    assert ids(tracks(tracker, frames)) == [[0]] * 6 + [[1]] * 4


def test_a_face_covered_for_a_moment_keeps_its_track(tracker: FaceTracker) -> None:
    frames = carphone()[:16].clone()
    frames[6:9, 150:420, 180:500] = 90

    numbers = ids(tracks(tracker, frames))

    assert numbers[:6] == [[0]] * 6
    assert numbers[7] == []
    assert numbers[-1] == [0]


def test_a_face_that_was_gone_for_long_is_another_track_however_few_frames_that_took(tracker: FaceTracker) -> None:
    frames = carphone()[:8].clone()
    frames[3:5] = backdrop(704, 576)
    short, long = (torch.tensor([0, 0.1, 0.2, 0.3, 0.4, end, end + 0.1, end + 0.2], dtype=torch.float64) for end in (0.9, 4.0))

    kept, lost = (list(tracker.track(stream(frames, timestamps_s=moments))) for moments in (short, long))

    assert ids(kept) == [[0]] * 3 + [[]] * 2 + [[0]] * 3
    assert ids(lost) == [[0]] * 3 + [[]] * 2 + [[1]] * 3
    assert [frame.timestamp_s for frame in lost[4:6]] == [pytest.approx(0.4), pytest.approx(4.0)]


COVERS = {"mouth": (280, 420, 180, 500), "eyes": (180, 265, 180, 500), "side": (100, 420, 330, 500), "most": (215, 420, 180, 500)}


@pytest.mark.parametrize("part", COVERS)
def test_a_hand_before_the_face_lowers_its_presence_until_it_is_gone(part: str, tracker: FaceTracker) -> None:
    top, bottom, left, right = COVERS[part]
    frames = carphone()[:24].clone()
    frames[8:16, top:bottom, left:right] = torch.tensor([190, 140, 115], dtype=torch.uint8)

    presence = torch.tensor([max((face.presence for face in frame.faces), default=0.0) for frame in tracks(tracker, frames)])

    assert presence[:8].min() > 0.9
    assert presence[8:16].median() < 0.5
    assert presence[18:].min() > 0.9


def test_turns_speech_and_blinks_leave_the_presence_as_it_is(tracker: FaceTracker) -> None:
    assert min(face.presence for frame in tracks(tracker, carphone()[60:]) for face in frame.faces) > 0.9


def test_a_flash_does_not_break_a_track(tracker: FaceTracker) -> None:
    frames = carphone()[:8].clone()
    frames[4] = (frames[4].float() * 1.3 + 20).clamp(0, 255).byte()

    assert ids(tracks(tracker, frames)) == [[0]] * 8


def test_two_people_side_by_side_keep_their_numbers(tracker: FaceTracker) -> None:
    frames = torch.stack([pasted(frame, resized(head(), 0.9), 10 + 2 * i, 30) for i, frame in enumerate(carphone()[:10])])

    tracked = tracks(tracker, frames)

    assert ids(tracked) == [[0, 1]] * 10
    small = [face.box.centre[0] for frame in tracked for face in frame.faces if face.box.width < 130]
    assert small == sorted(small)


def test_two_people_who_pass_each_other_keep_their_numbers(tracker: FaceTracker) -> None:
    man = resized(carphone()[60][100:460, 170:500], 0.62)
    frames, places = [], []
    for i in range(30):
        left, right = 20 + 16 * i, 500 - 14 * i
        frames.append(pasted(pasted(backdrop(704, 400), man, left, 60), head(), right, 90))
        places.append({"man": left + man.shape[1] / 2, "woman": right + 80})

    tracked = tracks(tracker, torch.stack(frames))

    shown: dict[int, set[str]] = {}
    for frame, place in zip(tracked, places, strict=True):
        for face in frame.faces:
            nearest = min(place, key=lambda name: abs(place[name] - face.box.centre[0]))
            shown.setdefault(face.track_id, set()).add(nearest)
    assert all(len(names) == 1 for names in shown.values())
    assert ids(tracked[:8]) == [[0, 1]] * 8
    assert ids(tracked[-7:]) == [[0, 1]] * 7


def test_a_face_that_comes_in_later_is_followed_from_then_on(tracker: FaceTracker) -> None:
    frames = torch.cat([backdrop(704, 576).expand(3, -1, -1, -1), carphone()[:4]])

    assert ids(tracks(tracker, frames)) == [[]] * 3 + [[0]] * 4


def test_faces_over_the_limit_are_counted(tracker: FaceTracker) -> None:
    frames = torch.stack([pasted(frame, head(), 20, 20) for frame in carphone()[:3]])

    tracked = list(FaceTracker(max_faces=1).track(stream(frames)))

    assert [(len(frame.faces), frame.left_out) for frame in tracked] == [(1, 1)] * 3


def test_frames_without_a_face_are_reported_as_such(tracker: FaceTracker) -> None:
    assert ids(tracks(tracker, backdrop(320, 240).expand(3, -1, -1, -1))) == [[]] * 3


def test_planar_frames_are_refused(tracker: FaceTracker) -> None:
    planes = YuvPlanes(*(torch.zeros(1, side, side, dtype=torch.uint8) for side in (64, 32, 32)))

    with pytest.raises(TypeError, match="to_rgb"):
        list(tracker.track(iter([FrameBatch(planes, torch.zeros(1, dtype=torch.float64))])))
