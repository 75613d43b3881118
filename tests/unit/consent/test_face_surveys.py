"""Real faces, looked at by the real tracker and the dlib model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from consent_material import FRAME_RATE, batches
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from consent.comparison import compare
from consent.errors import FaceEngineError, TooManyFaces
from consent.faces.engine import Band, Embedding, EngineConfig, FaceEngine, load_engine
from consent.faces.finding import ThoroughFinder
from consent.faces.observed import DriverSurvey, ObservedFace, Side
from consent.faces.survey import survey_driver, survey_still
from media.frames import FrameBatch
from media.tracking import FaceTracker, TrackedFrame

Frames = list[NDArray[np.uint8]]


def still(image: Image.Image | NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.array(image))


def template_of(face: ObservedFace) -> Embedding:
    assert face.embedding is not None
    return face.embedding


def survey(frames: Frames, engine: FaceEngine, finder: ThoroughFinder) -> DriverSurvey:
    return survey_driver(batches(frames), frame_rate=FRAME_RATE, engine=engine, finder=finder)


def test_the_astronaut_is_one_face_and_the_textures_of_her_suit_are_none(astronaut_face: ObservedFace) -> None:
    assert astronaut_face.name == "portrait:1"
    assert astronaut_face.side is Side.PORTRAIT
    assert not astronaut_face.note
    assert 30 < astronaut_face.inter_ocular_px < 60


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((192, 192), Image.Resampling.LANCZOS),
        lambda image: image.rotate(12, Image.Resampling.BICUBIC),
        lambda image: image.point(lambda value: int(value * 0.6)),
        lambda image: image.filter(ImageFilter.GaussianBlur(1.0)),
    ],
    ids=["smaller", "tilted", "darker", "softer"],
)
def test_a_person_in_another_picture_of_hers_matches(
    change: object, astronaut: Tensor, astronaut_face: ObservedFace, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    changed = change(Image.fromarray(astronaut.numpy()))  # type: ignore[operator]
    (face,) = survey_still(still(changed), None, engine=dlib_engine, finder=finder)
    assert compare(face, template_of(astronaut_face), dlib_engine) is Band.MATCH


def test_two_people_do_not_match(astronaut_face: ObservedFace, man_survey: DriverSurvey, dlib_engine: FaceEngine) -> None:
    (man,) = man_survey.faces
    assert compare(man, template_of(astronaut_face), dlib_engine) is Band.NONE
    assert compare(astronaut_face, template_of(man), dlib_engine) is Band.NONE


def test_a_talking_man_is_one_face_on_every_frame(man_survey: DriverSurvey) -> None:
    (man,) = man_survey.faces
    track = man_survey.tracks["driver:1"]
    assert (man.name, man.first_frame, man.last_frame, man.frames) == ("driver:1", 0, 23, 24)
    assert man_survey.frame_count == 24
    assert track.landmarks.shape == (24, 478, 3)
    assert track.landmarks.dtype == np.float32
    assert not np.isnan(track.landmarks).any()
    assert track.presence.min() > 0.5


def test_the_man_matches_a_template_from_one_photo_of_him(
    talking_man: Frames, man_survey: DriverSurvey, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    (photo,) = survey_still(still(talking_man[0]), None, engine=dlib_engine, finder=finder)
    assert compare(man_survey.faces[0], template_of(photo), dlib_engine) is Band.MATCH


def test_a_stranger_in_a_single_frame_is_a_face_of_the_clip(
    talking_man: Frames, astronaut: Tensor, astronaut_face: ObservedFace, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    frames = [frame.copy() for frame in talking_man[:10]]
    frames[5][0:160, 192:352] = np.array(Image.fromarray(astronaut.numpy()).resize((160, 160), Image.Resampling.LANCZOS))
    found = survey(frames, dlib_engine, finder)
    stranger = found.faces[1]
    assert (stranger.name, stranger.first_frame, stranger.frames) == ("driver:2", 5, 1)
    assert np.isnan(found.tracks["driver:2"].landmarks[4]).all()


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_stranger_between_two_thorough_searches_is_one_face_for_as_long_as_she_shows(
    quarters: int, talking_man: Frames, astronaut: Tensor, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    frames = [np.array(Image.fromarray(frame).resize((704, 576))) for frame in talking_man[:6]]
    for index in (3, 4):
        frames[index][0:320, 384:704] = np.rot90(astronaut.numpy(), quarters)
    found = survey(frames, dlib_engine, finder)
    assert [(face.first_frame, face.frames) for face in found.faces] == [(0, 6), (3, 2)]
    assert found.faces[1].embedding is not None


def test_somebody_swapped_in_for_part_of_the_clip_is_a_second_person(
    talking_man: Frames, astronaut: Tensor, astronaut_face: ObservedFace, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    woman = np.array(Image.fromarray(astronaut.numpy()).resize((352, 288), Image.Resampling.LANCZOS))
    frames = [*talking_man[:6], *[woman] * 3, *talking_man[6:10]]
    found = survey(frames, dlib_engine, finder)
    assert [face.frames for face in found.faces] == [10, 3]  # the man's two parts are one face
    assert compare(found.faces[1], template_of(astronaut_face), dlib_engine) is Band.MATCH


def test_a_face_too_small_to_match_is_reported_as_such(
    astronaut: Tensor, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    small = Image.fromarray(astronaut.numpy()).resize((110, 110), Image.Resampling.LANCZOS)
    (face,) = survey_still(still(small), None, engine=dlib_engine, finder=finder)
    assert face.embedding is None
    assert "too small" in face.note


def test_a_blurred_face_is_counted_and_not_matched(astronaut: Tensor, dlib_engine: FaceEngine, finder: ThoroughFinder) -> None:
    blurred = Image.fromarray(astronaut.numpy()).filter(ImageFilter.GaussianBlur(6.0))
    (face,) = survey_still(still(blurred), None, engine=dlib_engine, finder=finder)
    assert face.embedding is None
    assert face.note == "too blurred"


def test_a_face_on_its_side_is_found_and_recognised(
    astronaut: Tensor, astronaut_face: ObservedFace, dlib_engine: FaceEngine
) -> None:
    sideways = torch.rot90(astronaut, 1, dims=(0, 1)).contiguous()
    (face,) = survey_still(sideways, None, engine=dlib_engine, finder=ThoroughFinder())
    assert compare(face, template_of(astronaut_face), dlib_engine) is Band.MATCH


def test_a_face_hidden_under_transparency_is_reported(astronaut: Tensor, dlib_engine: FaceEngine, finder: ThoroughFinder) -> None:
    plain = torch.full_like(astronaut, 128)
    (hidden,) = survey_still(plain, astronaut, engine=dlib_engine, finder=finder)
    assert hidden.hidden
    (seen,) = survey_still(astronaut, astronaut, engine=dlib_engine, finder=finder)
    assert not seen.hidden


def test_a_picture_without_people_shows_none(dlib_engine: FaceEngine, finder: ThoroughFinder) -> None:
    noise = torch.randint(0, 256, (256, 256, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    assert survey_still(noise, None, engine=dlib_engine, finder=finder) == ()


def test_observed_faces_do_not_show_their_embeddings(astronaut_face: ObservedFace) -> None:
    assert "embedding" not in repr(astronaut_face)
    assert "samples" not in repr(astronaut_face)


class Skipping:
    """A tracker that leaves out every frame for which `keep` is false."""

    def __init__(self, *drop: int) -> None:
        self.drop = drop

    def track(self, stream: Iterator[FrameBatch]) -> Iterator[TrackedFrame]:
        for frame in FaceTracker().track(stream):
            if frame.index not in self.drop:
                yield frame


@pytest.mark.parametrize("dropped", [0, 3, 7])
def test_a_frame_that_nobody_looked_at_stops_the_survey(
    dropped: int, talking_man: Frames, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    with pytest.raises(FaceEngineError):
        survey_driver(
            batches(talking_man[:8]), frame_rate=FRAME_RATE, engine=dlib_engine, finder=finder, tracker=Skipping(dropped)
        )


def test_more_faces_than_can_be_examined_stop_the_survey(
    talking_man: Frames, dlib_engine: FaceEngine, finder: ThoroughFinder
) -> None:
    with pytest.raises(TooManyFaces):
        survey_driver(
            batches(talking_man[:2]), frame_rate=FRAME_RATE, engine=dlib_engine, finder=finder, tracker=FaceTracker(max_faces=0)
        )


def test_an_engine_is_chosen_by_name_and_an_unknown_one_is_refused() -> None:
    with pytest.raises(FaceEngineError, match="dlib, insightface"):
        load_engine(EngineConfig("guesswork"))


def test_insightface_without_a_model_pack_is_refused_and_nothing_is_fetched(tmp_path: object) -> None:
    with pytest.raises(FaceEngineError, match="INSIGHTFACE_ROOT"):
        load_engine(EngineConfig("insightface"))
    with pytest.raises(FaceEngineError, match="buffalo_l"):
        load_engine(EngineConfig("insightface", pack_root=tmp_path))  # type: ignore[arg-type]
