"""Looks at everything that will be rendered: every face of a still, and every frame of a clip.

Embeddings of faces that nobody vouches for live in the returned objects only; nothing here writes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from consent.errors import FaceEngineError, TooManyFaces
from consent.faces.engine import FaceEngine
from consent.faces.finding import (
    SAME_PLACE,
    Finder,
    FoundFace,
    FrameFinder,
    area,
    frame_finder,
    overlap,
    same_place,
    thorough_finder,
)
from consent.faces.observed import Box, CountedBy, DriverSurvey, ObservedFace, Side
from consent.faces.quality import measure
from consent.faces.tracks import Piece, arrays_of, face_of, join
from media.frames import FrameBatch
from media.tracking import LANDMARKS, FaceTracker, TrackedFrame

MAX_PIECES = 256  # a clip of a few minutes with a cut per second
SWEEP_EVERY_FRAMES = 120  # four seconds: the thorough search costs eighty times a tracked frame

Pieces = dict[tuple[str, int], Piece]


class Tracker(Protocol):
    """What follows faces through a clip; `media.tracking` provides one."""

    def track(self, stream: Iterator[FrameBatch]) -> Iterator[TrackedFrame]:
        """Yield one result per frame, in order."""


def survey_still(
    rgb: Tensor, under_alpha: Tensor | None, *, engine: FaceEngine, finder: Finder | None = None, device: str = "cpu"
) -> tuple[ObservedFace, ...]:
    """Return every counted face of a still, largest first, named `portrait:1`, `portrait:2` ..., and after them those in doubt.

    rgb: uint8 (H, W, 3), as it will be rendered. under_alpha: the same picture without its transparency, if it had any: a face
    that shows there alone, or another one in its place, is reported as hidden.
    """
    look = finder or thorough_finder(device)
    faces = [_portrait_face(face, rgb, engine) for face in look.find(rgb)]
    if under_alpha is not None:
        beneath = [_portrait_face(face, under_alpha, engine, hidden=True) for face in look.find(under_alpha)]
        faces += [face for face in beneath if not any(_same_face(face, seen, engine) for seen in faces)]
    if all(_in_doubt(face) for face in faces):
        return ()  # a doubtful face beside others has to be looked at; alone it is no portrait
    faces.sort(key=lambda face: (_in_doubt(face), face.hidden, -area(face.box)))
    return tuple(replace(face, name=f"portrait:{number}") for number, face in enumerate(faces, start=1))


def survey_driver(
    stream: Iterator[FrameBatch],
    *,
    frame_rate: Fraction,
    engine: FaceEngine,
    tracker: Tracker | None = None,
    finder: Finder | None = None,
    side: Side = Side.DRIVER,
    label: str = "",
    device: str = "cpu",
) -> DriverSurvey:
    """Look at every frame of a clip (RGB batches) and return the people in it, named `driver:1` (most frames), `driver:2` ...

    The tracker looks at every frame of a clip. Of what is uploaded every frame is also searched in halves and turned by
    quarters, the first and every 120th as thoroughly as a still. A face of a single frame counts. Memory is constant but for
    landmarks, 6 kB per face and frame.
    side: PORTRAIT for a video whose faces are to be animated; RENDERED for a clip of ours. label: what stands before the colon in
    the names of the faces, the side if empty.
    Raises TooManyFaces, and FaceEngineError when the tracker skipped a frame.
    """
    window = _Window(stream)
    uploaded = side is not Side.RENDERED
    sweep = _Sweep(finder or thorough_finder(device), frame_finder(device), engine) if uploaded else None
    pieces = _pieces(window, tracker or FaceTracker(device), sweep, engine)
    groups = join(list(pieces.values()), engine, side)
    named = {f"{label or side}:{number}": group for number, group in enumerate(groups, start=1)}
    return DriverSurvey(
        faces=tuple(face_of(group, name, side, frame_rate) for name, group in named.items()),
        tracks={name: arrays_of(group, window.count) for name, group in named.items()},
        frame_count=window.count,
        frame_rate=frame_rate,
        width=window.width,
        height=window.height,
    )


def _pieces(window: _Window, tracker: Tracker, sweep: _Sweep | None, engine: FaceEngine) -> Pieces:
    """Gather what every frame shows. Raises FaceEngineError unless each frame was looked at, in order."""
    pieces: Pieces = {}
    looked_at = 0
    for tracked in tracker.track(iter(window)):
        image = window.take(tracked.index, expected=looked_at)
        _gather(tracked, image, pieces, engine)
        if sweep is not None:
            sweep.look(tracked, image, pieces)
        if len(pieces) > MAX_PIECES:
            raise TooManyFaces(
                f"The clip shows over {MAX_PIECES} separate views of faces; use one that is shorter or has fewer cuts."
            )
        looked_at += 1
    if looked_at != window.count:
        raise FaceEngineError("The face tracker left frames out; report this to the operator.")
    return pieces


def _gather(tracked: TrackedFrame, image: NDArray[np.uint8], pieces: Pieces, engine: FaceEngine) -> None:
    if tracked.left_out:
        seen = len(tracked.faces) + tracked.left_out
        raise TooManyFaces(f"A frame shows {seen} faces, more than can be examined; use a clip with fewer people.")
    for face in tracked.faces:
        piece = pieces.setdefault(("track", face.track_id), Piece(engine))
        landmarks = face.landmarks.cpu().numpy().astype(np.float32)
        piece.look(tracked.index, image, _plain(face.box), landmarks, face.presence)


class _Sweep:
    """Takes in the faces that the searches beside the tracker find where it follows none."""

    def __init__(self, thorough: Finder, quick: FrameFinder, engine: FaceEngine) -> None:
        self._thorough, self._quick, self._engine = thorough, quick, engine
        self._last: dict[tuple[str, int], Box] = {}  # what the frame before showed

    def look(self, tracked: TrackedFrame, image: NDArray[np.uint8], pieces: Pieces) -> None:
        """Search frame `tracked.index`, uint8 (H, W, 3)."""
        picture, known = torch.from_numpy(image), [_plain(face.box) for face in tracked.faces]
        faces = self._quick.find_beside(picture, known)
        if not tracked.index % SWEEP_EVERY_FRAMES:
            known += [face.box for face in faces]
            found = [face for face in self._thorough.find(picture) if face.counted_by is not CountedBy.DOUBT]
            faces += [face for face in found if not same_place(face.box, known)]
        seen: dict[tuple[str, int], Box] = {}
        for number, face in enumerate(faces):
            key = self._key_of(face, taken=seen) or (f"sweep {tracked.index}", number)
            seen[key] = face.box
            # the place alone says that it is the same face, so each frame is matched
            piece = pieces.setdefault(key, Piece(self._engine, sample_every_frames=1, followed=False))
            absent = face.landmarks is None
            landmarks = np.full((LANDMARKS, 3), np.nan, dtype=np.float32) if face.landmarks is None else face.landmarks
            piece.look(tracked.index, image, face.box, landmarks, 0.0 if absent else 1.0)
        self._last = seen

    def _key_of(self, face: FoundFace, *, taken: Mapping[tuple[str, int], Box]) -> tuple[str, int] | None:
        """The piece that the frame before showed at the face's place."""
        near = (key for key, box in self._last.items() if key not in taken and overlap(face.box, box) >= SAME_PLACE)
        return next(near, None)


def _plain(box: Sequence[float]) -> Box:
    x0, y0, x1, y1 = (float(value) for value in box)
    return x0, y0, x1, y1


class _Window:
    """Hands batches on to the tracker and keeps those frames whose result has not come yet."""

    def __init__(self, stream: Iterator[FrameBatch]) -> None:
        self._stream = stream
        self._waiting: deque[NDArray[np.uint8]] = deque()
        self.count = 0
        self.width = 0
        self.height = 0

    def __iter__(self) -> Iterator[FrameBatch]:
        for batch in self._stream:
            self.width, self.height = batch.width, batch.height
            for frame in batch.rgb.cpu().numpy():
                self._waiting.append(frame)
                self.count += 1
            yield batch

    def take(self, index: int, *, expected: int) -> NDArray[np.uint8]:
        """Return frame `index`, uint8 (H, W, 3), and forget it. Raises FaceEngineError when it is not the one due."""
        if index != expected or not self._waiting:
            raise FaceEngineError("The face tracker left a frame out; report this to the operator.")
        return self._waiting.popleft()


def _portrait_face(face: FoundFace, rgb: Tensor, engine: FaceEngine, *, hidden: bool = False) -> ObservedFace:
    image = rgb.cpu().numpy()
    if face.landmarks is None:
        note = "its features are not clear"
        return ObservedFace("", Side.PORTRAIT, face.box, None, None, hidden=hidden, counted_by=face.counted_by, note=note)
    quality = measure(image, face.landmarks)
    embedding = engine.embed(image, face.landmarks) if quality.matchable else None
    return ObservedFace(
        name="",
        side=Side.PORTRAIT,
        box=face.box,
        embedding=embedding,
        samples=None if embedding is None else embedding[None],
        inter_ocular_px=quality.inter_ocular_px,
        quality=quality.score,
        hidden=hidden,
        counted_by=face.counted_by,
        note=quality.note,
        landmarks=face.landmarks,
    )


def _in_doubt(face: ObservedFace) -> bool:
    return face.counted_by is CountedBy.DOUBT


def _same_face(beneath: ObservedFace, seen: ObservedFace, engine: FaceEngine) -> bool:
    if overlap(beneath.box, seen.box) < SAME_PLACE:
        return False
    if beneath.embedding is None or seen.embedding is None:
        # neither can vouch; the same place and size is then the same face
        return beneath.embedding is None and seen.embedding is None
    return engine.distance(beneath.embedding, seen.embedding) <= engine.model.thresholds.match
