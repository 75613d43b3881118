"""How the engine looks at a still: faces with landmarks, and the matte of the person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from media.tracking.detector import FaceDetector
from media.tracking.geometry import roi_from_landmarks
from media.tracking.landmarker import FaceLandmarker
from media.tracking.matte import Matte

PRESENCE = 0.5  # a landmark network that doubts there is a face is asked no further


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A face of the still: box (x0, y0, x1, y1) and landmarks (478, 3), in its pixels."""

    box: tuple[float, float, float, float]
    landmarks: Tensor


class StillAnalyser(Protocol):
    """Finds what `prepare` needs."""

    def faces(self, rgb: Tensor) -> list[FoundFace]:
        """Faces of a uint8 (H, W, 3) still, most certain first."""

    def alpha(self, rgb: Tensor) -> Tensor:
        """float32 (H, W): the share of each pixel that belongs to a person."""


class TrackingAnalyser:
    """`StillAnalyser` on the networks of `media.tracking`."""

    def __init__(self, landmarker: FaceLandmarker, device: str = "cpu") -> None:
        self._detector = FaceDetector(device)
        self._landmarker = landmarker
        self._matte = Matte(device)

    def faces(self, rgb: Tensor) -> list[FoundFace]:
        """Faces of a uint8 (H, W, 3) still, most certain first."""
        detections = self._detector.detect(rgb[None], thorough=True)[0]
        if not detections:
            return []
        frames = rgb[None].expand(len(detections), -1, -1, -1)
        landmarks, presence = self._landmarker.landmarks(frames, [found.roi for found in detections], passes=2)
        # A second opinion: the muzzle of a cat passes one look.
        regions = [roi_from_landmarks(face) for face in landmarks]
        presence = torch.minimum(presence, self._landmarker.presence(frames, regions))
        order = presence.argsort(descending=True, stable=True).tolist()
        return [FoundFace(tuple(detections[i].box), landmarks[i]) for i in order if float(presence[i]) >= PRESENCE]

    def alpha(self, rgb: Tensor) -> Tensor:
        """float32 (H, W): the share of each pixel that belongs to a person."""
        return self._matte.alpha(rgb)
