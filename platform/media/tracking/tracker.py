"""Follows every face through a video and gives each a track number that never covers two people.

Detectors run on every frame and are united with the faces being followed, so a face that shows in a single frame is a track
of its own. A track ends as soon as it is in doubt whether the face is still the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor

from media.frames import FrameBatch
from media.tracking.continuity import Views, chip, chip_roi, likeness
from media.tracking.decoding import same_face
from media.tracking.detector import FaceDetection, FaceDetector
from media.tracking.geometry import Box, Roi, box_of, roi_from_landmarks
from media.tracking.landmarker import FaceLandmarker
from media.tracking.visibility import Look, Visibility


@dataclass(frozen=True, slots=True)
class TrackerOptions:
    """When a face counts and when a track goes on."""

    max_faces: int = 12  # per frame; what lies above is counted in `TrackedFrame.left_out`, never silently dropped
    flag_min: float = 0.5  # the published threshold of the landmark network's face flag
    overlap_same: float = 0.5  # two landmark boxes above this intersection over union are one face
    overlap_before: float = 0.3  # a new face above it is where another one was
    overlap_next: float = 0.1  # from frame to frame a box that overlaps its last one by less has jumped
    # Measured on seven clips and five animated stills: adjacent frames of one person correlate at 0.82 or more, but for two at
    # 0.71 and 0.78 in a fast turn, which are 0.88 like an earlier view. Chips of two people reach 0.84, most pairs 0.75.
    likeness_next: float = 0.80
    likeness_view: float = 0.87  # to any earlier view of the track, after a gap or a jump
    presence_view: float = 0.75  # from which on a frame is a view to return to
    gap_s: float = 1.0  # how long a lost face can come back as the same track


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """One face in one frame.

    box: around the landmarks, or the detector's when the landmark network does not confirm a face. landmarks: float32
    (478, 3), pixels of the frame, z in the same unit. presence: 0..1, how far the landmarks can be trusted: how sure the
    landmark network is of a face, lowered while the detectors see it worse than they use to; below 0.5 they mean nothing.
    scales: by how many pairs of detector and scale it was seen with confidence in this frame, 0 when only the track holds it.
    """

    track_id: int
    box: Box
    landmarks: Tensor
    presence: float
    scales: int


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """All faces of one frame. left_out: faces over the limit, about which nothing else is known."""

    index: int
    timestamp_s: float
    faces: tuple[TrackedFace, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A face found in the current frame, not yet given a number. track: the one whose region it was found in, if any.

    flag: the landmark network's, 0..1. look: the detectors'.
    """

    box: Box
    landmarks: Tensor
    flag: float
    look: Look
    scales: int
    chip: Tensor
    track: _Track | None


@dataclass(slots=True)
class _Track:
    """A face as it was last seen, and in its earlier views. visibility: how well the detectors use to see it."""

    track_id: int
    sighting: _Sighting
    frame_index: int
    timestamp_s: float
    visibility: Visibility
    views: Views = field(default_factory=Views)


class FaceTracker:
    """Tracks the faces of a stream. One instance can follow several streams, one after the other or interleaved."""

    def __init__(self, device: str = "cpu", max_faces: int | None = None, *, options: TrackerOptions | None = None) -> None:
        """max_faces: short for the option of that name. Raises DamagedWeights."""
        options = options or TrackerOptions()
        self._limit = options.max_faces if max_faces is None else max_faces
        self._options = options
        self._device = torch.device(device)
        self._detector = FaceDetector(device)
        self._landmarker = FaceLandmarker(device)

    def track(self, stream: Iterable[FrameBatch]) -> Iterator[TrackedFrame]:
        """One TrackedFrame per RGB frame, in order, with constant memory. Track numbers count from 0 per call."""
        session = _Session(self._options, self._limit, self._landmarker)
        for batch in stream:
            frames = batch.rgb.to(self._device)
            detections = self._detector.detect(frames)
            for frame, found, moment in zip(frames, detections, batch.timestamps_s.tolist(), strict=True):
                yield session.advance(frame, found, moment)


class _Session:
    """The tracks of one stream."""

    def __init__(self, options: TrackerOptions, limit: int, landmarker: FaceLandmarker) -> None:
        self._options = options
        self._limit = limit
        self._landmarker = landmarker
        self._tracks: list[_Track] = []
        self._index = -1
        self._moment_s = 0.0
        self._next_id = 0

    def advance(self, frame: Tensor, detections: Sequence[FaceDetection], timestamp_s: float) -> TrackedFrame:
        """Takes the next frame, uint8 (H, W, 3)."""
        self._index, self._moment_s = self._index + 1, timestamp_s
        self._tracks = [track for track in self._tracks if self._may_return(track)]
        sightings = self._follow(frame, detections)
        sightings += self._discover(frame, [d for d in detections if not _covered(d, sightings)])
        sightings = self._distinct(sightings)
        kept, left_out = sightings[: self._limit], len(sightings) - self._limit
        faces = tuple(self._number(sighting) for sighting in kept)
        return TrackedFrame(self._index, timestamp_s, faces, max(left_out, 0))

    def _may_return(self, track: _Track) -> bool:
        """Whether a track was seen in the frame before or not long ago."""
        return track.frame_index == self._index - 1 or self._moment_s - track.timestamp_s <= self._options.gap_s

    def _follow(self, frame: Tensor, detections: Sequence[FaceDetection]) -> list[_Sighting]:
        """Looks where the faces of the last frame should be now."""
        minimum = self._options.flag_min
        active = [t for t in self._tracks if t.frame_index == self._index - 1 and t.sighting.flag >= minimum]
        landmarks, flags = self._look(frame, [roi_from_landmarks(t.sighting.landmarks) for t in active])
        found = []
        for track, points, flag in zip(active, landmarks, flags.tolist(), strict=True):
            if flag >= minimum:
                box = box_of(points)
                seen = [d for d in detections if same_face(d.box, box)]
                scales = max((d.scales for d in seen), default=0)
                found.append(_Sighting(box, points, flag, _look_at(points, seen), scales, chip(frame, chip_roi(points)), track))
        return found

    def _discover(self, frame: Tensor, detections: Sequence[FaceDetection]) -> list[_Sighting]:
        """Looks at what the detectors found and no track explains."""
        rois = [d.roi for d in detections]
        flags = self._landmarker.presence(frame.expand(len(rois), -1, -1, -1), rois)
        landmarks, _ = self._look(frame, rois, passes=2)
        found = []
        for detection, points, flag in zip(detections, landmarks, flags.tolist(), strict=True):
            if flag >= self._options.flag_min:
                picture, box = chip(frame, chip_roi(points)), box_of(points)
            elif detection.persists:
                picture, box = chip(frame, detection.roi), detection.box
            else:
                continue
            found.append(_Sighting(box, points, flag, _look_at(points, [detection]), detection.scales, picture, None))
        return found

    def _look(self, frame: Tensor, rois: Sequence[Roi], *, passes: int = 1) -> tuple[Tensor, Tensor]:
        return self._landmarker.landmarks(frame.expand(len(rois), -1, -1, -1), rois, passes=passes)

    def _distinct(self, sightings: Sequence[_Sighting]) -> list[_Sighting]:
        """One sighting per face: a followed one before a new one, the surer one among equals."""
        kept: list[_Sighting] = []
        for sighting in sorted(sightings, key=lambda s: (s.track is None, -s.flag)):
            if all(sighting.box.iou(other.box) <= self._options.overlap_same for other in kept):
                kept.append(sighting)
        return kept

    def _number(self, sighting: _Sighting) -> TrackedFace:
        track = self._continued(sighting) or self._returned(sighting)
        if track is None:
            track = _Track(self._next_id, sighting, self._index, self._moment_s, self._visibility_at(sighting))
            self._next_id += 1
            self._tracks.append(track)
        track.sighting, track.frame_index, track.timestamp_s = sighting, self._index, self._moment_s
        presence = sighting.flag * track.visibility.see(sighting.look)
        if presence >= self._options.presence_view:
            track.views.keep(sighting.chip)
        return TrackedFace(track.track_id, sighting.box, sighting.landmarks, presence, sighting.scales)

    def _visibility_at(self, sighting: _Sighting) -> Visibility:
        """What to expect of a new track: what the face showed that was there before, which may have become a covered one."""
        near = [t for t in self._tracks if t.sighting.box.iou(sighting.box) > self._options.overlap_before]
        last = max(near, key=lambda t: t.frame_index, default=None)
        return copy(last.visibility) if last else Visibility(sighting.look)

    def _continued(self, sighting: _Sighting) -> _Track | None:
        """The track that led to the sighting, unless the face jumped or became another one."""
        track, options = sighting.track, self._options
        if track is None or sighting.box.iou(track.sighting.box) < options.overlap_next:
            return None
        alike = likeness(sighting.chip, track.sighting.chip) >= options.likeness_next
        return track if alike or track.views.likeness(sighting.chip) >= options.likeness_view else None

    def _returned(self, sighting: _Sighting) -> _Track | None:
        """The most alike of the tracks not seen in this frame, wherever they ended, if it is alike enough."""
        gone = [t for t in self._tracks if t.frame_index < self._index]
        best = max(gone, key=lambda t: t.views.likeness(sighting.chip), default=None)
        if best is None or best.views.likeness(sighting.chip) < self._options.likeness_view:
            return None
        return best


def _covered(detection: FaceDetection, sightings: Sequence[_Sighting]) -> bool:
    return any(same_face(detection.box, sighting.box) for sighting in sightings)


def _look_at(landmarks: Tensor, detections: Sequence[FaceDetection]) -> Look:
    """What the surest detection says of a face."""
    best = max(detections, key=lambda d: d.score, default=None)
    return Look(best.score, best.misfit(landmarks)) if best else Look(0.0)
