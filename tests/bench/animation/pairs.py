"""Every portrait with every driver of one's own material, through the engine itself: no label, no mark.

    python -m tests.bench.animation.pairs --data DIR [--portrait X] [--driver Y] [--frames N] [--start N] [--out DIR]
                                          [--tile PX] [--set OPTION=VALUE]...

DIR (or COUNTERSIGN_SAMPLE_DATA) holds portraits/*.jpg|png and driving/*.mp4; X and Y are parts of file names. For each pair
OUT gets PORTRAIT__DRIVER.png (driver over output at twelve telling moments), ..._face.png (the same around the face),
..._strip.png (consecutive frames where the face moves most) and, with --video, an MP4 of both side by side.

Columns: correlation of the output's mouth, eyes, yaw, pitch and roll with the driver's, by MediaPipe 0.10.21 where it is at
hand (COUNTERSIGN_MEDIAPIPE_PYTHON), else by our own tracker; a figure in brackets means that the driver hardly moved in that
way. Gaze is the place of the irises across the eyes, smile the height of the mouth's corners over the middle of the lips, each
with its gain, 1 where the movement comes over at full size; the JSON also has the gaze down.
found: frames of the output in which a face is found. still/driver: mean distance of dlib's embedding to the still's and to the
driver's; nearer: frames nearer to the driver. flick: flicker of the output's surroundings, of its whole, and of the driver's.
ms: CPU per frame. The last line is JSON. Driver tracks are kept in COUNTERSIGN_BENCH_CACHE (default: a temporary folder).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from generation.engines import load
from generation.engines.base import Animator, EngineError, Options
from media.frames import FrameBatch
from media.video import VideoWriter
from tests.bench.animation import acting, clips, identity, metrics, reference, report, sheets

FRAMES = 75
MOVEMENTS = ("mouth", "eyes", "yaw", "pitch", "roll")
SUBTLE = ("gaze", "gaze_down", "corners")
# A driver that moves less than this (5th to 95th percentile) gives a correlation of noise: shown, but not counted. Measured on
# heads that were kept still, an expression alone moves the measured angles by up to 4.4, 3.2 and 1 degrees; so twice that.
ENOUGH = {"mouth": 0.04, "eyes": 0.06, "yaw": 9.0, "pitch": 6.0, "roll": 2.0}
ENOUGH |= {"gaze": 0.12, "gaze_down": 0.06, "corners": 0.05}  # of the eye's width, and of the distance of the eyes
Row = dict[str, object]


class Yardstick:
    """Landmarks by MediaPipe where it is at hand, else by our own tracker."""

    def __init__(self) -> None:
        self.name = "mediapipe" if reference.mediapipe_python() else "own tracker"

    def of_driver(self, clip: clips.Clip) -> metrics.Floats:
        """Landmarks (T, 478, 3) of a clip that is kept."""
        return reference.measure_clip(clip) if self.name == "mediapipe" else clips.track_of(clip).landmarks.numpy()

    def of_output(self, frames: metrics.Frames, rate: Fraction) -> metrics.Floats:
        """Landmarks (T, 478, 3) of new frames."""
        return reference.measure(frames) if self.name == "mediapipe" else clips.follow(clips.Clip("", frames, rate, ""))[0]


def measure_pair(
    portrait: Path, clip: clips.Clip, engine: Animator, options: Options, yardstick: Yardstick
) -> tuple[Row, metrics.Frames, metrics.Floats]:
    """Figures of one pair, its output and the output's landmarks. Raises EngineError."""
    still = clips.portrait(portrait)
    act = acting.perform(still, clips.track_of(clip), engine=engine, options=options)
    driven, made = yardstick.of_driver(clip), yardstick.of_output(act.frames, clip.rate)
    moved = metrics.ranges(driven)
    row: Row = {"portrait": portrait.stem, "driver": clip.name, "frames": len(act.frames)}
    row |= {"found": float(np.isfinite(made[:, 0, 0]).mean())}
    row |= metrics.performance_correlations(made, driven) | metrics.subtle_transfer(made, driven)
    row |= {"weak": [name for name in (*MOVEMENTS, *SUBTLE) if moved[name] < ENOUGH[name]]}
    row |= identity.distances(still.numpy(), act.frames, made, clip.frames, driven)
    row |= {
        "backdrop_flicker": metrics.backdrop_flicker(act.frames, made),
        "flicker": metrics.flicker(act.frames),
        "driver_flicker": metrics.flicker(clip.frames),
        "prepare_s": act.prepare_s,
        "frame_ms": act.frame_ms,
    }
    return row, act.frames, made


def draw(
    out: Path, name: str, clip: clips.Clip, output: metrics.Frames, driven: metrics.Floats, made: metrics.Floats, tile: int
) -> None:
    """The two sheets and the strip of a pair."""
    moments = sheets.telling_moments(driven)
    faces = [("driver", sheets.around_the_face(clip.frames, driven)), ("output", sheets.around_the_face(output, made))]
    sheets.sheet(out / f"{name}.png", [("driver", clip.frames), ("output", output)], moments, tile)
    sheets.sheet(out / f"{name}_face.png", faces, moments, tile)
    sheets.strip(out / f"{name}_strip.png", faces, sheets.liveliest(driven), tile_px=tile)


def side_by_side(path: Path, clip: clips.Clip, output: metrics.Frames, height: int = 512) -> None:
    """Driver and output as one MP4."""
    wholes = [np.stack([sheets.scaled(frame, height) for frame in frames]) for frames in (clip.frames, output)]
    joined = torch.from_numpy(np.concatenate(wholes, axis=2))
    with VideoWriter(path, width=joined.shape[2], height=height, frame_rate=clip.rate) as writer:
        for start in range(0, len(joined), 8):
            part = joined[start : start + 8]
            writer.write(FrameBatch(part, torch.arange(start, start + len(part), dtype=torch.float64) / float(clip.rate)))


def summary(rows: Sequence[Row]) -> dict[str, float]:
    """Medians and means over the pairs that worked, as the acceptance list asks for them."""
    worked = [row for row in rows if "error" not in row]
    figures = {}
    for name in (*MOVEMENTS, *SUBTLE):
        moving = [row for row in worked if name not in row["weak"]]  # type: ignore[operator]
        for figure in (name, f"{name}_gain") if name in SUBTLE else (name,):
            values = [float(row[figure]) for row in moving]  # type: ignore[arg-type]
            figures[f"{figure}_median"] = float(np.nanmedian(values)) if values else float("nan")
    distances = [float(row["to_still"]) for row in worked]  # type: ignore[arg-type]
    figures["to_still_mean"] = float(np.nanmean(distances)) if distances else float("nan")
    figures["nearer_to_driver_pairs"] = sum(float(row["nearer"]) > 0 for row in worked)  # type: ignore[arg-type]
    figures["frame_ms_mean"] = float(np.mean([row["frame_ms"] for row in worked])) if worked else float("nan")
    figures["pairs"], figures["refused"] = len(worked), len(rows) - len(worked)
    return figures


HEADER = (
    f"{'portrait':14}{'driver':18}{'found':>6}" + "".join(f"{name:>8}" for name in MOVEMENTS)
    + f"{'gaze: r':>8}{'gain':>6}{'smile: r':>9}{'gain':>6}"
    + f"{'still':>7}{'driver':>8}{'nearer':>7}{'flick: back':>12}{'all':>6}{'driver':>7}{'ms':>6}"
)  # fmt: skip


def line(row: Row) -> str:
    """One pair as a line of the table."""
    if "error" in row:
        return f"{row['portrait']:14}{row['driver']:18}refused: {row['error']}"
    weak = row["weak"]
    cells = [f"({row[n]:.2f})".rjust(8) if n in weak else f"{row[n]:8.3f}" for n in MOVEMENTS]  # type: ignore[operator]
    return (
        f"{row['portrait']:14}{row['driver']:18}{row['found']:6.0%}{''.join(cells)}"
        f"{row['gaze']:8.2f}{row['gaze_gain']:6.2f}{row['corners']:9.2f}{row['corners_gain']:6.2f}"
        f"{row['to_still']:7.3f}{row['to_driver']:8.3f}{row['nearer']:7.0%}"
        f"{row['backdrop_flicker']:12.2f}{row['flicker']:6.2f}{row['driver_flicker']:7.2f}{row['frame_ms']:6.0f}"
    )


def run(data: Path, arguments: argparse.Namespace) -> list[Row]:
    """Every pair; prints a line as each is done."""
    engine, yardstick, options = load("mesh", device="cpu"), Yardstick(), acting.options_from(arguments.set)
    print(f"correlations by {yardstick.name}" + ("" if yardstick.name == "mediapipe" else f" ({reference.HOW})"))
    print(HEADER)
    rows: list[Row] = []
    for video in clips.drivers(data, arguments.driver):
        clip = clips.driver(video, arguments.frames or None, arguments.start)
        for portrait in clips.portraits(data, arguments.portrait):
            try:
                row, output, made = measure_pair(portrait, clip, engine, options, yardstick)
            except EngineError as error:
                row = {"portrait": portrait.stem, "driver": clip.name, "error": error.message}
            else:
                name = f"{portrait.stem}__{clip.name}"
                draw(arguments.out, name, clip, output, yardstick.of_driver(clip), made, arguments.tile)
                if arguments.video:
                    side_by_side(arguments.out / f"{name}.mp4", clip, output)
            print(line(row), flush=True)
            rows.append(row)
    return rows


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, help=f"folder of portraits and drivers (default: {clips.DATA_VARIABLE})")
    made.add_argument("--portrait", help="part of the file name")
    made.add_argument("--driver", help="part of the file name")
    made.add_argument("--frames", type=int, default=FRAMES, help="of each driver, 0 for all (default: %(default)s)")
    made.add_argument("--start", type=int, default=0, help="first frame of each driver")
    made.add_argument("--out", type=Path, default=Path("out/bench/pairs"), help="for the pictures (default: %(default)s)")
    made.add_argument("--tile", type=int, default=256, help="width of a tile on the sheets, in pixels")
    made.add_argument("--video", action="store_true", help="also write each pair as a video, side by side")
    acting.add_options(made)
    return made


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Run from the command line."""
    given = parser().parse_args(arguments)
    torch.set_num_threads(1)
    data = clips.sample_data(given.data)
    if data is None:
        print(f"pairs SKIPPED: name a folder of portraits and drivers by --data or {clips.DATA_VARIABLE}")
        return {}
    rows = run(data, given)
    figures = summary(rows)
    print("  ".join(f"{name} {value:.3f}" for name, value in figures.items()))
    print(f"pictures in {given.out}")
    print(report.as_json("animation.pairs", {**figures, "rows": rows}))
    return figures


if __name__ == "__main__":
    main()
