"""A performer who is gone or covered for a while stays one person; nobody else gets in meanwhile. Pieces stand in a plane."""

from __future__ import annotations

import numpy as np
import pytest
from consent_material import FRAME_RATE, FlatEngine, batches
from numpy.typing import NDArray

from consent.faces.engine import FaceEngine
from consent.faces.finding import ThoroughFinder
from consent.faces.observed import Side
from consent.faces.quality import Quality
from consent.faces.survey import survey_driver
from consent.faces.tracks import GLIMPSE_FRAMES, Group, Piece, arrays_of, face_of, join

HIM, STRANGER = (0.0, 0.0), (5.0, 0.0)
HERE, ELSEWHERE = 100.0, 400.0


def piece(
    first: int, last: int, at: tuple[float, float] | None = HIM, *, x: float = HERE, presence: float = 1.0, followed: bool = True
) -> Piece:
    """What was gathered of frames first .. last, looked at every eighth frame; at None nobody could look."""
    frames = list(range(first, last + 1))
    landmarks = np.full((478, 3), x, np.float32)
    landmarks[:2, :2] = [[x, 0.0], [x + 100.0, 100.0]]
    looks = [] if at is None else frames[::8]
    return Piece(
        FlatEngine(),
        followed=followed,
        frames=frames,
        landmarks=[landmarks] * len(frames),
        presence=[presence] * len(frames),
        sampled_at=looks,
        samples=[np.array(at)] * len(looks),
        box=(x, 0.0, x + 100.0, 100.0),
        vouched=set(frames) if looks else set(),
    )


def frames_of(groups: list[Group]) -> list[int]:
    return [len(group.frames) for group in groups]


def test_a_gap_between_two_looks_at_one_person_is_no_change_of_person() -> None:
    (him,) = join([piece(0, 39), piece(100, 139)], FlatEngine())
    face = face_of(him, "driver:1", Side.DRIVER, FRAME_RATE)
    assert (face.first_frame, face.last_frame, face.frames) == (0, 139, 80)
    assert face.blind_s == 0.0
    arrays = arrays_of(him, 140)
    assert np.isnan(arrays.landmarks[40:100]).all()
    assert not np.isnan(arrays.landmarks[:40]).any()


def test_somebody_else_after_the_gap_is_somebody_else() -> None:
    assert frames_of(join([piece(0, 39), piece(100, 139, STRANGER)], FlatEngine())) == [40, 40]


def test_one_track_across_a_gap_is_not_blind_for_frames_in_which_nobody_was_seen() -> None:
    across = piece(0, 39)
    later = piece(100, 139)
    across.frames += later.frames
    across.landmarks += later.landmarks
    across.presence += later.presence
    across.sampled_at += later.sampled_at
    assert Group([across]).blind_frames(Side.DRIVER) == 7


def test_frames_that_perform_without_a_look_are_blind_and_a_gap_does_not_end_the_run() -> None:
    first, second = piece(0, 19), piece(60, 79)
    second.sampled_at, second.samples = [79], second.samples[:1]
    assert Group([first, second]).blind_frames(Side.DRIVER) == 3 + 19


def test_covered_frames_never_perform_and_are_not_blind() -> None:
    him = piece(0, 79)
    him.presence[10:70] = [0.2] * 60
    him.sampled_at, him.samples = [0, 8, 70, 78], him.samples[:4]
    him.vouched -= set(range(10, 70))
    face = face_of(Group([him]), "driver:1", Side.DRIVER, FRAME_RATE)
    assert (face.blind_s, face.unvouched_frames) == (0.0, 0)
    assert np.isnan(arrays_of(Group([him]), 80).landmarks[10:70]).all()


def test_in_a_video_whose_pixels_are_shown_a_covered_face_has_to_be_vouched_for_too() -> None:
    him = piece(0, 79)
    him.presence[10:70] = [0.2] * 60
    him.sampled_at, him.samples = [0, 8, 70, 78], him.samples[:4]
    him.vouched -= set(range(10, 70))
    face = face_of(Group([him]), "portrait:1", Side.PORTRAIT, FRAME_RATE)
    assert (face.blind_s, face.unvouched_frames) == (pytest.approx(61 / 29.97, abs=1e-3), 60)


def test_in_a_video_whose_pixels_are_shown_a_glimpse_is_a_face_of_its_own() -> None:
    glimpse = piece(40, 42, None, presence=0.2)
    assert frames_of(join([piece(0, 39), glimpse], FlatEngine(), Side.PORTRAIT)) == [40, 3]


def test_what_is_left_of_a_face_behind_a_hand_stays_with_the_face() -> None:
    glimpse = piece(40, 42, None, presence=0.2)
    assert frames_of(join([piece(0, 39), glimpse], FlatEngine())) == [43]


@pytest.mark.parametrize(
    "stray",
    [
        piece(40, 42, None, presence=0.2, x=ELSEWHERE),
        piece(40 + GLIMPSE_FRAMES, 50, None, presence=0.2),
        piece(40, 40 + GLIMPSE_FRAMES, None, presence=0.2),
        piece(40, 42, None, presence=0.9),
        piece(40, 42, None, presence=0.2, followed=False),
        piece(30, 32, None, presence=0.2),
    ],
    ids=["elsewhere", "later", "longer", "a clear face", "found beside the tracker", "at the same time"],
)
def test_a_face_that_nobody_can_match_stays_a_face_of_its_own(stray: Piece) -> None:
    groups = join([piece(0, 39), stray], FlatEngine())
    assert frames_of(groups) == [40, len(stray.frames)]
    assert face_of(groups[1], "driver:2", Side.DRIVER, FRAME_RATE).embedding is None


def test_a_performer_who_leaves_the_picture_comes_back_as_himself(
    talking_man: list[NDArray[np.uint8]], dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    nobody = [np.full_like(talking_man[0], 40)] * 4
    frames = [*talking_man[:10], *nobody, *talking_man[14:24]]
    found = survey_driver(batches(frames), frame_rate=FRAME_RATE, engine=dlib_engine, finder=finder)
    (face,) = found.faces
    assert (face.frames, face.first_frame, face.last_frame) == (20, 0, 23)
    assert np.isnan(found.tracks["driver:1"].landmarks).any(axis=(1, 2)).nonzero()[0].tolist() == [10, 11, 12, 13]


def test_faces_are_named_after_the_file_they_were_seen_in(
    talking_man: list[NDArray[np.uint8]], dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    how = {"frame_rate": FRAME_RATE, "engine": dlib_engine, "finder": finder}
    second = survey_driver(batches(talking_man[:2]), **how, label="driver2")  # type: ignore[arg-type]
    source = survey_driver(batches(talking_man[:2]), **how, side=Side.PORTRAIT)  # type: ignore[arg-type]
    assert [(face.name, face.side) for face in (*second.faces, *source.faces)] == [
        ("driver2:1", Side.DRIVER),
        ("portrait:1", Side.PORTRAIT),
    ]
    assert list(second.tracks) == ["driver2:1"]


@pytest.mark.parametrize(
    ("view", "contradicts"),
    [
        (Quality(60.0, 80.0, 0.3), False),  # it is matched, nothing is left to say
        (Quality(60.0, 4.0, 0.3), True),
        (Quality(60.0, 80.0, 0.75), True),
        (Quality(60.0, 0.5, 0.3), False),  # a fade: unlike its own person too
        (Quality(60.0, 80.0, 0.95), False),  # a profile
        (Quality(60.0, 4.0, 0.75), False),  # both at once
        (Quality(15.0, 80.0, 0.75), False),
    ],
)
def test_a_view_too_blurred_or_too_far_turned_to_vouch_can_still_show_somebody_else(view: Quality, contradicts: bool) -> None:
    assert view.may_contradict is contradicts
