"""What the tests of consent share: a stand-in engine, faces at points of a plane, and frames as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from consent.faces.engine import FaceModel, Thresholds
from consent.faces.observed import ObservedFace, Side
from media.frames import FrameBatch

FRAME_RATE = Fraction(30000, 1001)


class FlatEngine:
    """Compares points of a plane, so that a test says in plain numbers how far two people are apart."""

    model = FaceModel("flat", "1", "none", True, 2, Thresholds(match=0.42, review=0.55))

    def embed(self, image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.zeros(2)

    def distance(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
        return float(np.linalg.norm(first - second))


def seen(name: str, *at: tuple[float, float], **facts: object) -> ObservedFace:
    """A face whose looks lie at points of the plane; none when it could not be matched."""
    samples = np.array(at) if at else None
    mean = None if samples is None else samples.mean(axis=0)
    return ObservedFace(name, Side(name.split(":")[0].rstrip("2")), (0.0, 0.0, 9.0, 9.0), mean, samples, **facts)  # type: ignore[arg-type]


def batches(frames: list[NDArray[np.uint8]], size: int = 8) -> Iterator[FrameBatch]:
    """Frames as the reader hands them out."""
    for start in range(0, len(frames), size):
        pixels = torch.from_numpy(np.stack(frames[start : start + size]))
        yield FrameBatch(pixels, torch.arange(start, start + len(pixels), dtype=torch.float64) / float(FRAME_RATE))
