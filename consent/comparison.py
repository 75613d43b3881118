"""How a face that was looked at over time compares with one template. Distances become bands here and go no further."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from consent.faces.engine import Band, Embedding, FaceEngine, band_of
from consent.faces.observed import ObservedFace
from consent.faces.tracks import SAMPLE_EVERY_FRAMES

BLIND_SECONDS_MAX = 1.0  # a longer stretch in which nobody saw who it is goes to a person
SOFT_SECONDS_MAX = 0.25  # of blur, behind which people change unseen; seven real clips have none at all
UNVOUCHED_SHARE_MAX = 0.2  # of a person's frames: many short moments in which nobody saw who it is add up
WINDOW_FRAMES = 16
WINDOW_SAMPLES = 3  # judged together, so that somebody else inside a track cannot hide in the mean


def compare(face: ObservedFace, template: Embedding, engine: FaceEngine) -> Band:
    """Return the band of a face: its mean decides; a look beyond review, a window beyond match or blind frames pull it down.

    Blurred and turned views never raise it; those that show somebody else pull it down.
    """
    if face.embedding is None or face.samples is None or not len(face.samples):
        return Band.NONE
    limits = engine.model.thresholds
    band = band_of(engine.distance(face.embedding, template), limits)
    looks = [band_of(engine.distance(sample, template), limits) for sample in face.samples]
    unclear = band_of_unclear(face, template, engine)
    if Band.NONE in (band, unclear, *looks):
        return Band.NONE
    unsure = any(
        band_of(engine.distance(mean, template), limits) is not Band.MATCH for mean in windows(face.samples, face.sampled_at)
    )
    scattered = face.unvouched_frames > UNVOUCHED_SHARE_MAX * face.frames
    softened = face.soft_s > SOFT_SECONDS_MAX
    return Band.REVIEW if any((unsure, scattered, softened, long_blind(face), unclear is Band.REVIEW)) else band


def long_blind(face: ObservedFace) -> bool:
    """Whether a stretch in which no look vouches for who is shown lasts too long."""
    return face.blind_s > BLIND_SECONDS_MAX


def band_of_unclear(face: ObservedFace, template: Embedding, engine: FaceEngine) -> Band:
    """Return what views too blurred or turned to vouch say: NONE when three in a row are beyond review, REVIEW when one is, else
    MATCH.

    Blur leaves two people apart and moves one from himself; a far turn does neither. With dlib and six people: others stay at
    0.55 and more; oneself at 0.57 and less when softened by a twentieth of the eyes' distance or smeared over a third of it,
    and at 0.8 over half of it.
    """
    if face.unclear is None:
        return Band.MATCH
    limits = engine.model.thresholds
    beyond = [band_of(engine.distance(view, template), limits) is Band.NONE for view in face.unclear]
    in_a_row = [all(beyond[start : start + WINDOW_SAMPLES]) for start in range(len(beyond) - WINDOW_SAMPLES + 1)]
    if any(in_a_row):
        return Band.NONE
    return Band.REVIEW if any(beyond) else Band.MATCH


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
    """Whether every window of a rendered face stays within the review threshold of one template, and no unclear views deny it."""
    if face.samples is None or not len(face.samples):
        return False
    limits = engine.model.thresholds
    bands = [band_of(engine.distance(mean, template), limits) for mean in windows(face.samples, face.sampled_at)]
    return Band.NONE not in (*bands, band_of_unclear(face, template, engine))
