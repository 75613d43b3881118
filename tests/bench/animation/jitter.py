"""Jitter: a driver that keeps still must give a portrait that keeps still.

    python -m tests.bench.animation.jitter [--data DIR] [--portrait X] [--driver Y] [--frames N] [--set OPTION=VALUE]...

A driver is one frame, repeated, with new sensor noise in each frame and through x264 at CRF 23, so that what moves is noise
and compression alone. The noise is the clip's own: its deviation is that of the differences between neighbouring frames, by
the median, which motion does not reach. Drivers: carphone and one's own; portraits: the astronaut of scikit-image and one's
own.

rms: movement of up to 400 corners of the output's face around their mean places, by optical flow, in pixels at 512 of the
portrait's shorter side. by landmarks: the same of the 468 points of MediaPipe where it is at hand, else of our own tracker;
floor: what the same network makes of the portrait itself, repeated. On drawings and paintings the floor is most of it. driver:
the driver's landmarks, scaled to the size of the output's face. flicker: mean second difference of the output's luma in time,
in code values. The last line is JSON.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import skimage.data
import torch

from generation.engines import load
from generation.engines.base import Animator, EngineError, Options
from media.frames import FrameBatch
from media.video import VideoWriter, read_frames
from tests.bench.animation import acting, clips, metrics, report
from tests.bench.animation.pairs import Yardstick

FRAMES = 48
CRF = 23
NOISE_FRAMES = 13
LEAST_NOISE, MOST_NOISE = 0.5, 4.0
SEED = 7
COLUMNS = ("rms_px", "landmarks_px", "floor_px", "driver_px", "flicker")


def sensor_noise(frames: metrics.Frames) -> float:
    """Standard deviation of a clip's temporal noise, in code values (median absolute deviation of neighbours' differences)."""
    neighbours = [metrics.luma(b) - metrics.luma(a) for a, b in pairwise(frames[:NOISE_FRAMES])]
    deviation = 1.4826 * float(np.median(np.abs(neighbours))) / np.sqrt(2)
    return float(np.clip(deviation, LEAST_NOISE, MOST_NOISE))


def held(clip: clips.Clip, count: int) -> clips.Clip:
    """The clip's first frame repeated, each time with new noise, through x264."""
    noise, still = sensor_noise(clip.frames), torch.from_numpy(clip.frames[0].copy()).float()
    generator = torch.Generator().manual_seed(SEED)
    height, width = still.shape[0] // 2 * 2, still.shape[1] // 2 * 2
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "held.mp4"
        with VideoWriter(path, width=width, height=height, frame_rate=clip.rate, crf=CRF) as writer:
            for _ in range(count):
                noisy = still[:height, :width] + noise * torch.randn(height, width, 3, generator=generator)
                writer.write(FrameBatch(noisy.round().clamp(0, 255).byte()[None], torch.zeros(1, dtype=torch.float64)))
        frames = np.concatenate([batch.rgb.numpy() for batch in read_frames(path)])
    return clips.Clip(clip.name, frames, clip.rate, f"{clip.key}-held-{count}-{CRF}")


def measure(
    still: torch.Tensor, driver: clips.Clip, engine: Animator, options: Options, yardstick: Yardstick
) -> dict[str, float]:
    """Figures of one portrait with one held driver. Raises EngineError."""
    output = acting.perform(still, clips.track_of(driver), engine=engine, options=options).frames
    made, driven = yardstick.of_output(output, driver.rate), yardstick.of_driver(driver)
    short_side = min(output.shape[1:3])
    ratio = np.nanmedian(metrics.eye_distance(made)) / np.nanmedian(metrics.eye_distance(driven))
    return {
        "rms_px": metrics.picture_jitter_px(output, made),
        "landmarks_px": metrics.landmark_jitter_px(made, short_side),
        "driver_px": metrics.landmark_jitter_px(driven, short_side) * float(ratio),
        "flicker": metrics.flicker(output),
    }


def floor_px(still: torch.Tensor, frames: int, yardstick: Yardstick) -> float:
    """Landmark jitter of the portrait itself, repeated."""
    repeated = np.repeat(still.numpy()[None], frames, axis=0)
    return metrics.landmark_jitter_px(yardstick.of_output(repeated, clips.carphone_rate()), min(still.shape[:2]))


def portraits(data: Path | None, name: str | None) -> Iterator[tuple[str, torch.Tensor]]:
    """The astronaut and the own portraits."""
    if not name or name in "astronaut":
        yield "astronaut", torch.from_numpy(skimage.data.astronaut().copy())
    for path in clips.portraits(data, name) if data is not None else []:
        yield path.stem, clips.portrait(path)


def summary(rows: Sequence[dict[str, object]]) -> dict[str, float]:
    """Median and worst pair."""
    rms = [float(row["rms_px"]) for row in rows]  # type: ignore[arg-type]
    flicker = [float(row["flicker"]) for row in rows]  # type: ignore[arg-type]
    if not rows:
        return {}
    return {"rms_px_median": float(np.median(rms)), "rms_px_worst": max(rms), "flicker_median": float(np.median(flicker))}


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help=f"folder of portraits and drivers (default: {clips.DATA_VARIABLE})")
    parser.add_argument("--portrait", help="part of the file name, or `astronaut`")
    parser.add_argument("--driver", help="part of the file name, or `carphone`")
    parser.add_argument("--frames", type=int, default=FRAMES, help="of each held driver (default: %(default)s)")
    acting.add_options(parser)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    data, engine, yardstick = clips.sample_data(given.data), load("mesh", device="cpu"), Yardstick()
    drivers = [clips.carphone()] if not given.driver or given.driver in "carphone" else []
    drivers += [clips.driver(path, NOISE_FRAMES) for path in clips.drivers(data, given.driver)] if data is not None else []
    still_drivers = [held(clip, given.frames) for clip in drivers]
    print(f"landmarks by {yardstick.name}\n{'portrait':16}{'driver':18}" + "".join(f"{name:>14}" for name in COLUMNS))
    rows: list[dict[str, object]] = []
    for name, still in portraits(data, given.portrait):
        floor = floor_px(still, given.frames, yardstick)
        for driver in still_drivers:
            try:
                figures = measure(still, driver, engine, acting.options_from(given.set), yardstick) | {"floor_px": floor}
            except EngineError as error:
                print(f"{name:16}{driver.name:18}refused: {error.message}")
            else:
                rows.append({"portrait": name, "driver": driver.name, **figures})
                print(f"{name:16}{driver.name:18}" + "".join(f"{figures[column]:14.3f}" for column in COLUMNS), flush=True)
    total = summary(rows)
    print("  ".join(f"{name} {value:.3f}" for name, value in total.items()))
    print(report.as_json("animation.jitter", {"by": yardstick.name, **total, "rows": rows}))
    return total


if __name__ == "__main__":
    main()
