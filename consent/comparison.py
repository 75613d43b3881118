"""How a face that was looked at over time compares with one template. Distances become bands here and go no further."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from consent.faces.engine import Band, Embedding, FaceEngine, band_of
from consent.faces.observed import ObservedFace
from consent.faces.tracks import SAMPLE_EVERY_FRAMES

BLIND_FRAMES_MAX = 30  # a second in which nobody saw who it is goes to a person
UNVOUCHED_SHARE_MAX = 0.2  # of a person's frames: many short moments in which nobody saw who it is add up
WINDOW_FRAMES = 16
WINDOW_SAMPLES = 3  # judged together, so that somebody else inside a track cannot hide in the mean


def compare(face: ObservedFace, template: Embedding, engine: FaceEngine) -> Band:
    """Return the band of a face: its mean decides; a look beyond review, a window beyond match or blind frames pull it down."""
    if face.embedding is None or face.samples is None or not len(face.samples):
        return Band.NONE
    limits = engine.model.thresholds
    band = band_of(engine.distance(face.embedding, template), limits)
    looks = [band_of(engine.distance(sample, template), limits) for sample in face.samples]
    if band is Band.NONE or Band.NONE in looks:
        return Band.NONE
    unsure = any(
        band_of(engine.distance(mean, template), limits) is not Band.MATCH for mean in windows(face.samples, face.sampled_at)
    )
    return Band.REVIEW if unsure or _blind(face) else band


def _blind(face: ObservedFace) -> bool:
    """Whether too many frames show somebody that no look vouches for."""
    return face.blind_frames > BLIND_FRAMES_MAX or face.unvouched_frames > UNVOUCHED_SHARE_MAX * face.frames


def windows(samples: np.ndarray[Any, np.dtype[np.float64]], sampled_at: Sequence[int] = ()) -> list[Embedding]:
    """Return the means over neighbouring samples (K, D): at least three, over at least WINDOW_FRAMES frames; of all when fewer.

    sampled_at: their frames; without it they count as regular. Looks close together are noisy alike, so time matters too.
    """
    count = len(samples)
    at = list(sampled_at) if len(sampled_at) == count else [number * SAMPLE_EVERY_FRAMES for number in range(count)]
    whole = [
        (start, end)
        for start in range(count)
        for end in range(start + WINDOW_SAMPLES, count + 1)
        if at[end - 1] - at[start] >= WINDOW_FRAMES
    ]
    smallest = [pair for pair in whole if (pair[0], pair[1] - 1) not in whole or (pair[0] + 1, pair[1]) not in whole]
    return [samples[start:end].mean(axis=0) for start, end in smallest] or [samples.mean(axis=0)]


def shows(face: ObservedFace, template: Embedding, engine: FaceEngine) -> bool:
    """Whether every window of a rendered face stays within the review threshold of one template."""
    limits = engine.model.thresholds
    samples = np.empty((0, 0)) if face.samples is None else face.samples
    bands = (
        [band_of(engine.distance(mean, template), limits) for mean in windows(samples, face.sampled_at)] if len(samples) else []
    )
    return bool(bands) and Band.NONE not in bands
