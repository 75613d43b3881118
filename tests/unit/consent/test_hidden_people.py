"""Somebody else beside, behind or between the looks at a person who is cleared: found, or left to a moderator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch
from consent_material import FRAME_RATE, batches
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from consent.comparison import SOFT_SECONDS_MAX, compare, shows
from consent.faces.engine import Band, Embedding, FaceEngine
from consent.faces.finding import ThoroughFinder
from consent.faces.observed import CountedBy, DriverSurvey, ObservedFace, Side
from consent.faces.survey import survey_driver, survey_still
from media.tracking import FaceDetector, FaceLandmarker

Picture = NDArray[np.uint8]
CORNERS = [33, 263, 1, 152, 61, 291, 10]  # eyes, nose, chin, mouth, forehead


@pytest.fixture(scope="module")
def man(talking_man: list[Picture]) -> Picture:
    """uint8 (576, 704, 3)."""
    return np.array(Image.fromarray(talking_man[0]).resize((704, 576), Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def woman_in_his_place(man: Picture, astronaut: Tensor) -> Picture:
    """The astronaut with eyes, nose, chin and mouth where the man has his."""
    his, hers = mesh(man), mesh(astronaut.numpy())
    places = np.column_stack([his[CORNERS], np.ones(len(CORNERS))])
    solution = np.linalg.lstsq(places, hers[CORNERS], rcond=None)[0]
    size = (man.shape[1], man.shape[0])
    warped = Image.fromarray(astronaut.numpy()).transform(
        size, Image.Transform.AFFINE, solution.T.ravel().tolist(), Image.Resampling.BICUBIC
    )
    return np.array(warped)


@pytest.fixture(scope="module")
def his_template(man: Picture, dlib_engine: FaceEngine, finder: ThoroughFinder) -> Embedding:
    (photo,) = survey_still(torch.from_numpy(man), None, engine=dlib_engine, finder=finder)
    assert photo.embedding is not None
    return photo.embedding


def mesh(picture: Picture) -> NDArray[np.float32]:
    """x and y of the landmarks of the one face."""
    frame = torch.from_numpy(picture)[None]
    ((detection, *_),) = FaceDetector().detect(frame)
    points: NDArray[np.float32] = FaceLandmarker().landmarks(frame, [detection.roi], passes=2)[0][0, :, :2].numpy()
    return points


def mix(one: Picture, other: Picture, share: float) -> Picture:
    return ((1 - share) * one + share * other).round().astype(np.uint8)


def blurred(picture: Picture, radius_px: float = 8.0) -> Picture:
    return np.array(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius_px)))


def survey(frames: list[Picture], engine: FaceEngine, finder: ThoroughFinder, side: Side = Side.DRIVER) -> DriverSurvey:
    return survey_driver(batches(frames), frame_rate=FRAME_RATE, engine=engine, finder=finder, side=side)


def test_somebody_faded_in_between_two_regular_looks_is_no_match(
    man: Picture, woman_in_his_place: Picture, his_template: Embedding, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    shares = (0.0, 0.34, 0.67, 1.0, 1.0, 1.0, 0.67, 0.34) * 2
    faces = survey([mix(man, woman_in_his_place, share) for share in shares], dlib_engine, finder).faces
    assert any(compare(face, his_template, dlib_engine) is Band.NONE for face in faces)


def test_somebody_blurred_between_two_looks_goes_to_a_moderator(
    man: Picture, woman_in_his_place: Picture, his_template: Embedding, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    him, her = blurred(man), blurred(woman_in_his_place)
    fade = [mix(him, her, share) for share in (0.34, 0.67)]
    faces = survey([man, him, *fade, *[her] * 8, *reversed(fade), him, man], dlib_engine, finder).faces
    assert all(compare(face, his_template, dlib_engine) is not Band.MATCH for face in faces)
    assert faces[0].unvouched_frames >= 8


def test_a_man_who_is_blurred_for_a_moment_is_still_himself(
    man: Picture, his_template: Embedding, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    (face,) = survey([*[man] * 14, *[blurred(man, 6.0)] * 6, *[man] * 14], dlib_engine, finder).faces
    assert 0 < face.soft_s < SOFT_SECONDS_MAX
    assert compare(face, his_template, dlib_engine) is Band.MATCH


def test_somebody_blurred_beyond_recognition_for_half_a_second_goes_to_a_moderator(
    man: Picture, woman_in_his_place: Picture, his_template: Embedding, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    him, her = blurred(man, 11.0), blurred(woman_in_his_place, 11.0)
    away = [blurred(man, 2.0), blurred(man, 4.0), him, *(mix(him, her, share) for share in (0.25, 0.5, 0.75)), *[her] * 8]
    faces = survey([*[man] * 40, *away, *reversed(away), *[man] * 40], dlib_engine, finder).faces
    (main,) = (face for face in faces if face.frames > 80)
    assert main.soft_s > SOFT_SECONDS_MAX, "it happens in the man's own track"
    assert compare(main, his_template, dlib_engine) is Band.REVIEW
    assert compare(replace(main, soft_s=0.0, unclear=None), his_template, dlib_engine) is Band.MATCH, "nothing else says so"


@pytest.fixture(scope="module")
def somebody_softened(man: Picture, woman_in_his_place: Picture) -> list[Picture]:
    """Half a second of another person, just too blurred to be matched, faded in and out of the man."""
    him, her = blurred(man, 4.5), blurred(woman_in_his_place, 4.5)
    fade = [mix(him, her, share) for share in (0.25, 0.5, 0.75)]
    focus = [blurred(man, 2.0), blurred(man, 3.5), him]
    return [*[man] * 8, *focus, *fade, *[her] * 14, *reversed(fade), *reversed(focus), *[man] * 8]


@pytest.mark.parametrize("side", [Side.PORTRAIT, Side.RENDERED])
def test_somebody_softened_below_what_can_be_matched_still_contradicts(
    side: Side, somebody_softened: list[Picture], his_template: Embedding, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    faces = survey(somebody_softened, dlib_engine, finder, side).faces
    assert any(compare(face, his_template, dlib_engine) is Band.NONE for face in faces)
    assert not all(shows(face, his_template, dlib_engine) for face in faces)
    (shown,) = (face for face in faces if face.frames > 20)
    assert shown.unclear is not None, "the stranger hides in the man's own track"


@pytest.mark.parametrize(("width", "centre"), [(90, (355, 340)), (120, (350, 320))], ids=["small", "large"])
def test_a_face_on_the_face_of_another_in_a_single_frame_is_a_second_person(
    width: int, centre: tuple[int, int], man: Picture, astronaut: Tensor, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    head = Image.fromarray(astronaut.numpy()[30:230, 60:260]).resize((width, width), Image.Resampling.LANCZOS)
    changed = Image.fromarray(man)
    changed.paste(head, (centre[0] - width // 2, centre[1] - width // 2))
    faces = survey([man, man, np.array(changed), man], dlib_engine, finder).faces
    assert [(face.first_frame, face.frames) for face in faces[1:]] == [(2, 1)]


def beside(man: Picture, astronaut: Tensor, *, cover: tuple[int, int, int, int] | None = None, cut_px: int = 0) -> Tensor:
    """The astronaut at the left, the man at the right: covered by a hand's colour, or cut off by the picture's edge."""
    him = Image.fromarray(man[90:470, 160:540]).resize((320, 320), Image.Resampling.LANCZOS)
    if cover:
        him.paste((200, 160, 140), cover)
    both = np.concatenate([astronaut.numpy(), np.array(him)], axis=1)
    return torch.from_numpy(both[:, : both.shape[1] - cut_px].copy())


@pytest.mark.parametrize(
    "change", [{"cut_px": 155}, {"cover": (0, 150, 320, 320)}, {"cover": (180, 0, 320, 320)}], ids=["cut", "mouth", "side"]
)
def test_half_a_face_beside_the_depicted_person_does_not_go_unseen(
    change: dict[str, object], man: Picture, astronaut: Tensor, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    faces = survey_still(beside(man, astronaut, **change), None, engine=dlib_engine, finder=finder)  # type: ignore[arg-type]
    assert len([face for face in faces if face.box[0] > 300]) == 1
    assert len(faces) == 2


def test_a_face_behind_a_hand_is_left_to_a_moderator(
    man: Picture, astronaut: Tensor, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    faces = survey_still(beside(man, astronaut, cover=(170, 0, 320, 320)), None, engine=dlib_engine, finder=finder)
    assert [face.counted_by for face in faces] == [CountedBy.LANDMARKS, CountedBy.DOUBT]


def test_half_a_face_at_the_edge_cannot_be_matched(
    man: Picture, astronaut: Tensor, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    faces = survey_still(beside(man, astronaut, cut_px=155), None, engine=dlib_engine, finder=finder)
    (half,) = (face for face in faces if face.box[0] > 300)
    assert half.embedding is None
    assert half.note


@pytest.mark.parametrize("picture", [skimage.data.chelsea(), skimage.data.coffee()], ids=["cat", "cup"])
def test_what_is_no_face_stays_none(picture: Picture, dlib_engine: FaceEngine) -> None:
    assert survey_still(torch.from_numpy(picture.copy()), None, engine=dlib_engine, finder=ThoroughFinder()) == ()


def test_a_person_alone_leaves_no_doubt(astronaut_face: ObservedFace) -> None:
    assert astronaut_face.counted_by is CountedBy.LANDMARKS
