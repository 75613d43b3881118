"""Finds the faces of a still that count: detector and landmark network have to agree, or the detector has to insist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from consent.faces.observed import Box, CountedBy
from consent.faces.quality import LEFT_EYE, NOSE_TIP, RIGHT_EYE
from media.tracking import FaceDetection, FaceDetector, FaceLandmarker

# Measured on stills with and without faces: real faces from 20 px up score 0.88 and more, at three scales and more, with a
# face flag of 1.0 and the mesh within 0.10 box widths of the detector's points. Texture reaches 0.8, two scales, any flag.
SURE_SCORE = 0.75
SURE_SCORE_TURNED = 0.85  # hands and folds look like faces more often when the picture is turned
INSISTING_SCORE = 0.8
INSISTING_SCALES = 3
WEAK_SCORE = 0.6
PRESENCE = 0.5
SURE_PRESENCE = 0.9
MAX_DISAGREEMENT = 0.15  # of the box's width
LIPS = (13, 14)
SAME_PLACE = 0.3  # intersection over union
PART_OF_A_FACE = 0.9  # of its own area


@dataclass(frozen=True, slots=True, eq=False)
class FoundFace:
    """A counted face: its box, and landmarks float32 (478, 3) in pixels, or None when only the detector saw it."""

    box: Box
    landmarks: NDArray[np.float32] | None
    counted_by: CountedBy


class Finder(Protocol):
    """Finds the counted faces of one picture."""

    def find(self, rgb: Tensor) -> list[FoundFace]:
        """rgb: uint8 (H, W, 3)."""


class ThoroughFinder:
    """`Finder` on the shared tracker's networks: tiled, several scales, mirrored, and turned by quarters."""

    def __init__(self, device: str = "cpu", *, turns: bool = True) -> None:
        self._detector = FaceDetector(device)
        self._landmarker = FaceLandmarker(device)
        self._turns = turns

    def find(self, rgb: Tensor) -> list[FoundFace]:
        """See `Finder.find`. About two seconds for a picture of 512 x 512 on one core."""
        frame = rgb[None]
        (detections,) = self._detector.detect(frame, thorough=True, turns=self._turns)
        return self._counted(frame, detections)

    def _counted(self, frame: Tensor, detections: Sequence[FaceDetection]) -> list[FoundFace]:
        found = [self._examine(frame, detection) for detection in detections]
        return [face for face in found if face is not None]

    def _examine(self, frame: Tensor, detection: FaceDetection) -> FoundFace | None:
        _, presence_first = self._landmarker.landmarks(frame, [detection.roi])
        second, presence_second = self._landmarker.landmarks(frame, [detection.roi], passes=2)
        agrees = disagreement(detection, second[0]) <= MAX_DISAGREEMENT
        presence = min(float(presence_first[0]), float(presence_second[0]))
        if agrees and self._counts(detection, presence):
            return FoundFace(_box_of(detection), second[0].numpy(), CountedBy.LANDMARKS)
        if detection.score >= INSISTING_SCORE and detection.scales >= INSISTING_SCALES:
            return FoundFace(_box_of(detection), None, CountedBy.SCALES)
        return None

    def _counts(self, detection: FaceDetection, presence: float) -> bool:
        return counts_with_landmarks(detection, presence)


class FrameFinder(ThoroughFinder):
    """The search that every frame of a clip can afford: in halves of the frame, and turned by quarters on the whole."""

    def find_beside(self, rgb: Tensor, known: Sequence[Box]) -> list[FoundFace]:
        """The counted faces that lie neither at the place of a known one nor in it. About 0.1 seconds on one core."""
        frame = rgb[None]
        (detections,) = self._detector.detect(frame, halves=True, turns=True)
        return self._counted(frame, [found for found in detections if not _explained(_box_of(found), known)])

    def _counts(self, detection: FaceDetection, presence: float) -> bool:
        # a clip gives a thousand chances to err: hair of a talking head reached 0.76 with a flag of 0.74
        return detection.score >= SURE_SCORE_TURNED and presence >= SURE_PRESENCE


@lru_cache(maxsize=2)
def thorough_finder(device: str) -> ThoroughFinder:
    """Return the finder of a device, made once per process."""
    return ThoroughFinder(device)


@lru_cache(maxsize=2)
def frame_finder(device: str) -> FrameFinder:
    """Return the search for every frame of a device, made once per process."""
    return FrameFinder(device)


def _box_of(detection: FaceDetection) -> Box:
    x0, y0, x1, y1 = (float(value) for value in detection.box)
    return x0, y0, x1, y1


def _explained(box: Box, known: Sequence[Box]) -> bool:
    # the mouth and chin of a large face look like a small one in a tile
    return same_place(box, known) or any(intersection(box, other) > PART_OF_A_FACE * area(box) for other in known)


def same_place(box: Box, known: Iterable[Box]) -> bool:
    """Whether a box covers one of the known ones, by intersection over union."""
    return any(overlap(box, other) >= SAME_PLACE for other in known)


def intersection(first: Box, second: Box) -> float:
    """Pixels that two boxes share."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes."""
    common = intersection(first, second)
    return common / max(area(first) + area(second) - common, 1e-9)


def area(box: Box) -> float:
    """Pixels inside a box."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def counts_with_landmarks(detection: FaceDetection, presence: float) -> bool:
    """Whether a detection whose landmarks agree with it counts: a sure one with the face flag, a weak one seen twice."""
    sure_score = SURE_SCORE_TURNED if detection.quarter_turns else SURE_SCORE
    sure = detection.score >= sure_score and presence >= PRESENCE
    weak = detection.score >= WEAK_SCORE and detection.persists and presence >= SURE_PRESENCE
    return sure or weak


def disagreement(detection: FaceDetection, landmarks: Tensor) -> float:
    """Largest distance between the detector's eyes, nose and mouth and those of the mesh, in widths of the box."""
    points = landmarks[:, :2]
    features = (RIGHT_EYE, LEFT_EYE, (NOSE_TIP,), LIPS)
    mesh = torch.stack([points[list(feature)].mean(dim=0) for feature in features])
    x0, _, x1, _ = detection.box
    return float((mesh - detection.keypoints[:4]).norm(dim=1).max()) / max(x1 - x0, 1.0)
