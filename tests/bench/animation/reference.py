"""MediaPipe's landmarks for a clip, measured in MediaPipe's own environment and kept between runs.

The environment's python is named by COUNTERSIGN_MEDIAPIPE_PYTHON; `mediapipe_reference/measure.py` tells how to make one.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.bench.animation.clips import Clip, cache_dir

PYTHON_VARIABLE = "COUNTERSIGN_MEDIAPIPE_PYTHON"
SCRIPT = Path(__file__).parent / "mediapipe_reference" / "measure.py"
# in the first frames of a clip MediaPipe moves from the detector's region to that of the landmarks, by up to 4% of the IOD
SETTLE_FRAMES = 8
HOW = f"set {PYTHON_VARIABLE} to the python of an environment with mediapipe; {SCRIPT.name} tells how to make one"


def mediapipe_python() -> Path | None:
    """The interpreter that can import mediapipe, if one was named and exists."""
    named = os.environ.get(PYTHON_VARIABLE)
    return Path(named) if named and Path(named).is_file() else None


def measure(frames: NDArray[np.uint8], *, still: bool = False, settle: int = SETTLE_FRAMES) -> NDArray[np.float32]:
    """float32 (T, 478, 3), NaN where MediaPipe found no face. Needs the environment.

    still: each frame on its own. settle: how often the first frame is shown before it counts.
    """
    python = mediapipe_python()
    if python is None:
        raise FileNotFoundError(f"MediaPipe is not at hand: {HOW}")
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "frames.npy", Path(folder) / "landmarks.npz"
        np.save(given, np.concatenate([np.repeat(frames[:1], settle, axis=0), frames]))
        command = [str(python), str(SCRIPT), str(given), str(made), *(["--still"] if still else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
        if done.returncode:
            raise RuntimeError(f"MediaPipe failed:\n{done.stderr[-2000:]}")
        with np.load(made) as kept:
            landmarks: NDArray[np.float32] = kept["landmarks"][settle:]
    return landmarks


def _environment() -> dict[str, str]:
    # ours would lead the other interpreter to our packages
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


def measure_clip(clip: Clip, settle: int = SETTLE_FRAMES) -> NDArray[np.float32]:
    """`measure` of a clip that does not change, kept in the cache."""
    path = cache_dir() / f"{clip.key}.mediapipe-{hashlib.sha256(SCRIPT.read_bytes()).hexdigest()[:8]}-{settle}.npy"
    if not path.exists():
        np.save(path, measure(clip.frames, settle=settle))
    landmarks: NDArray[np.float32] = np.load(path)
    return landmarks
