"""Finds the faces of a still that count: detector and landmark network have to agree, or the detector has to insist."""

from __future__ import annotations

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
        found = [self._examine(frame, detection) for detection in detections]
        return [face for face in found if face is not None]

    def _examine(self, frame: Tensor, detection: FaceDetection) -> FoundFace | None:
        _, presence_first = self._landmarker.landmarks(frame, [detection.roi])
        second, presence_second = self._landmarker.landmarks(frame, [detection.roi], passes=2)
        agrees = disagreement(detection, second[0]) <= MAX_DISAGREEMENT
        presence = min(float(presence_first[0]), float(presence_second[0]))
        x0, y0, x1, y1 = (float(value) for value in detection.box)
        if agrees and counts_with_landmarks(detection, presence):
            return FoundFace((x0, y0, x1, y1), second[0].numpy(), CountedBy.LANDMARKS)
        if detection.score >= INSISTING_SCORE and detection.scales >= INSISTING_SCALES:
            return FoundFace((x0, y0, x1, y1), None, CountedBy.SCALES)
        return None


@lru_cache(maxsize=2)
def thorough_finder(device: str) -> ThoroughFinder:
    """Return the finder of a device, made once per process."""
    return ThoroughFinder(device)


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
