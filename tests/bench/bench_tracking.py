"""Times of `media.tracking`, per frame: `./dev bench tracking [device]`; the last line is JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import torch

from media.tracking import FaceDetector, FaceLandmarker, FaceTracker, Matte
from tests.unit.media.tracking_inputs import carphone, stream


def milliseconds(work: Callable[[], object], device: str, *, repeats: int = 5) -> float:
    """Wall time on a GPU; on a CPU the time of its one thread, which other programs disturb less."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    work()
    started = clock()
    for _ in range(repeats):
        work()
    if device != "cpu":
        torch.cuda.synchronize()
    return (clock() - started) * 1000 / repeats


def main(device: str) -> None:
    if device == "cpu":
        torch.set_num_threads(1)
    frames = carphone().to(device)
    detector, landmarker, matte = FaceDetector(device), FaceLandmarker(device), Matte(device)
    tracker = FaceTracker(device)
    rois = [found[0].roi for found in detector.detect(frames[:64])]
    rows = {
        "detector, both networks, one frame": milliseconds(lambda: detector.detect(frames[:1]), device),
        "detector, both networks, in a batch of 64": milliseconds(lambda: detector.detect(frames[:64]), device) / 64,
        "landmarks, one face": milliseconds(lambda: landmarker.landmarks(frames[:1], rois[:1]), device),
        "landmarks, in a batch of 64": milliseconds(lambda: landmarker.landmarks(frames[:64], rois), device) / 64,
        "thorough search": milliseconds(lambda: detector.detect(frames[:1], thorough=True), device),
        "thorough search with turns": milliseconds(
            lambda: detector.detect(frames[:1], thorough=True, turns=True), device, repeats=2
        ),
        "matte": milliseconds(lambda: matte.alpha(frames[0]), device),
        "tracker": milliseconds(lambda: list(tracker.track(stream(frames))), device, repeats=1) / len(frames),
    }
    print(f"{device}, 704 x 576, milliseconds per frame")
    for name, value in rows.items():
        print(f"{value:9.2f}  {name}")
    print(json.dumps({"bench": "tracking", "device": device, "ms": {name: round(value, 2) for name, value in rows.items()}}))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cpu")
