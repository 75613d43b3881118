"""Landmarks of MediaPipe Face Mesh for every frame of a clip, as the yardstick of the animation benchmark.

MediaPipe is no dependency of the product. This script stands alone and runs in an environment of its own:

    python3 -m venv mediapipe-environment
    mediapipe-environment/bin/pip install -r tests/bench/animation/mediapipe_reference/requirements.txt
    mediapipe-environment/bin/python tests/bench/animation/mediapipe_reference/measure.py FRAMES OUTPUT.npz [--still]

FRAMES is a video, a picture, a folder of PNG files in the order of their names, or an .npy file of uint8 RGB (T, H, W, 3).
OUTPUT holds `landmarks`, float32 (T, 478, 3) in pixels of the frame (z in the same unit, NaN where no face was found),
`found`, bool (T,), and `size`, (width, height). The benchmark itself hands over .npy files, so that both trackers see the
same pixels. The published models run with their published settings: attention mesh (`refine_landmarks`), thresholds 0.5.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import mediapipe
import numpy as np

POINTS = 478


def frames_of(source: Path) -> Iterator[np.ndarray]:
    """RGB frames (H, W, 3) of whatever was given."""
    if source.suffix == ".npy":
        yield from np.load(source, mmap_mode="r")
    elif source.is_dir():
        for path in sorted(source.glob("*.png")):
            yield cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    else:
        yield from video_frames(source)


def video_frames(source: Path) -> Iterator[np.ndarray]:
    """RGB frames of a video, or the one of a picture."""
    capture = cv2.VideoCapture(str(source))
    while True:
        more, frame = capture.read()
        if not more:
            return
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def landmarks_of(result: object, width: int, height: int) -> np.ndarray:
    """float32 (478, 3) in pixels; NaN when there is no face."""
    if not result.multi_face_landmarks:
        return np.full((POINTS, 3), np.nan, np.float32)
    points = result.multi_face_landmarks[0].landmark
    return np.array([(p.x * width, p.y * height, p.z * width) for p in points], np.float32)


def main() -> None:
    """Measure every frame and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--still", action="store_true", help="look at each frame on its own instead of following the face")
    parser.add_argument("--max-frames", type=int, default=None)
    options = parser.parse_args()
    mesh = mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=options.still,
        max_num_faces=1,
        refine_landmarks=True,
        min_detection_confidence=0.5,
        min_tracking_confidence=0.5,
    )
    measured, size = [], (0, 0)
    for index, frame in enumerate(frames_of(options.frames)):
        if index == options.max_frames:
            break
        size = (frame.shape[1], frame.shape[0])
        measured.append(landmarks_of(mesh.process(np.ascontiguousarray(frame)), *size))
    if not measured:
        sys.exit(f"{options.frames} holds no frames that can be read; give a video, a folder of PNG files or an .npy file")
    landmarks = np.stack(measured)
    np.savez_compressed(options.output, landmarks=landmarks, found=np.isfinite(landmarks[:, 0, 0]), size=np.array(size))


if __name__ == "__main__":
    main()
