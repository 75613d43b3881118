"""From the tracker's pieces to people: what was seen of each piece, and which pieces show one person."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from consent.faces.engine import Embedding, FaceEngine
from consent.faces.finding import SAME_PLACE, area, overlap
from consent.faces.observed import Box, ObservedFace, Side, TrackArrays
from consent.faces.quality import MIN_SHARPNESS, measure, sharpness_of
from media.tracking.continuity import chip, chip_roi, likeness

SAMPLE_EVERY_FRAMES = 8  # about four looks per second
GLIMPSE_FRAMES = 8  # a quarter of a second: how long what is left of a covered face may count as that face
# A frame less like the last look than this is looked at at once: a look vouches for what is like it alone. Measured on six
# clips: over eight frames one person falls to 0.64 when the head turns, two people in one pose reach 0.49 to 0.76. Half of
# each of two people is 0.87 like both, so the line lies above that.
ALIKE = 0.88
PRESENCE = 0.5  # below it the face is denied or covered, and its points mean nothing


@dataclass(slots=True, eq=False)
class Piece:
    """What is gathered of one track id while the clip streams by."""

    engine: FaceEngine = field(repr=False)
    sample_every_frames: int = SAMPLE_EVERY_FRAMES
    followed: bool = True  # by the tracker; else found beside it
    frames: list[int] = field(default_factory=list)
    landmarks: list[NDArray[np.float32]] = field(default_factory=list, repr=False)
    presence: list[float] = field(default_factory=list)
    sampled_at: list[int] = field(default_factory=list)
    samples: list[Embedding] = field(default_factory=list, repr=False)
    unclear: list[Embedding] = field(default_factory=list, repr=False)  # of views too blurred or too far turned to vouch
    soft: set[int] = field(default_factory=set, repr=False)  # frames that blur hides somebody in
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
        self._examine(index, image, landmarks)

    def _examine(self, index: int, image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> None:
        """Embed a view that is due or new, and note whether somebody vouches for it."""
        picture = _chip_of(image, landmarks)
        changed = self.seen is None or likeness(picture, self.seen) < ALIKE
        looked = (changed or index >= self.due) and self._sample(index, image, landmarks, picture, changed=changed)
        if not looked and sharpness_of(image, landmarks) < MIN_SHARPNESS:
            self.soft.add(index)  # two people are alike once both are blurred: no look nearby vouches for it
        else:
            self._vouch(index, picture, looked=looked)

    def _sample(
        self, index: int, image: NDArray[np.uint8], landmarks: NDArray[np.float32], picture: Tensor, *, changed: bool
    ) -> bool:
        quality = measure(image, landmarks)
        self.inter_ocular_px = max(self.inter_ocular_px, quality.inter_ocular_px)
        if not quality.matchable:
            self.note = self.note or quality.note
            if quality.may_contradict:
                self.unclear.append(self.engine.embed(image, landmarks))
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
    def performing(self) -> list[int]:
        """The frames whose landmarks mean something; no other ever moves a face."""
        return [frame for frame, presence in zip(self.frames, self.presence, strict=True) if presence >= PRESENCE]

    def box_near(self, frame: int) -> Box:
        """Where it was on the performing frame nearest to `frame`: around its landmarks."""
        nearest = min(self.performing, key=lambda own: abs(own - frame))
        points = self.landmarks[self.frames.index(nearest)][:, :2]
        (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return x0, y0, x1, y1


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
    def unclear(self) -> NDArray[np.float64] | None:
        """The embeddings (B, D) of the views of all pieces that are too blurred or turned to vouch, None without any."""
        views = [view for piece in self.pieces for view in piece.unclear]
        return np.stack(views) if views else None

    @property
    def frames(self) -> list[int]:
        """Every frame that shows the person, in order."""
        return sorted(index for piece in self.pieces for index in piece.frames)

    def counted(self, piece: Piece, side: Side) -> list[int]:
        """The frames of a piece that somebody has to vouch for: of a driver those that perform, of pixels that are shown all."""
        return piece.performing if side is Side.DRIVER else piece.frames

    def blind_frames(self, side: Side) -> int:
        """The longest run of counted frames without a look. A gap neither lengthens nor ends it."""
        looked, run, longest = set(self.sampled_at), 0, 0
        for frame in sorted(index for piece in self.pieces for index in self.counted(piece, side)):
            run = 0 if frame in looked else run + 1
            longest = max(longest, run)
        return longest

    def soft_s(self, frame_rate: Fraction) -> float:
        """The longest run of frames that blur hides somebody in, with nothing between them that shows the face."""
        run = longest = 0
        soft = set[int]().union(*(piece.soft for piece in self.pieces))
        for frame in sorted(soft.union(*(piece.performing for piece in self.pieces))):
            run = run + 1 if frame in soft else 0
            longest = max(longest, run)
        return float(longest / frame_rate)

    def blind_s(self, side: Side, frame_rate: Fraction) -> float:
        """How long that run lasts; none when it is no longer than what lies between two regular looks."""
        blind = self.blind_frames(side)
        return float(blind / frame_rate) if blind >= SAMPLE_EVERY_FRAMES else 0.0


def join(pieces: list[Piece], engine: FaceEngine, side: Side = Side.DRIVER) -> list[Group]:
    """Join pieces of one person: embeddings that match, never in one frame together. Most frames first.

    A piece without an embedding stays alone: nobody vouches for who it shows. But what is left of a face while a hand comes
    before it, a few frames that never perform, stays with the face that was there: in a driver, whose pixels nobody is shown.
    """
    groups: list[Group] = []
    covered = [piece for piece in pieces if side is Side.DRIVER and _is_glimpse(piece)]
    for piece in sorted((p for p in pieces if p not in covered), key=lambda p: p.frames[0]):
        home = _home_of(piece, groups, engine)
        if home is None:
            groups.append(Group([piece]))
        else:
            home.pieces.append(piece)
    for piece, home in [(piece, _beneath(piece, groups)) for piece in covered]:
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


def _is_glimpse(piece: Piece) -> bool:
    return piece.followed and not piece.performing and len(piece.frames) <= GLIMPSE_FRAMES


def _beneath(piece: Piece, groups: list[Group]) -> Group | None:
    """The person whose face was at the place of a covered piece a moment before it or is a moment after."""
    ends = (piece.frames[0], piece.frames[-1])
    for group in groups:
        for own in group.pieces:
            near = any(abs(frame - end) <= GLIMPSE_FRAMES for frame in own.performing for end in ends)
            if near and overlap(own.box_near(ends[0]), piece.box) >= SAME_PLACE and not set(piece.frames) & set(group.frames):
                return group
    return None


def face_of(group: Group, name: str, side: Side, frame_rate: Fraction) -> ObservedFace:
    """Return what is reported of a person in a clip of `frame_rate` frames per second."""
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
        unclear=group.unclear,
        first_frame=frames[0],
        last_frame=frames[-1],
        frames=len(frames),
        blind_s=group.blind_s(side, frame_rate),
        soft_s=group.soft_s(frame_rate),
        unvouched_frames=sum(len(set(group.counted(piece, side)) - piece.vouched) for piece in group.pieces),
        inter_ocular_px=max(piece.inter_ocular_px for piece in group.pieces),
        note="" if samples else next((piece.note for piece in group.pieces if piece.note), "no usable view"),
    )


def arrays_of(group: Group, frame_count: int) -> TrackArrays:
    """Return a person's landmarks and presence over the whole clip of T frames. Landmarks that mean nothing are left out."""
    first = group.pieces[0].landmarks[0]
    landmarks = np.full((frame_count, *first.shape), np.nan, dtype=np.float32)
    presence = np.zeros(frame_count, dtype=np.float32)
    for piece in group.pieces:
        landmarks[piece.frames] = np.stack(piece.landmarks)
        presence[piece.frames] = piece.presence
    landmarks[presence < PRESENCE] = np.nan
    return TrackArrays(landmarks, presence)


def _chip_of(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> Tensor:
    return chip(torch.from_numpy(image), chip_roi(torch.from_numpy(landmarks)))
