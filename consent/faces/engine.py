"""What a face recognition engine is, and the registry of those that can be selected."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from consent.errors import FaceEngineError

Embedding = NDArray[np.float64]  # (D,)
ENGINE_MODULES = {
    # loaded by name: importing one engine must not cost the start-up time of another
    "dlib": "consent.faces.dlib_engine",
    "insightface": "consent.faces.insightface_engine",
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Largest distances, in the unit of the engine, of a match and of a case for review. They belong to one model version."""

    match: float
    review: float


@dataclass(frozen=True, slots=True)
class FaceModel:
    """What may be said about a recognition model: identity, licence, size D of its embeddings, thresholds."""

    name: str
    version: str
    licence: str
    commercial_use: bool
    dimensions: int
    thresholds: Thresholds

    @property
    def id(self) -> str:
        """Name and version. Templates of one id are never compared with embeddings of another."""
        return f"{self.name}@{self.version}"


class FaceEngine(Protocol):
    """A recognition model. Deterministic on one device."""

    @property
    def model(self) -> FaceModel:
        """The model in use."""

    def embed(self, image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> Embedding:
        """Embed the face of an RGB image (H, W, 3) at the landmarks (478, 3), in pixels, of the face mesh.

        Returns float64 (D,). Raises FaceEngineError when the model gives no finite answer.
        """

    def distance(self, first: Embedding, second: Embedding) -> float:
        """How far two embeddings are apart: 0 is the same, smaller is closer."""


class Band(enum.StrEnum):
    """What a comparison says. The distance itself never leaves this room: scores in numbers rebuild a template."""

    MATCH = "match"
    REVIEW = "review"
    NONE = "none"


def band_of(distance: float, thresholds: Thresholds) -> Band:
    """Return the band of a distance. A distance that is not a number, or below zero, matches nobody."""
    if 0.0 <= distance <= thresholds.match:
        return Band.MATCH
    if 0.0 <= distance <= thresholds.review:
        return Band.REVIEW
    return Band.NONE


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Which engine to load. `pack_root` and `pack_name` name the model pack that an operator supplies (insightface)."""

    name: str = "dlib"
    pack_root: Path | None = None
    pack_name: str = "buffalo_l"


@lru_cache(maxsize=4)
def load_engine(config: EngineConfig) -> FaceEngine:
    """Return the engine of a configuration, made once per process. Raises FaceEngineError when it is unknown or incomplete."""
    module = ENGINE_MODULES.get(config.name)
    if module is None:
        known = ", ".join(sorted(ENGINE_MODULES))
        raise FaceEngineError(f"There is no face engine {config.name!r}; choose one of {known}.")
    build: Callable[[EngineConfig], FaceEngine] = import_module(module).build
    return build(config)


def finite(values: NDArray[np.float64], dimensions: int) -> Embedding:
    """Return an embedding after checking its shape (D,) and that every value is finite. Raises FaceEngineError."""
    if values.shape != (dimensions,) or not np.isfinite(values).all():
        raise FaceEngineError("The face engine gave no usable answer for a face; check its model files and try again.")
    return values
