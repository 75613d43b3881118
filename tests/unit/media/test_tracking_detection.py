"""Faces are found wherever they are in the picture, and things that are not faces do not count."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from skimage import data
from torch import Tensor
from tracking_inputs import FACE_BOX, astronaut, backdrop, carphone, head, pasted, reference, resized

from media.tracking import Box, FaceDetection, FaceDetector, FaceLandmarker

Search = Callable[[Tensor], list[FaceDetection]]


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


@pytest.fixture(scope="module")
def landmarker() -> FaceLandmarker:
    return FaceLandmarker()


@pytest.fixture(scope="module")
def faces_of(detector: FaceDetector, landmarker: FaceLandmarker) -> Search:
    """What a thorough look finds in a picture (H, W, 3) and the landmark network confirms."""

    def search(picture: Tensor) -> list[FaceDetection]:
        (found,) = detector.detect(picture[None], thorough=True)
        presence = landmarker.presence(picture.expand(len(found), -1, -1, -1), [face.roi for face in found])
        return [face for face, sure in zip(found, presence.tolist(), strict=True) if sure >= 0.5]

    return search


def test_a_portrait_has_one_face_and_mediapipe_sees_it_there_too(detector: FaceDetector) -> None:
    (portrait,) = detector.detect(astronaut()[None])
    (driver,) = detector.detect(carphone()[60:61])

    for found, name in ((portrait, "astronaut"), (driver, "carphone_60")):
        assert len(found) == 1
        assert found[0].score > 0.8
        assert found[0].persists
        for kind in ("short", "full"):
            assert Box(*reference(f"{name}_{kind}_range_box").tolist()).iou(found[0].box) > 0.8


def test_keypoints_lie_on_eyes_nose_and_mouth(detector: FaceDetector) -> None:
    face = detector.detect(astronaut()[None])[0][0]

    expected = reference("astronaut_landmarks")[[468, 473, 1, 13], :2]
    assert (face.keypoints[:4] - expected).abs().max() < 0.1 * face.box.width


@pytest.mark.parametrize("picture", ["chelsea", "coffee", "rocket", "retina", "immunohistochemistry", "hubble_deep_field"])
def test_animals_and_things_do_not_count_as_faces(faces_of: Search, picture: str) -> None:
    pixels = torch.from_numpy(getattr(data, picture)()[:720, :720].copy())

    assert not faces_of(pixels)


def test_a_look_at_halves_finds_a_face_that_a_plain_look_misses(detector: FaceDetector) -> None:
    picture = pasted(backdrop(704, 576), resized(head(), 0.4), 450, 120)[None]
    place = Box(462, 142, 502, 182)

    assert not [face for face in detector.detect(picture)[0] if face.box.iou(place) > 0.4]
    assert [face for face in detector.detect(picture, halves=True)[0] if face.box.iou(place) > 0.4 and face.score > 0.8]


@pytest.mark.parametrize("face_px", [28, 40, 90])
def test_a_small_face_in_a_large_picture_is_found_by_a_thorough_look(faces_of: Search, face_px: int) -> None:
    scale = face_px / 100
    picture = pasted(backdrop(1280, 886), resized(head(), scale), 700, 500)

    found = faces_of(picture)

    assert len(found) == 1
    place = Box(700 + 30 * scale, 500 + 54 * scale, 700 + 130 * scale, 500 + 154 * scale)
    assert found[0].box.iou(place) > 0.4


def test_every_face_of_a_group_is_found(faces_of: Search) -> None:
    picture = backdrop(1280, 886)
    places = [(60, 80, 0.3), (400, 120, 0.5), (800, 60, 1.0), (100, 500, 0.4), (600, 450, 1.6), (1050, 560, 0.35)]
    for left, top, scale in places:
        picture = pasted(picture, resized(head(), scale), left, top)

    found = faces_of(picture)

    assert len(found) == len(places)


def test_a_face_that_fills_the_frame_is_found(faces_of: Search) -> None:
    x0, y0, x1, y1 = FACE_BOX
    close = resized(astronaut()[y0:y1, x0:x1], 5)

    found = faces_of(close)

    assert len(found) == 1
    assert found[0].box.area > 0.4 * close.shape[0] * close.shape[1]


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_a_turned_picture_hides_no_face(detector: FaceDetector, quarter: int) -> None:
    upright = detector.detect(astronaut()[None, :400])[0][0]
    turned = torch.rot90(astronaut()[:400], -quarter, dims=(0, 1))

    found = detector.detect(turned[None], turns=True)[0]

    assert len(found) == 1
    assert found[0].quarter_turns == quarter
    assert found[0].score == pytest.approx(upright.score, abs=0.02)
    x, y = upright.box.centre
    expected = {1: (400 - y, x), 2: (512 - x, 400 - y), 3: (y, 512 - x)}[quarter]
    assert found[0].box.centre == pytest.approx(expected, abs=3)


def test_pictures_of_a_batch_do_not_mix(detector: FaceDetector) -> None:
    pictures = torch.stack([backdrop(512, 512), astronaut(), backdrop(512, 512)])

    assert [len([f for f in found if f.persists]) for found in detector.detect(pictures)] == [0, 1, 0]


def test_a_small_face_held_before_a_large_one_is_not_swallowed(faces_of: Search) -> None:
    picture = pasted(resized(astronaut(), 3)[100:700, 300:1000], resized(head(), 0.9), 290, 250)

    found = faces_of(picture)

    assert any(70 < face.box.width < 130 for face in found)
