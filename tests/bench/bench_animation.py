"""Everything that is measured of animation: `./dev bench animation [--only PART ...] [--quick] [--data DIR] [--out DIR]`.

Parts: carphone (fidelity against a known truth), tracker (against MediaPipe), pairs (one's own portraits and drivers), jitter,
speed (stages, whole, 4K, preview, memory). Each is a command of its own, `python -m tests.bench.animation.PART --help`.

COUNTERSIGN_MEDIAPIPE_PYTHON names the python of an environment with mediapipe 0.10.21, the yardstick (how to make one:
`animation/mediapipe_reference/measure.py`); COUNTERSIGN_SAMPLE_DATA, or --data, a folder with portraits/ and driving/. What is
absent is said to be skipped. The last line is JSON; `--markdown FILE ...` prints kept outputs of this command as the table of
docs/benchmarks.md, one column per file, and measures nothing.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from tests.bench.animation import carphone, jitter, pairs, report, speed, tracker

Results = dict[str, object]

# part and path into its figures, what it is called, what is asked for, how it is written
FIGURES: tuple[tuple[str, str, str, str], ...] = (
    ("tracker.carphone.mean", "Tracker against MediaPipe on carphone, mean, % of IOD", "at most 1.5", ".2f"),
    ("tracker.worst_driver_mean", "the same on the worst of own drivers", "at most 2.5", ".2f"),
    ("carphone.mediapipe.psnr_db", "Carphone drives itself: PSNR of the face box, dB", "26", ".1f"),
    ("carphone.mediapipe.box_limit_psnr_db", "the same, were every pixel of the person true, dB", "", ".1f"),
    ("carphone.mediapipe.outline_psnr_db", "PSNR inside the face's outline, dB", "", ".1f"),
    ("carphone.mediapipe.ssim", "SSIM of the face box", "0.82", ".3f"),
    ("carphone.mediapipe.box_limit_ssim", "the same, were every pixel of the person true", "", ".3f"),
    ("carphone.mediapipe.outline_ssim", "SSIM inside the face's outline", "", ".3f"),
    ("carphone.mediapipe.landmark_error_percent", "Landmark error, % of IOD", "at most 1.5", ".2f"),
    ("carphone.mediapipe.mouth", "Mouth opening, correlation", "0.97", ".3f"),
    ("carphone.mediapipe.eyes", "Eye opening, correlation", "0.90", ".3f"),
    ("pairs.mouth_median", "Own pairs: mouth opening, median correlation", "0.95", ".3f"),
    ("pairs.eyes_median", "eye opening", "0.85", ".3f"),
    ("pairs.yaw_median", "yaw", "0.90", ".3f"),
    ("pairs.pitch_median", "pitch", "0.90", ".3f"),
    ("pairs.roll_median", "roll", "0.90", ".3f"),
    ("pairs.to_still_mean", "dlib distance to the still, mean", "at most 0.30", ".3f"),
    ("pairs.nearer_to_driver_pairs", "pairs with a frame nearer to the driver", "0", ".0f"),
    ("jitter.rms_px_median", "Jitter on a still driver, median pair, px at 512", "at most 0.5", ".2f"),
    ("jitter.rms_px_worst", "the same, worst pair", "at most 0.5", ".2f"),
    ("speed.stages.read.cpu_ms", "512 x 512, CPU ms per frame: read", "", ".1f"),
    ("speed.stages.track.cpu_ms", "track", "", ".1f"),
    ("speed.stages.animate.cpu_ms", "animate", "", ".1f"),
    ("speed.stages.watermark.cpu_ms", "watermark", "", ".1f"),
    ("speed.stages.encode.cpu_ms", "encode (x264 medium, CRF 18)", "", ".1f"),
    ("speed.fps", "all of it overlapped, frames per second by the clock", "25", ".1f"),
    ("speed.fps_by_cpu", "the same if two cores were busy throughout", "", ".1f"),
    ("speed.wall_ratio_to_x264", "its time as a multiple of x264's", "reported", ".1f"),
    ("speed.ratio_4k", "animate at 3840 x 2160 over 512 x 512", "at most 2.5", ".2f"),
    ("speed.preview_ratio", "preview over one rendered frame", "reported", ".2f"),
    ("speed.peak_mb.100", "Largest resident memory at 100 frames, MiB", "", ".0f"),
    ("speed.peak_mb.400", "at 400 frames", "", ".0f"),
    ("speed.peak_mb.3000", "at 3,000 frames", "within 5% of 100", ".0f"),
)


def table(columns: Mapping[str, Results]) -> str:
    """Markdown: one row per figure, one column per run."""
    lines = [f"| Figure | Asked for | {' | '.join(columns)} |", f"|---|---|{'---:|' * len(columns)}"]
    for path, name, asked, form in FIGURES:
        cells = [_cell(results, path, form) for results in columns.values()]
        lines.append(f"| {name} | {asked} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(results: Results, path: str, form: str) -> str:
    value: object = results
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return format(value, form) if isinstance(value, int | float) else "-"


def kept(path: Path) -> Results:
    """The figures of an earlier run: the last line of what it printed."""
    figures: Results = json.loads(path.read_text().splitlines()[-1])
    return figures


def _tracker(given: argparse.Namespace) -> Results:
    rows = tracker.main([*_data(given), "--frames", "40" if given.quick else "0"])
    own = [row["mean"] for name, row in rows.items() if name != "carphone"]
    return {**rows, **({"worst_driver_mean": max(own)} if own else {})}


def _carphone(given: argparse.Namespace) -> Results:
    return dict(carphone.main(["--out", str(given.out / "carphone"), *(["--frames", "40"] if given.quick else [])]))


def _pairs(given: argparse.Namespace) -> Results:
    return dict(pairs.main([*_data(given), "--out", str(given.out / "pairs"), "--frames", "24" if given.quick else "0"]))


def _jitter(given: argparse.Namespace) -> Results:
    quick = ["--portrait", "astronaut", "--driver", "carphone", "--frames", "16"]
    return dict(jitter.main([*_data(given), *(quick if given.quick else [])]))


def _speed(given: argparse.Namespace) -> Results:
    memory = [] if given.quick else ["--memory", *(str(frames) for frames in speed.MEMORY_FRAMES)]
    return speed.main([*memory, *(["--frames", "24"] if given.quick else [])])


def _data(given: argparse.Namespace) -> list[str]:
    return ["--data", str(given.data)] if given.data else []


PARTS: Mapping[str, Callable[[argparse.Namespace], Results]] = MappingProxyType(
    {"tracker": _tracker, "carphone": _carphone, "pairs": _pairs, "jitter": _jitter, "speed": _speed}
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="few frames and no memory: to see that it runs")
    parser.add_argument("--data", type=Path, help="own portraits and drivers")
    parser.add_argument("--out", type=Path, default=Path("out/bench"), help="for the pictures (default: %(default)s)")
    parser.add_argument("--markdown", type=Path, nargs="+", metavar="FILE", help="print kept outputs as a table")
    given = parser.parse_args(arguments)
    if given.markdown:
        print(table({path.stem: kept(path) for path in given.markdown}))
        return
    results: Results = {}
    for part in given.only:
        print(f"\n== {part}", flush=True)
        results[part] = PARTS[part](given)
    print(f"\n{table({'now': results})}")
    print(report.as_json("animation", results))


if __name__ == "__main__":
    main()
