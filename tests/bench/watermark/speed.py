"""What the watermark costs at 720p on one core, as medians of processor time and their ratios. A JSON line last.

Embedding over x264 medium on the same frames; reading a marked file and searching one without a mark, ten seconds each, over
decoding alone; the same search with 10,000 live keys; a tile of 2160 rows embedded, and read back at full size and smaller.

Run: `python -m tests.bench.watermark.speed [--repeats N] [--folder KEPT] [--skip-4k]`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from media.frames import FrameBatch
from media.video import read_planes
from provenance.watermark import SCHEME_2, Detector, Embedder, derive_key
from tests.bench import watermark_clips as clips
from tests.bench.watermark.ffmpeg import ffmpeg, raw_input
from tests.bench.watermark.hour import KEY, PIECE_S, SYNC_KEY, pieces
from tests.bench.watermark.methods import KEY_NAME, MASTER, PAYLOAD

SECONDS, KEYS = 10.0, 10_000
READ_BACK = {"full size": (2160, "null"), "1080 rows": (1080, "scale=1080:1080"), "480 rows": (480, "scale=480:480")}


def cpu_s(work: Callable[[], object], repeats: int) -> float:
    """Median processor time."""
    spent = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return statistics.median(spent)


def ten_seconds(path: Path) -> Iterator[FrameBatch]:
    """The piece again and again, as one stream."""
    for turn in range(round(SECONDS / PIECE_S)):
        for batch in read_planes(path):
            yield replace(batch, timestamps_s=batch.timestamps_s + PIECE_S * turn)


def embedding(repeats: int) -> dict[str, float]:
    """Over x264 medium on the same frames."""
    clip = clips.bunny(PIECE_S)
    embed_s = cpu_s(lambda: clips.collect(_embedder().embed(clip.batches()), clip.rate), repeats)
    encode_s = statistics.median(_x264_medium_s(clip) for _ in range(repeats))
    return {"embed_ms_per_frame": 1000 * embed_s / len(clip.y), "embed_over_x264": embed_s / encode_s}


def searching(folder: Path, repeats: int) -> dict[str, float]:
    """Reading and searching ten seconds, decoding in it."""
    plain, marked = pieces(folder)
    one = Detector({KEY_NAME: KEY}, sync_key=SYNC_KEY)
    many = Detector({name: derive_key(MASTER, name) for name in (f"studio {i}" for i in range(KEYS))}, sync_key=SYNC_KEY)
    if not one.detect(ten_seconds(marked)).found or many.detect(ten_seconds(plain)).found:
        raise SystemExit("the mark was missed, or seen where none is: these speeds mean nothing")
    decode_s = cpu_s(lambda: sum(len(batch) for batch in ten_seconds(plain)), repeats)
    found_s = cpu_s(lambda: one.detect(ten_seconds(marked)), repeats)
    nothing_s = cpu_s(lambda: one.detect(ten_seconds(plain)), repeats)
    return {
        "decode_s": decode_s,
        "marked_times_real_time": SECONDS / found_s,
        "negative_s": nothing_s,
        "negative_over_decoding": nothing_s / decode_s,
        "negative_with_10000_keys_s": cpu_s(lambda: many.detect(ten_seconds(plain)), repeats),
    }


def large() -> dict[str, Any]:
    """A tile of 2160 rows: cost, and evidence at three sizes after x264 veryfast at CRF 28."""
    clip = clips.portrait(0.2, 2160)
    started = time.process_time()
    marked = clips.collect(_embedder().embed(clip.batches(1)), clip.rate)
    embed_s = time.process_time() - started
    read: dict[str, float] = {}
    for name, (rows, filters) in READ_BACK.items():
        copy = clips.through(marked, crf=28, filters=filters, size=(rows, rows), preset="veryfast")
        detection = Detector({KEY_NAME: KEY}, sync_key=SYNC_KEY).detect(copy.batches(2))
        read[name] = detection.log_evidence if detection.payload == PAYLOAD else 0.0
    return {"embed_2160_rows_ms_per_frame": 1000 * embed_s / len(clip.y), "evidence_of_2160_rows": read}


def _x264_medium_s(clip: clips.Clip) -> float:
    encode = ["-c:v", "libx264", "-preset", "medium", "-crf", "23", "-threads", "1", "-f", "null", "-"]
    return ffmpeg([*raw_input(clip), *encode], clips.packed(clip))


def _embedder() -> Embedder:
    return Embedder(KEY, PAYLOAD, SCHEME_2, sync_key=SYNC_KEY)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the two pieces are kept")
    parser.add_argument("--skip-4k", action="store_true")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    folder = options.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {**embedding(options.repeats), **searching(folder, options.repeats)}
    figures |= {} if options.skip_4k else large()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
