"""An engine on a model pack that the operator supplies (InsightFace's `FaceAnalysis` format).

InsightFace's own packs may be used for research only: `commercial_use` is False and the gate refuses commercial purposes.
Nothing is fetched from here.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock

import numpy as np
from insightface.app import FaceAnalysis
from insightface.app.common import Face
from numpy.typing import NDArray

from consent.errors import FaceEngineError
from consent.faces.engine import Embedding, EngineConfig, FaceModel, Thresholds, finite

# mesh points nearest to the five that ArcFace alignment uses: eyes (by their corners), tip of the nose, corners of the mouth
RIGHT_EYE, LEFT_EYE, NOSE_TIP, MOUTH = (33, 133), (362, 263), 1, (61, 291)
DIMENSIONS = 512


class InsightFaceEngine:
    """`FaceEngine` on an ArcFace recognition model; 512 values compared by cosine distance, 1 - cos."""

    def __init__(self, pack: Path) -> None:
        # a folder given as the name is used as it is, and nothing is downloaded
        analysis = FaceAnalysis(name=str(pack), allowed_modules=["detection", "recognition"], providers=["CPUExecutionProvider"])
        if "recognition" not in analysis.models:
            raise FaceEngineError(f"The model pack {pack.name!r} holds no recognition model; supply a complete pack.")
        self._recognition = analysis.models["recognition"]
        self._lock = Lock()
        self._model = FaceModel(
            name="insightface",
            version=pack.name,
            licence="InsightFace model licence (research only)",
            commercial_use=False,
            dimensions=DIMENSIONS,
            # cosine 0.48 and 0.30; about 0.4 is where such models reach a false match in a million
            thresholds=Thresholds(match=0.52, review=0.70),
        )

    @property
    def model(self) -> FaceModel:
        """The model in use."""
        return self._model

    def embed(self, image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> Embedding:
        """See `FaceEngine.embed`."""
        points = landmarks[:, :2]
        eyes = [points[list(eye)].mean(axis=0) for eye in (RIGHT_EYE, LEFT_EYE)]
        five = np.stack([*eyes, points[NOSE_TIP], *points[list(MOUTH)]]).astype(np.float32)
        bgr = np.ascontiguousarray(image[:, :, ::-1])
        with self._lock:
            values = self._recognition.get(bgr, Face(kps=five))
        embedding = np.asarray(values, dtype=np.float64)
        return finite(embedding / np.linalg.norm(embedding), DIMENSIONS)

    def distance(self, first: Embedding, second: Embedding) -> float:
        """Cosine distance. Means of unit vectors are shorter than 1, so both are normalised here."""
        cosine = float(first @ second) / float(np.linalg.norm(first) * np.linalg.norm(second))
        return max(0.0, 1.0 - cosine)


def build(config: EngineConfig) -> InsightFaceEngine:
    """Make the engine for the registry. Raises FaceEngineError when the pack is not there."""
    if config.pack_root is None:
        raise FaceEngineError("The insightface engine needs a model pack; set INSIGHTFACE_ROOT to the folder above `models`.")
    pack = config.pack_root / "models" / config.pack_name
    if not any(pack.glob("*.onnx")):
        raise FaceEngineError(f"There is no model pack {config.pack_name!r} under INSIGHTFACE_ROOT; put its .onnx files there.")
    return InsightFaceEngine(pack)
