"""Every face in a picture, for stills and for gates: a slow, wide search whose finds are checked by the landmark network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from media.tracking.detector import FaceDetection, FaceDetector
from media.tracking.landmarker import FaceLandmarker

_PRESENCE = 0.5  # the published threshold of the landmark network's face flag
_SCALES = 2


def counts_as_face(presence: float, scales: int) -> bool:
    """The rule for a face: confirmed by the landmark network (`presence` >= 0.5) or seen at two scales."""
    return presence >= _PRESENCE or scales >= _SCALES


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face in a picture. landmarks: float32 (478, 3), pixels of the picture. presence: 0..1, see `FaceLandmarker.presence`."""

    detection: FaceDetection
    landmarks: Tensor
    presence: float

    @property
    def counts_as_face(self) -> bool:
        """Whether a gate has to take it for a face."""
        return counts_as_face(self.presence, self.detection.scales)


class FaceFinder:
    """Detectors and landmark network together."""

    def __init__(self, device: str = "cpu") -> None:
        """Loads the networks. Raises DamagedWeights."""
        self._detector = FaceDetector(device)
        self._landmarker = FaceLandmarker(device)

    def find(self, frames: Tensor, *, thorough: bool = True, turns: bool = False) -> list[list[FoundFace]]:
        """Faces of each frame, best first, those that do not count included.

        frames: uint8 RGB (N, H, W, 3). thorough and turns: as in `FaceDetector.detect`.
        """
        detections = self._detector.detect(frames, thorough=thorough, turns=turns)
        return [self._confirm(frame, found) for frame, found in zip(frames, detections, strict=True)]

    def _confirm(self, frame: Tensor, detections: list[FaceDetection]) -> list[FoundFace]:
        rois = [detection.roi for detection in detections]
        looks = frame.expand(len(rois), -1, -1, -1)
        presence = self._landmarker.presence(looks, rois)
        landmarks, _ = self._landmarker.landmarks(looks, rois, passes=2)
        return [FoundFace(d, points, sure) for d, points, sure in zip(detections, landmarks, presence.tolist(), strict=True)]
