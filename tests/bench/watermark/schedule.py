"""What a mark that changes with time would cost, at the least. A JSON line last.

A keyed schedule would turn the payload part of the tile every few seconds. Here it turns once, in the middle of a clip, and is
read by somebody who knows where the tile lies, when it turns and what into: no real reader can do better. Beside it the mark that
does not change, read as knowingly. Evidence in nats of both, and what each costs in bit rate.

Run: `python -m tests.bench.watermark.schedule [--clip NAME]...`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from functools import reduce
from pathlib import Path

import numpy as np
import torch

from media.video import read_planes
from provenance.watermark import SCHEME_2, Embedder, Geometry, derive_key
from provenance.watermark.codec import codewords
from provenance.watermark.keys import KeyedScheme
from provenance.watermark.residual import Window, windows
from provenance.watermark.search import pose_at
from provenance.watermark.statistic import log_evidence
from tests.bench import watermark_clips as clips
from tests.bench.watermark.attacks import ATTACKS
from tests.bench.watermark.cells import SOURCES
from tests.bench.watermark.ffmpeg import save_lossless
from tests.bench.watermark.methods import KEY_NAME, MASTER, SYNC_NAME
from tests.bench.watermark.quality import bit_rate_cost

KEY, SYNC_KEY = derive_key(MASTER, KEY_NAME), derive_key(MASTER, SYNC_NAME)
STEADY, TURNED = (0x1111_2222_3333_4444,) * 2, (0x1111_2222_3333_4444, 0xAAAA_BBBB_CCCC_DDDD)
READ_AFTER = ("x264 medium CRF 23", "x264 medium CRF 33", "x264 medium CRF 40", "x264 veryfast CRF 38", "HEVC CRF 34")
SECONDS = 4.0


def marked(clip: clips.Clip, words: tuple[int, int]) -> clips.Clip:
    """The clip, its halves marked with one payload each."""
    half = len(clip.y) // 2
    halves = (clip.cut(0, half), clip.cut(half, len(clip.y)))
    first, second = (
        clips.collect(Embedder(KEY, word, SCHEME_2, sync_key=SYNC_KEY).embed(part.batches()), clip.rate)
        for part, word in zip(halves, words, strict=True)
    )
    return first.then(second)


def evidence(path: Path, words: tuple[int, int]) -> float:
    """L of both halves together, each read for its own word."""
    seconds = list(windows(read_planes(path), window_s=SECONDS / 2.0, looks_per_s=6.25))
    parts = [seconds[:1], seconds[1:]] if words[0] != words[1] else [seconds]
    keyed = KeyedScheme.of(KEY_NAME, KEY, SCHEME_2, SYNC_KEY)
    values, agreement = [], 0.0
    for part, word in zip(parts, words, strict=False):
        pose = pose_at(reduce(Window.plus, part), SCHEME_2, keyed, Geometry.of_scale(1.0, 1.0))
        values += [pose.luma, pose.chroma]
        agreement += float(pose.soft @ codewords([word])[0])
    return round(log_evidence(np.concatenate(values), agreement), 1)


def measure(name: str) -> dict[str, dict[str, float]]:
    """One clip, both ways."""
    clip = SOURCES[name](SECONDS)
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        plain, whole, attacked = (Path(folder) / f"{part}.mp4" for part in ("plain", "marked", "attacked"))
        save_lossless(clip, plain)
        for label, words in (("steady", STEADY), ("turned", TURNED)):
            save_lossless(marked(clip, words), whole)
            results[label] = {"bit_rate_cost_percent": bit_rate_cost(plain, whole)["bit_rate_cost_percent"]}
            for attack in READ_AFTER:
                ATTACKS[attack].run(whole, plain, attacked)
                results[label][attack] = evidence(attacked, words)
            print(f"{name:9} {label:7} {results[label]}", flush=True)
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", action="append", choices=list(SOURCES))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(json.dumps({name: measure(name) for name in options.clip or ("portrait", "carphone", "bikes")}))


if __name__ == "__main__":
    main()
