"""Which seconds are whose: random splices of two marked outputs and unmarked video, re-encoded. A JSON line last.

Each piece shows another scene than the one before. Where it does not, as between two outputs of one still, a hard encoder keeps
what it has: the ground that does not change goes on carrying the first mark, and is rightly found to.

Run: `python -m tests.bench.watermark.splices [--splices N]`.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from functools import lru_cache, reduce

import torch

from provenance.watermark import SCHEME_2, Detection, Detector, Embedder, derive_key
from tests.bench import watermark_clips as clips
from tests.bench.watermark.methods import KEY_NAME, MASTER, SYNC_NAME

KEY, SYNC_KEY = derive_key(MASTER, KEY_NAME), derive_key(MASTER, SYNC_NAME)
SOURCES = {"portrait": clips.portrait, "carphone": clips.carphone, "bikes": clips.bikes}
ROWS, COLUMNS = 272, 512
OWNERS = (None, 0x1111_2222_3333_4444, 0xAAAA_BBBB_CCCC_DDDD)
SECONDS, RATE = 12, 25


@lru_cache(maxsize=16)
def material(source: str, owner: int | None) -> clips.Clip:
    """Four seconds of one output, its top left part."""
    clip = SOURCES[source](4.0)
    if owner is not None:
        clip = clips.collect(Embedder(KEY, owner, SCHEME_2, sync_key=SYNC_KEY).embed(clip.batches()), clip.rate)
    half = (slice(None), slice(ROWS // 2), slice(COLUMNS // 2))
    return clips.Clip(clip.y[:, :ROWS, :COLUMNS], clip.u[half], clip.v[half], RATE)


def splice(number: int) -> tuple[clips.Clip, list[int | None]]:
    """A clip of twelve seconds in pieces of one to four, and who owns each second."""
    draw = random.Random(number)
    pieces: list[clips.Clip] = []
    owners: list[int | None] = []
    source = ""
    while len(owners) < SECONDS:
        length = min(draw.randint(1, 4), SECONDS - len(owners))
        owner = draw.choice(OWNERS)
        source = draw.choice([name for name in SOURCES if name != source])
        start = draw.randint(0, 4 - length)
        pieces.append(material(source, owner).cut(start * RATE, (start + length) * RATE))
        owners += [owner] * length
    return clips.through(reduce(clips.Clip.then, pieces), crf=draw.choice((23, 28)), preset="veryfast"), owners


def assigned(detection: Detection) -> list[int | None]:
    """The owner of each second by the detection: the mark whose segments hold its middle."""
    return [
        next((mark.payload for mark in detection.marks if any(a <= t + 0.5 < b for a, b in mark.segments)), None)
        for t in range(SECONDS)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splices", type=int, default=50)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    detector = Detector({KEY_NAME: KEY}, sync_key=SYNC_KEY)
    right = 0
    for number in range(options.splices):
        clip, owners = splice(number)
        found = assigned(detector.detect(clip.batches()))
        good = sum(a == b for a, b in zip(found, owners, strict=True))
        right += good
        print(number, good, "of", SECONDS, flush=True)
    total = options.splices * SECONDS
    print(json.dumps({"splices": options.splices, "seconds": total, "right": right, "share": round(right / max(total, 1), 4)}))


if __name__ == "__main__":
    main()
