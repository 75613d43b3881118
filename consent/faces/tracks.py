"""From the tracker's pieces to people: what was seen of each piece, and which pieces show one person."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from consent.faces.engine import Embedding, FaceEngine
from consent.faces.finding import area
from consent.faces.observed import Box, ObservedFace, Side, TrackArrays
from consent.faces.quality import measure
from media.tracking.continuity import chip, chip_roi, likeness

SAMPLE_EVERY_FRAMES = 8  # about four looks per second
# A frame less like the last look than this is looked at at once: a look vouches for what is like it alone. Measured on six
# clips: over eight frames one person falls to 0.64 when the head turns, two people in one pose reach 0.49 to 0.76. Half of
# each of two people is 0.87 like both, so the line lies above that.
ALIKE = 0.88
PRESENCE = 0.5  # below it the landmark network denies the face, and its points mean nothing


@dataclass(slots=True, eq=False)
class Piece:
    """What is gathered of one track id while the clip streams by."""

    engine: FaceEngine = field(repr=False)
    sample_every_frames: int = SAMPLE_EVERY_FRAMES
    frames: list[int] = field(default_factory=list)
    landmarks: list[NDArray[np.float32]] = field(default_factory=list, repr=False)
    presence: list[float] = field(default_factory=list)
    sampled_at: list[int] = field(default_factory=list)
    samples: list[Embedding] = field(default_factory=list, repr=False)
    box: Box = (0.0, 0.0, 0.0, 0.0)
    inter_ocular_px: float = 0.0
    note: str = ""
    due: int = 0
    vouched: set[int] = field(default_factory=set, repr=False)
    seen: Tensor | None = field(default=None, repr=False)  # the chip of the last look
    step: int = 1  # frames to the next look
    waiting: deque[tuple[int, Tensor]] = field(default_factory=lambda: deque(maxlen=SAMPLE_EVERY_FRAMES), repr=False)

    def look(self, index: int, image: NDArray[np.uint8], box: Box, landmarks: NDArray[np.float32], presence: float) -> None:
        """Take in one frame (H, W, 3) of the track; embed it when a look is due and the view allows one.

        A look is due every few frames, when a stretch starts, and as soon as the face is unlike the last look.
        """
        if not self.frames or index != self.frames[-1] + 1:
            self.due, self.step = index, 1  # each stretch is looked at on its own
            self.waiting.clear()
        self.frames.append(index)
        self.landmarks.append(landmarks)
        self.presence.append(presence)
        if area(box) > area(self.box):
            self.box = box
        if presence < PRESENCE:
            self.note = self.note or "its features are not clear"
            return
        picture = _chip_of(image, landmarks)
        changed = self.seen is None or likeness(picture, self.seen) < ALIKE
        looked = (changed or index >= self.due) and self._sample(index, image, landmarks, picture, changed=changed)
        self._vouch(index, picture, looked=looked)

    def _sample(
        self, index: int, image: NDArray[np.uint8], landmarks: NDArray[np.float32], picture: Tensor, *, changed: bool
    ) -> bool:
        quality = measure(image, landmarks)
        self.inter_ocular_px = max(self.inter_ocular_px, quality.inter_ocular_px)
        if not quality.matchable:
            self.note = self.note or quality.note
            return False
        self.samples.append(self.engine.embed(image, landmarks))
        self.sampled_at.append(index)
        # after a change look again soon: the frame that showed it may be a blend of two people
        self.step = min(1 if changed else 2 * self.step, self.sample_every_frames)
        self.due, self.seen = index + self.step, picture
        return True

    def _vouch(self, index: int, picture: Tensor, *, looked: bool) -> None:
        """Note which frames a look nearby vouches for, those that waited for one included."""
        if looked:
            near = [(at, chip_then) for at, chip_then in self.waiting if index - at <= SAMPLE_EVERY_FRAMES]
            self.vouched.update([index, *(at for at, chip_then in near if likeness(chip_then, picture) >= ALIKE)])
            self.waiting.clear()
        elif self._alike(index, picture):
            self.vouched.add(index)
        else:
            self.waiting.append((index, picture))

    def _alike(self, index: int, picture: Tensor) -> bool:
        if self.seen is None or index - self.sampled_at[-1] > SAMPLE_EVERY_FRAMES:
            return False
        return likeness(picture, self.seen) >= ALIKE

    @property
    def mean(self) -> Embedding | None:
        """The mean embedding, None when no view allowed one."""
        return np.mean(self.samples, axis=0) if self.samples else None

    @property
    def blind_frames(self) -> int:
        """The longest run of its frames without a look."""
        edges = [self.frames[0] - 1, *self.sampled_at, self.frames[-1] + 1]
        return max(later - earlier - 1 for earlier, later in pairwise(edges))


@dataclass(slots=True, eq=False)
class Group:
    """Pieces that show one person."""

    pieces: list[Piece]

    @property
    def mean(self) -> Embedding | None:
        """The mean over the samples of all pieces."""
        samples = [sample for piece in self.pieces for sample in piece.samples]
        return np.mean(samples, axis=0) if samples else None

    @property
    def sampled_at(self) -> tuple[int, ...]:
        """The frames of the samples of all pieces."""
        return tuple(at for piece in self.pieces for at in piece.sampled_at)

    @property
    def frames(self) -> list[int]:
        """Every frame that shows the person, in order."""
        return sorted(index for piece in self.pieces for index in piece.frames)


def join(pieces: list[Piece], engine: FaceEngine) -> list[Group]:
    """Join pieces of one person: embeddings that match, never in one frame together. Most frames first.

    A piece without an embedding stays alone: nobody vouches for who it shows.
    """
    groups: list[Group] = []
    for piece in sorted(pieces, key=lambda p: p.frames[0]):
        home = _home_of(piece, groups, engine)
        if home is None:
            groups.append(Group([piece]))
        else:
            home.pieces.append(piece)
    return sorted(groups, key=lambda group: (-len(group.frames), group.frames[0]))


def _home_of(piece: Piece, groups: list[Group], engine: FaceEngine) -> Group | None:
    mean = piece.mean
    if mean is None:
        return None
    taken = set(piece.frames)
    near: list[tuple[float, int]] = []
    for number, group in enumerate(groups):
        other = group.mean
        if other is not None and taken.isdisjoint(group.frames):
            near.append((engine.distance(mean, other), number))
    distance, number = min(near, default=(float("inf"), -1))
    return groups[number] if distance <= engine.model.thresholds.match else None


def face_of(group: Group, name: str, side: Side) -> ObservedFace:
    """Return what is reported of a person."""
    largest = max(group.pieces, key=lambda piece: area(piece.box))
    samples = [sample for piece in group.pieces for sample in piece.samples]
    frames = group.frames
    return ObservedFace(
        name=name,
        side=side,
        box=largest.box,
        embedding=group.mean,
        samples=np.stack(samples) if samples else None,
        sampled_at=group.sampled_at,
        first_frame=frames[0],
        last_frame=frames[-1],
        frames=len(frames),
        blind_frames=max(piece.blind_frames for piece in group.pieces),
        unvouched_frames=sum(len(piece.frames) - len(piece.vouched) for piece in group.pieces),
        inter_ocular_px=max(piece.inter_ocular_px for piece in group.pieces),
        note="" if samples else next((piece.note for piece in group.pieces if piece.note), "no usable view"),
    )


def arrays_of(group: Group, frame_count: int) -> TrackArrays:
    """Return a person's landmarks and presence over the whole clip of T frames."""
    first = group.pieces[0].landmarks[0]
    landmarks = np.full((frame_count, *first.shape), np.nan, dtype=np.float32)
    presence = np.zeros(frame_count, dtype=np.float32)
    for piece in group.pieces:
        landmarks[piece.frames] = np.stack(piece.landmarks)
        presence[piece.frames] = piece.presence
    return TrackArrays(landmarks, presence)


def _chip_of(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> Tensor:
    return chip(torch.from_numpy(image), chip_roi(torch.from_numpy(landmarks)))
