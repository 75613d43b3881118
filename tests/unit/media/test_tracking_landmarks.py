"""The landmarks are MediaPipe's, in pixels of the frame whatever its size and turn."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from tracking_inputs import astronaut, backdrop, carphone, reference, resized

from media.tracking import FaceDetector, FaceLandmarker, Roi, roi_from_landmarks


@pytest.fixture(scope="module")
def landmarker() -> FaceLandmarker:
    return FaceLandmarker()


@pytest.fixture(scope="module")
def face_roi() -> Roi:
    return roi_from_landmarks(reference("astronaut_before_landmarks"))


def error_percent(found: Tensor, expected: Tensor) -> Tensor:
    """Distance of each point in percent of the distance between the irises."""
    between_eyes = torch.linalg.vector_norm(expected[468, :2] - expected[473, :2])
    return torch.linalg.vector_norm(found[:, :2] - expected[:, :2], dim=1) / between_eyes * 100


@pytest.mark.parametrize(
    ("picture", "before", "expected"),
    [
        (astronaut, "astronaut_before_landmarks", "astronaut_landmarks"),
        (lambda: carphone()[60], "carphone_59_landmarks", "carphone_60_landmarks"),
    ],
    ids=["astronaut", "carphone"],
)
def test_landmarks_agree_with_mediapipe(landmarker: FaceLandmarker, picture, before: str, expected: str) -> None:
    points, presence = landmarker.landmarks(picture()[None], [roi_from_landmarks(reference(before))])

    assert presence[0] > 0.99
    error = error_percent(points[0], reference(expected))
    assert error.median() < 0.3
    assert error.max() < 1.0
    depth = (points[0, :, 2] - reference(expected)[:, 2]).abs() / points[0, :, 2].abs().max() * 100
    assert depth.max() < 1.0


def test_a_still_needs_only_a_detection(landmarker: FaceLandmarker) -> None:
    detection = FaceDetector().detect(astronaut()[None])[0][0]

    points, _ = landmarker.landmarks(astronaut()[None], [detection.roi], passes=2)

    assert error_percent(points[0], reference("astronaut_landmarks")).median() < 1.5


def test_landmarks_scale_with_the_picture(landmarker: FaceLandmarker, face_roi: Roi) -> None:
    large = Roi(face_roi.centre_x * 3, face_roi.centre_y * 3, face_roi.side * 3, face_roi.angle_rad)

    points, _ = landmarker.landmarks(resized(astronaut(), 3)[None], [large])

    assert error_percent(points[0] / 3, reference("astronaut_landmarks")).median() < 1.5


def test_landmarks_turn_with_the_picture(landmarker: FaceLandmarker, face_roi: Roi) -> None:
    turned = Image.fromarray(astronaut().numpy()).rotate(-30, center=(224, 124), resample=Image.Resampling.BICUBIC)
    angle = math.radians(30)
    turn = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    pivot = torch.tensor([224.0, 124.0])
    centre = (torch.tensor([face_roi.centre_x, face_roi.centre_y]) - pivot) @ turn + pivot
    roi = replace(face_roi, centre_x=float(centre[0]), centre_y=float(centre[1]), angle_rad=face_roi.angle_rad + angle)

    points, presence = landmarker.landmarks(torch.from_numpy(np.asarray(turned).copy())[None], [roi])

    assert presence[0] > 0.99
    expected = (reference("astronaut_landmarks")[:, :2] - pivot) @ turn + pivot
    assert error_percent(points[0], expected).median() < 1.5


def test_presence_tells_a_face_from_things(landmarker: FaceLandmarker, face_roi: Roi) -> None:
    pictures = torch.stack([astronaut(), backdrop(512, 512)])

    face, coffee = landmarker.presence(pictures, [face_roi, face_roi]).tolist()

    assert face > 0.99
    assert coffee < 0.1


def test_several_faces_of_one_frame_need_no_copy_of_it(landmarker: FaceLandmarker, face_roi: Roi) -> None:
    elsewhere = replace(face_roi, centre_x=400.0, centre_y=400.0)

    points, presence = landmarker.landmarks(astronaut().expand(2, -1, -1, -1), [face_roi, elsewhere])

    assert points.shape == (2, 478, 3)
    assert presence[0] > 0.99 > 0.5 > presence[1]


def test_no_region_gives_no_landmarks(landmarker: FaceLandmarker) -> None:
    points, presence = landmarker.landmarks(astronaut().expand(0, -1, -1, -1), [])

    assert points.shape == (0, 478, 3)
    assert presence.shape == (0,)


def test_each_frame_needs_its_region(landmarker: FaceLandmarker, face_roi: Roi) -> None:
    with pytest.raises(ValueError, match="as many regions"):
        landmarker.landmarks(carphone()[:3], [face_roi])
