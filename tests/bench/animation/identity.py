"""Whose face the output shows, by the embedded recognition model (dlib): to the still's and to the driver's."""

from __future__ import annotations

import numpy as np

from consent.errors import FaceEngineError
from consent.faces.engine import Embedding, EngineConfig, load_engine
from tests.bench.animation import clips, metrics

EVERY_FRAMES = 6


def distances(
    still: metrics.Frames, output: metrics.Frames, made: metrics.Floats, driver: metrics.Frames, driven: metrics.Floats
) -> dict[str, float]:
    """Mean distance of sampled output frames to the still (H, W, 3) and to the driver, and the share nearer to the driver.

    made and driven: landmarks (T, 478, 3) of output and driver. The still's are those of our own finder. dlib's author takes
    two photographs less than 0.6 apart for one person.
    """
    engine = load_engine(EngineConfig())
    own = _embedded(still[None], clips.still_landmarks(still)[None], step=1)
    theirs, made_embeddings = _embedded(driver, driven), _embedded(output, made)
    if not own or not theirs or not made_embeddings:
        return {"to_still": float("nan"), "to_driver": float("nan"), "nearer": float("nan")}
    person = np.mean(theirs, axis=0)
    to_still = np.array([engine.distance(one, own[0]) for one in made_embeddings])
    to_driver = np.array([engine.distance(one, person) for one in made_embeddings])
    nearer = float((to_driver < to_still).mean())
    return {"to_still": float(to_still.mean()), "to_driver": float(to_driver.mean()), "nearer": nearer}


def _embedded(frames: metrics.Frames, landmarks: metrics.Floats, step: int = EVERY_FRAMES) -> list[Embedding]:
    engine, found = load_engine(EngineConfig()), []
    for frame, points in zip(frames[::step], landmarks[::step], strict=True):
        if np.isfinite(points[0, 0]):
            try:
                found.append(engine.embed(np.ascontiguousarray(frame), points))
            except FaceEngineError:
                continue
    return found
