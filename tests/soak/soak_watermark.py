"""Looks for our mark where it is not, for as long as it is let: no search may be accepted. A JSON line last.

Run: `./dev soak watermark [--searches N]` or `python -m tests.soak.soak_watermark`. Each search is made from its number alone and
kept under var/soak with the version of the detector: a run that was stopped goes on where it stopped. Two processes share the
work by `--share 0/2` and `--share 1/2`.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import interpolate

from provenance.watermark import SCHEME_1, SCHEME_2, Detector, Embedder, derive_key
from tests.bench import watermark_clips as clips
from tests.bench.watermark.methods import detector_version

JOURNAL = Path("var/soak/watermark.jsonl")
MASTER = b"a master secret of the soak"
SYNC_KEY = derive_key(MASTER, "sync")
ISSUED = 20_000
Make = Callable[[random.Random], clips.Clip]


def plain(draw: random.Random) -> clips.Clip:
    """A stretch of real video, cut and resized."""
    source = draw.choice((clips.portrait, clips.carphone, clips.bikes, clips.bunny))(3.0)
    start = draw.randrange(len(source.y) - 26)
    part = source.cut(start, start + 25)
    rows, columns = (2 * draw.randrange(112, min(260, side // 2) + 1) for side in part.y.shape[1:])
    top, left = (2 * draw.randrange((side - cut) // 2 + 1) for side, cut in zip(part.y.shape[1:], (rows, columns), strict=True))
    half = (slice(None), slice(top // 2, (top + rows) // 2), slice(left // 2, (left + columns) // 2))
    cut = clips.Clip(part.y[:, top : top + rows, left : left + columns], part.u[half], part.v[half], part.rate)
    return clips.resized(cut, draw.uniform(0.6, 1.6)) if draw.random() < 0.5 else cut


def other_key(draw: random.Random) -> clips.Clip:
    """Marked by a key that is not tried, with a sync key that is not ours."""
    return _marked(plain(draw), draw, derive_key(MASTER, f"foreign sync {draw.random()}"))


def same_sync(draw: random.Random) -> clips.Clip:
    """Marked on this platform by a key that is not tried: the tile's place is found, and nothing more may be."""
    return _marked(plain(draw), draw, SYNC_KEY)


def periodic(draw: random.Random) -> clips.Clip:
    """A random tile repeated at the mark's own period or near it, over real video: power on the lattice, signs by chance."""
    clip = plain(draw)
    period = draw.choice((64, 96, 128, 128, 128, 160, 192))
    generator = torch.Generator().manual_seed(draw.randrange(2**31))
    tile = interpolate(torch.randn((1, 1, period // 4, period // 4), generator=generator), scale_factor=4, mode="bicubic")[0, 0]
    rows, columns = clip.y.shape[1:]
    wall = tile.repeat(-(-rows // period), -(-columns // period))[:rows, :columns] * draw.uniform(1.0, 12.0)
    return clips.Clip((clip.y.float() + wall).round().clamp(0, 255).byte(), clip.u, clip.v, clip.rate)


def gratings(draw: random.Random) -> clips.Clip:
    """Drawn patterns: gratings of whole cycles per tile, checkers, text-like blocks, on a flat ground."""
    rows, columns = 2 * draw.randrange(128, 260), 2 * draw.randrange(128, 260)
    y, x = torch.meshgrid(torch.arange(rows).float(), torch.arange(columns).float(), indexing="ij")
    plane = torch.full((rows, columns), draw.uniform(60.0, 180.0))
    for _ in range(draw.randrange(1, 40)):
        ky, kx = draw.randrange(-15, 16), draw.randrange(-15, 16)
        plane += draw.uniform(0.5, 10.0) * torch.cos((ky * y + kx * x) * (2.0 * torch.pi / 128.0) + draw.uniform(0.0, 6.3))
    cell = draw.choice((8, 16, 32))
    plane += draw.choice((0.0, 20.0)) * (((y // cell) + (x // cell)) % 2)
    luma = plane.round().clamp(0, 255).byte()[None].repeat(12, 1, 1)
    chroma = (luma[:, ::2, ::2] // 4 + 96).contiguous()
    return clips.Clip(luma, chroma, chroma.clone(), 25.0)


KINDS: Mapping[str, Make] = {
    "plain": plain,
    "other key": other_key,
    "same sync": same_sync,
    "periodic": periodic,
    "gratings": gratings,
}


def _marked(clip: clips.Clip, draw: random.Random, sync_key: bytes) -> clips.Clip:
    key = derive_key(MASTER, f"foreign {draw.random()}")
    scheme = draw.choice((SCHEME_1, SCHEME_2, SCHEME_2))
    embedder = Embedder(key, draw.getrandbits(64), scheme, draw.uniform(0.7, 3.0), sync_key=sync_key)
    return clips.collect(embedder.embed(clip.batches()), clip.rate)


def search(number: int, detector: Detector) -> dict[str, Any]:
    """One search, made from its number alone."""
    draw = random.Random(number)
    kind = list(KINDS)[number % len(KINDS)]
    clip = KINDS[kind](draw)
    if draw.random() < 0.5:
        clip = clips.through(clip, crf=draw.choice((20, 26, 32, 38)), preset="veryfast")
    detection = detector.detect(clip.batches())
    return {
        "number": number,
        "version": detector_version(),
        "kind": kind,
        "accepted": detection.found,
        "log_evidence": round(detection.log_evidence, 2),
        "required": round(detection.required_log_evidence, 2),
        "candidates": detection.candidates,
    }


def our_detector() -> Detector:
    """As in service: the keys of a year of four studios, some outputs of scheme 1, and issued ids."""
    draw = random.Random(5)
    keys = {name: derive_key(MASTER, name) for name in (f"studio {s}/month {m}" for s in range(4) for m in range(12))}
    old = {name: derive_key(MASTER, name) for name in ("studio 0/before", "studio 1/before")}
    ids = [draw.getrandbits(64) for _ in range(ISSUED)]
    return Detector(keys, ids, sync_key=SYNC_KEY, scheme_1_keys=old)


def kept(journal: Path) -> list[dict[str, Any]]:
    """The searches made so far."""
    return [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []


def share(text: str) -> tuple[int, int]:
    """`0/2` is the even numbers, `1/2` the odd ones."""
    part, _, parts = text.partition("/")
    if not 0 <= int(part) < int(parts):
        raise argparse.ArgumentTypeError(f"{text} is no share: write 0/2 for the first of two")
    return int(part), int(parts)


def run(journal: Path, searches: int, part: tuple[int, int]) -> None:
    """Makes the searches of one share that are not yet kept."""
    made = {row["number"] for row in kept(journal)}
    detector = our_detector()
    # other processes append too: a line is one write
    with journal.open("a", buffering=1) as lines:
        for number in range(part[0], searches, part[1]):
            if number in made:
                continue
            row = search(number, detector)
            lines.write(json.dumps(row) + "\n")
            if row["accepted"]:
                print(f"ACCEPTED: {row}", flush=True)


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts over all searches kept."""
    return {
        "searches": len(rows),
        "accepted": sum(row["accepted"] for row in rows),
        "versions": Counter(row["version"] for row in rows),
        "kinds": Counter(row["kind"] for row in rows),
        "words_compared": sum(row["candidates"] for row in rows),
        "nearest_nats": max((row["log_evidence"] - row["required"] for row in rows), default=None),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--searches", type=int, default=5000)
    parser.add_argument("--share", type=share, default=(0, 1), metavar="I/N", help="the part of the work of this process")
    parser.add_argument("--journal", type=Path, default=JOURNAL)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    options.journal.parent.mkdir(parents=True, exist_ok=True)
    run(options.journal, options.searches, options.share)
    print(json.dumps(summary(kept(options.journal))))


if __name__ == "__main__":
    main()
