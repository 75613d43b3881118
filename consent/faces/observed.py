"""What the survey of a still or a clip found: faces, and for a clip their tracks."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from consent.faces.engine import Embedding

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels


class Side(enum.StrEnum):
    """Where a face was seen."""

    PORTRAIT = "portrait"
    DRIVER = "driver"
    RENDERED = "rendered"


class CountedBy(enum.StrEnum):
    """Why a box counts as a face."""

    LANDMARKS = "landmarks"  # the landmark network's face flag
    SCALES = "scales"  # found again at another scale, or mirrored, although the landmark network says no
    DOUBT = "doubt"  # the landmark network's alone: half covered, or no face; a person has to look


@dataclass(frozen=True, slots=True, eq=False)
class ObservedFace:
    """A counted face of a still, or one person's face over a clip.

    box: where it is largest. embedding: float64 (D,), the mean over the samples; None when no sample could be matched.
    samples: float64 (K, D), in order of time; sampled_at: their frames (K).
    first_frame, last_frame: 0-based, inclusive; frames: on how many it was seen.
    unclear: float64 (B, D), of views that only blur or only their turn kept from being samples, in order of time: they vouch for
    nobody, and can still show that somebody else is there.
    blind_s: the longest run without a sample of frames that count: of a driver those whose landmarks mean something, of pixels
    that are shown all. unvouched_frames: on how many of these no sample of nearly the same view lies within eight frames.
    soft_s: the longest run of frames in which blur hides who it is.
    inter_ocular_px: the largest seen. hidden: it lies under transparency. quality: 0..1, of a still. note: why it could
    not be matched, for a person to read.
    landmarks: float32 (478, 3) in pixels, of a still. recorded_under: nobody was seen; a motion template signed by this platform
    holds the face's landmarks, recorded under this consent.

    Embeddings live in memory only; they are left out of `repr` so that no log holds them.
    """

    name: str
    side: Side
    box: Box
    embedding: Embedding | None = field(repr=False)
    samples: NDArray[np.float64] | None = field(repr=False)
    first_frame: int = 0
    last_frame: int = 0
    frames: int = 1
    blind_s: float = 0.0
    unvouched_frames: int = 0
    soft_s: float = 0.0
    inter_ocular_px: float = 0.0
    quality: float = 0.0
    hidden: bool = False
    counted_by: CountedBy = CountedBy.LANDMARKS
    note: str = ""
    sampled_at: tuple[int, ...] = ()
    unclear: NDArray[np.float64] | None = field(default=None, repr=False)
    landmarks: NDArray[np.float32] | None = field(default=None, repr=False)
    recorded_under: UUID | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TrackArrays:
    """Landmarks of one face over a clip: float32 (T, 478, 3), NaN where it is absent; presence float32 (T,), 0..1."""

    landmarks: NDArray[np.float32] = field(repr=False)
    presence: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class DriverSurvey:
    """Every face of a clip or motion template, by how many frames show it (most first), with its track under the same name."""

    faces: tuple[ObservedFace, ...]
    tracks: Mapping[str, TrackArrays]
    frame_count: int
    frame_rate: Fraction
    width: int
    height: int
