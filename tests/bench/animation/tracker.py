"""Our face tracker against MediaPipe 0.10.21 on the same pixels.

    python -m tests.bench.animation.tracker [--data DIR] [--driver Y] [--frames N]

Carphone, enlarged four times, and with --data (or COUNTERSIGN_SAMPLE_DATA) every driving clip. Per clip: mean, median, 95th
percentile and worst frame of the distance between the two trackers' 468 face points, in percent of the inter-ocular distance
(the middles of the eyes), the mean over the irises, frames found by each, and the correlation of the signals that drive an
animation. Needs COUNTERSIGN_MEDIAPIPE_PYTHON. The last line is JSON.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from tests.bench.animation import clips, metrics, reference, report

COLUMNS = ("mean", "median", "p95", "worst", "irises", "found", "by_mediapipe", "frames", *("mouth", "eyes", "yaw"))
FRAMES = 120


def compare(clip: clips.Clip) -> dict[str, float]:
    """Figures of one clip. Frames in which only one of the two found the face count in `found` and `by_mediapipe` alone."""
    own, theirs = clips.track_of(clip).landmarks.numpy(), reference.measure_clip(clip, settle=0)
    error = metrics.landmark_error_percent(own, theirs)
    gaps = np.linalg.norm(own[:, metrics.FACE_POINTS :, :2] - theirs[:, metrics.FACE_POINTS :, :2], axis=2).mean(axis=1)
    signals = metrics.performance_correlations(own, theirs)
    return {
        "mean": float(np.nanmean(error)),
        "median": float(np.nanmedian(error)),
        "p95": float(np.nanpercentile(error, 95)),
        "worst": float(np.nanmax(error)),
        "irises": float(np.nanmean(100 * gaps / metrics.eye_distance(theirs))),
        "found": float(np.isfinite(own[:, 0, 0]).mean()),
        "by_mediapipe": float(np.isfinite(theirs[:, 0, 0]).mean()),
        "frames": float(len(own)),
        **{name: signals[name] for name in ("mouth", "eyes", "yaw")},
    }


def inputs(data: Path | None, driver: str | None, frames: int | None) -> list[clips.Clip]:
    """Carphone and the own drivers."""
    named = [clips.driver(path, frames or None) for path in clips.drivers(data, driver)] if data is not None else []
    return named if driver else [clips.carphone(), *named]


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help=f"folder with driving/*.mp4 (default: {clips.DATA_VARIABLE})")
    parser.add_argument("--driver", help="part of a file name: only those")
    parser.add_argument("--frames", type=int, default=FRAMES, help="of each own driver, 0 for all (default: %(default)s)")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if reference.mediapipe_python() is None:
        print(f"tracker SKIPPED: {reference.HOW}")
        return {}
    data = clips.sample_data(given.data)
    if data is None:
        print(f"own drivers SKIPPED: name their folder by --data or {clips.DATA_VARIABLE}")
    print(f"{'clip':20}" + "".join(f"{name:>13}" for name in COLUMNS))
    rows = {}
    for clip in inputs(data, given.driver, given.frames):
        rows[clip.name] = compare(clip)
        print(f"{clip.name:20}" + "".join(f"{rows[clip.name][name]:13.3f}" for name in COLUMNS), flush=True)
    print(report.as_json("animation.tracker", rows))
    return rows


if __name__ == "__main__":
    main()
