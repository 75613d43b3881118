"""The embedded engine: dlib's recognition network on an aligned chip.

The network (King, "dlib_face_recognition_resnet_model_v1", CC0) was trained on chips cut by five eye-corner and nose points.
Its files lie inside the `face_recognition_models` wheel and are read by path: importing that package needs pkg_resources.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import dlib
import numpy as np
from numpy.typing import NDArray

from consent.errors import FaceEngineError
from consent.faces.engine import Embedding, EngineConfig, FaceModel, Thresholds, finite

NETWORK_FILE = "dlib_face_recognition_resnet_model_v1.dat"
NETWORK_SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
CHIP_PX = 150
CHIP_PADDING = 0.25
# mesh points where the five-point model puts its own: left eye outer, inner; right eye outer, inner; base of the nose
FIVE_POINTS = (263, 362, 33, 133, 2)

MODEL = FaceModel(
    name="dlib-resnet",
    version="1",
    licence="CC0-1.0",
    commercial_use=True,
    dimensions=128,
    # the published 0.6 is for tagging photographs; a gate needs far fewer false matches
    thresholds=Thresholds(match=0.42, review=0.55),
)


class DlibEngine:
    """`FaceEngine` on dlib; 128 values compared by Euclidean distance."""

    def __init__(self, network_path: Path) -> None:
        self._network = dlib.face_recognition_model_v1(str(network_path))
        self._lock = Lock()  # a dlib network keeps its activations in itself

    @property
    def model(self) -> FaceModel:
        """The model in use."""
        return MODEL

    def embed(self, image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> Embedding:
        """See `FaceEngine.embed`."""
        corners = landmarks[list(FIVE_POINTS), :2]
        points = [dlib.point(round(float(x)), round(float(y))) for x, y in corners]
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        shape = dlib.full_object_detection(dlib.rectangle(int(x0), int(y0), int(x1), int(y1)), points)
        chip = dlib.get_face_chip(np.ascontiguousarray(image), shape, CHIP_PX, CHIP_PADDING)
        with self._lock:
            descriptor = self._network.compute_face_descriptor(chip)
        return finite(np.asarray(descriptor, dtype=np.float64), MODEL.dimensions)

    def distance(self, first: Embedding, second: Embedding) -> float:
        """Euclidean distance."""
        return float(np.linalg.norm(first - second))


def network_path() -> Path:
    """Return the checked network file. Raises FaceEngineError when it is missing or is not the file this version expects."""
    spec = find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise FaceEngineError("The face recognition files are not installed; install the pinned requirements.")
    path = Path(spec.submodule_search_locations[0]) / "models" / NETWORK_FILE
    if not path.is_file():
        raise FaceEngineError(f"{NETWORK_FILE} is missing; install the pinned requirements again.")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != NETWORK_SHA256:
        raise FaceEngineError(f"{NETWORK_FILE} is not the file it should be; install the pinned requirements again.")
    return path


def build(config: EngineConfig) -> DlibEngine:
    """Make the engine for the registry."""
    return DlibEngine(network_path())
