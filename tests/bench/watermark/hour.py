"""An hour of 720p through the detector: memory as it goes, and processor time. A JSON line last.

Five seconds, marked and not, are decoded again and again as one long stream; every sixth minute is without a mark. Memory is what
this process holds, decoder and all (Linux).

Run: `python -m tests.bench.watermark.hour [--minutes N] [--folder KEPT]`.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from media.frames import FrameBatch
from media.video import read_planes
from provenance.watermark import SCHEME_2, Detector, Embedder, derive_key
from tests.bench import watermark_clips as clips
from tests.bench.watermark.ffmpeg import ffmpeg, raw_input
from tests.bench.watermark.methods import KEY_NAME, MASTER, PAYLOAD, SYNC_NAME

KEY, SYNC_KEY = derive_key(MASTER, KEY_NAME), derive_key(MASTER, SYNC_NAME)
PIECE_S, UNMARKED_EVERY = 5.0, 6


def resident_mb() -> float:
    """Resident memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def pieces(folder: Path) -> tuple[Path, Path]:
    """Five seconds of 720p, without a mark and with it, as files."""
    plain, marked = folder / "plain.mp4", folder / "marked.mp4"
    if not marked.exists():
        clip = clips.bunny(PIECE_S)
        done = clips.collect(Embedder(KEY, PAYLOAD, SCHEME_2, sync_key=SYNC_KEY).embed(clip.batches()), clip.rate)
        for source, path in ((clip, plain), (done, marked)):
            ffmpeg([*raw_input(source), "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", str(path)], clips.packed(source))
    return plain, marked


def stream(plain: Path, marked: Path, minutes: int, samples: list[tuple[float, float]]) -> Iterator[FrameBatch]:
    """The pieces end to end, with a sample of memory at each minute: (minute, MB)."""
    start_s = 0.0
    for minute in range(minutes):
        samples.append((minute, round(resident_mb(), 1)))
        print(f"minute {minute}: {samples[-1][1]} MB, {time.process_time():.0f} s", flush=True)
        path = plain if minute % UNMARKED_EVERY == UNMARKED_EVERY - 1 else marked
        for _ in range(int(60 / PIECE_S)):
            for batch in read_planes(path):
                yield replace(batch, timestamps_s=batch.timestamps_s + start_s)
            start_s += PIECE_S
    samples.append((minutes, round(resident_mb(), 1)))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--folder", type=Path, help="where the two pieces are kept, so that making them is not counted")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    folder = options.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    plain, marked = pieces(folder)
    clips.bunny.cache_clear()
    samples: list[tuple[float, float]] = []
    started = time.process_time()
    detection = Detector({KEY_NAME: KEY}, sync_key=SYNC_KEY).detect(stream(plain, marked, options.minutes, samples))
    seconds = sum(end - start for start, end in detection.segments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    result = {
        "minutes": options.minutes,
        "right": detection.payload == PAYLOAD,
        "marked_s": round(seconds, 1),
        "peak_mb": round(peak, 1),
        "memory_mb": samples,
        "processor_s": round(time.process_time() - started, 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
