"""Whether a face of the source can be animated at all, by any engine: large enough, and not turned away. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MIN_FACE_PX = 64.0  # forehead to chin; under it the eyes are a handful of pixels: nothing to move
MAX_YAW_DEGREES = 60.0  # past it the far eye and cheek are not in the picture
FOREHEAD, CHIN = 10, 152  # of the 478 landmarks, as are the ends of the face oval at the ears
RIGHT_CHEEK, LEFT_CHEEK = 234, 454


def why_unusable(landmarks: NDArray[np.float32], box_height: float) -> str:
    """What keeps a face from being animated and what to do, in words; empty when nothing does.

    landmarks: (T, 478, 3) pixels, one row per frame that shows it; a video counts by its largest size and its usual turn.
    box_height: of its box, in pixels, which counts where nothing could place its features; the rest is then for the gate.
    """
    height = float(np.linalg.norm(landmarks[:, FOREHEAD] - landmarks[:, CHIN], axis=1).max(initial=0.0)) or box_height
    if height < MIN_FACE_PX:
        return (
            f"the face is {height:.0f} pixels high and at least {MIN_FACE_PX:.0f} are needed; "
            "use a larger picture or a closer portrait"
        )
    yaw = yaw_degrees(landmarks) if len(landmarks) else 0.0
    if yaw > MAX_YAW_DEGREES:
        return (
            f"the face is turned {yaw:.0f} degrees away and at most {MAX_YAW_DEGREES:.0f} can be animated; "
            "use a portrait that shows both eyes"
        )
    return ""


def yaw_degrees(landmarks: NDArray[np.float32]) -> float:
    """How far a head (T, 478, 3) is usually turned to a side: the tilt in depth of the line from cheek to cheek."""
    across = landmarks[:, LEFT_CHEEK] - landmarks[:, RIGHT_CHEEK]
    turns = np.degrees(np.arctan2(np.abs(across[:, 2]), np.linalg.norm(across[:, :2], axis=1)))
    return float(np.median(turns))
