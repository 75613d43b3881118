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
# Measured on nineteen pictures: what is no face has a flag of 0.7 at most in one of the looks, but for one of 22 px. Faces half
# behind a hand or in two tones have 1.0 in all, and the mesh within 0.19.
MAX_DISAGREEMENT_DOUBTFUL = 0.25
MIN_DOUBTFUL_PX = 32.0
DOUBTFUL_GLIMPSES = 2  # cloth has passed the rest, at a single scale
MIN_SHOWN = 0.3  # of a face that the picture's edge cuts
LIPS = (13, 14)
SAME_PLACE = 0.3  # intersection over union
PART_OF_A_FACE = 0.9  # of its own area
MOSTLY = 0.6  # of its own area
# Measured on six clips: a second find of a known face covers 0.50 to 0.88 of both; a mouth taken for a face scores 0.73 and
# covers 0.26 to 0.43, and a face pasted on another scores 0.78 and more, or 0.87 where it is large.
SAME_FACE = 0.5  # intersection over union
PLAINLY_APART = 0.25  # intersection over union, asked of finds that the detector is less sure of


@dataclass(frozen=True, slots=True, eq=False)
class FoundFace:
    """A counted face or one in doubt: its box; landmarks float32 (478, 3) in pixels, None when they mean nothing."""

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
        """See `Finder.find`. Those in doubt come last. About two seconds for a picture of 512 x 512 on one core."""
        frame = rgb[None]
        (detections,) = self._detector.detect(frame, thorough=True, turns=self._turns)
        counted = self._counted(frame, detections)
        counted += self._cut_off(rgb, [face.box for face in counted])
        return [*counted, *self._doubtful(frame, detections, [face.box for face in counted])]

    def _cut_off(self, rgb: Tensor, known: Sequence[Box]) -> list[FoundFace]:
        """Half faces at the edges, which the picture's reflection makes whole, and others that show better with a margin."""
        height, width = int(rgb.shape[0]), int(rgb.shape[1])
        margin = min(max(height, width) // 4, min(height, width) - 1)
        padded = torch.from_numpy(np.pad(rgb.cpu().numpy(), ((margin, margin), (margin, margin), (0, 0)), mode="reflect"))[None]
        (detections,) = self._detector.detect(padded, halves=True)
        found = []
        for detection in detections:
            whole = _moved(_box_of(detection), -margin)
            box = _clipped(whole, width, height)
            shows = area(box) >= MIN_SHOWN * area(whole) and not _belongs_to(box, known)
            points = self._sure_mesh(padded, detection) if shows and detection.score >= SURE_SCORE else None
            if points is not None:
                inside = box == whole  # half of a reflected face is no face to match
                landmarks = (points - points.new_tensor([margin, margin, 0.0])).numpy() if inside else None
                found.append(FoundFace(box, landmarks, CountedBy.LANDMARKS))
        return found

    def _doubtful(self, frame: Tensor, detections: Sequence[FaceDetection], known: Sequence[Box]) -> list[FoundFace]:
        """What no counted face explains and the landmark network takes for a face although the detectors are not sure."""
        found = []
        for detection in detections:
            box = _box_of(detection)
            seen_twice = detection.glimpses >= DOUBTFUL_GLIMPSES and box[2] - box[0] >= MIN_DOUBTFUL_PX
            open_question = seen_twice and not _belongs_to(box, known)
            points = self._sure_mesh(frame, detection, MAX_DISAGREEMENT_DOUBTFUL) if open_question else None
            if points is not None:
                found.append(FoundFace(box, points.numpy(), CountedBy.DOUBT))
        return found

    def _sure_mesh(self, frame: Tensor, detection: FaceDetection, limit: float = MAX_DISAGREEMENT) -> Tensor | None:
        """The landmarks (478, 3) when each look, the mirrored one included, is sure of a face and they fit the detection."""
        if float(self._landmarker.presence(frame, [detection.roi])[0]) < SURE_PRESENCE:
            return None
        (points,), presence = self._landmarker.landmarks(frame, [detection.roi], passes=2)
        agrees = float(presence[0]) >= SURE_PRESENCE and disagreement(detection, points) <= limit
        return points if agrees else None

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
        """The counted faces that are no known one, those that lie in or before a known one included.

        About 0.1 seconds on one core.
        """
        frame = rgb[None]
        (detections,) = self._detector.detect(frame, halves=True, turns=True)
        within = [found for found in detections if _explained(_box_of(found), known)]
        beside = [found for found in detections if not any(found is other for other in within)]
        own = [self._face_of_its_own(frame, found, known) for found in within]
        return [*self._counted(frame, beside), *(face for face in own if face is not None)]

    def _face_of_its_own(self, frame: Tensor, detection: FaceDetection, known: Sequence[Box]) -> FoundFace | None:
        """A detection at a known face that is another, whole face: before it, or painted on it."""
        box = _box_of(detection)
        limit = SAME_FACE if detection.score >= SURE_SCORE_TURNED else PLAINLY_APART
        sure = _is_sure(detection) and all(overlap(box, other) < limit for other in known)
        points = self._sure_mesh(frame, detection) if sure else None
        if points is None:
            return None
        low, high = points[:, :2].amin(dim=0).tolist(), points[:, :2].amax(dim=0).tolist()
        drawn_to = (low[0], low[1], high[0], high[1])  # the mesh of a cheek settles on the face it belongs to
        settled = any(overlap(drawn_to, other) >= limit for other in known)
        return None if settled else FoundFace(box, points.numpy(), CountedBy.LANDMARKS)

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
    # the mouth and chin of a large face look like a small one in a tile: such a find has to prove itself
    return same_place(box, known) or any(intersection(box, other) > PART_OF_A_FACE * area(box) for other in known)


def _belongs_to(box: Box, known: Sequence[Box]) -> bool:
    """Whether a find of a still is a counted face again, or a part of one."""
    return same_place(box, known) or any(intersection(box, other) > MOSTLY * area(box) for other in known)


def _moved(box: Box, by: float) -> Box:
    return box[0] + by, box[1] + by, box[2] + by, box[3] + by


def _clipped(box: Box, width: int, height: int) -> Box:
    return max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))


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
    sure = _is_sure(detection) and presence >= PRESENCE
    weak = detection.score >= WEAK_SCORE and detection.persists and presence >= SURE_PRESENCE
    return sure or weak


def _is_sure(detection: FaceDetection) -> bool:
    """Whether the detector is sure, for the way the picture was turned."""
    return detection.score >= (SURE_SCORE_TURNED if detection.quarter_turns else SURE_SCORE)


def disagreement(detection: FaceDetection, landmarks: Tensor) -> float:
    """Largest distance between the detector's eyes, nose and mouth and those of the mesh, in widths of the box."""
    points = landmarks[:, :2]
    features = (RIGHT_EYE, LEFT_EYE, (NOSE_TIP,), LIPS)
    mesh = torch.stack([points[list(feature)].mean(dim=0) for feature in features])
    x0, _, x1, _ = detection.box
    return float((mesh - detection.keypoints[:4]).norm(dim=1).max()) / max(x1 - x0, 1.0)
