"""Fifty clips that carry a stolen mark, for whatever judges them, with the outputs it was stolen from; a JSON file tells them.

Half take the mean change of twenty outputs of one still, half the change of one output whose still is known; each adds it to
foreign video at one to four times its strength and encodes that. `sources/` holds the outputs as released, `clips/` what a forger
publishes.

Run: `python -m tests.bench.watermark.transplants --folder F [--clips N]`.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

import torch

from tests.bench import watermark_clips as clips
from tests.bench.watermark.collusion import Change, change, outcome, outputs, shifted
from tests.bench.watermark.ffmpeg import ffmpeg, raw_input

OUTPUTS, SECONDS = 20, 3.0
FOREIGN = {"bikes": clips.bikes, "carphone": clips.carphone, "bunny": clips.bunny}


def save(clip: clips.Clip, path: Path, crf: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ffmpeg([*raw_input(clip), "-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf), str(path)], clips.packed(clip))


def forged(number: int, averaged: Change, known: Sequence[Change]) -> tuple[clips.Clip, dict[str, object], int]:
    """The n-th forgery, what it is, and its CRF."""
    draw = random.Random(number)
    one = number % 2 == 1
    victim = draw.randrange(len(known))
    name, gain, crf = draw.choice(list(FOREIGN)), draw.choice((1.0, 1.5, 2.5, 4.0)), draw.choice((18, 23, 28))
    foreign = FOREIGN[name](SECONDS)
    start = draw.randrange(len(foreign.y) // 4)
    luma, blue = known[victim] if one else averaged
    clip = shifted(foreign.cut(start, len(foreign.y)), (gain * luma, gain * blue), 1.0)
    told = {"stolen_from": f"sources/{victim:02}.mp4" if one else "sources/*.mp4", "known_still": one, "gain": gain, "crf": crf}
    return clip, {**told, "foreign": name}, crf


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=50)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    draw = random.Random(1)
    cover = clips.portrait(SECONDS)
    ids = [draw.getrandbits(64) for _ in range(OUTPUTS)]
    outs = outputs(cover, ids)
    for i, out in enumerate(outs):
        save(out, options.folder / "sources" / f"{i:02}.mp4", 18)
    averaged, known = change(outs, cover), [change([out], cover) for out in outs]
    rows = []
    for number in range(options.clips):
        clip, told, crf = forged(number, averaged, known)
        save(clip, options.folder / "clips" / f"{number:02}.mp4", crf)
        rows.append({"file": f"clips/{number:02}.mp4", **told, **outcome(clip, ids)})
        print(rows[-1], flush=True)
    whole = {"sources": {f"sources/{i:02}.mp4": f"{payload:016x}" for i, payload in enumerate(ids)}, "clips": rows}
    (options.folder / "transplants.json").write_text(json.dumps(whole, indent=1))
    print(json.dumps({"clips": len(rows), "mark_found": sum(bool(row["found"]) for row in rows), "folder": str(options.folder)}))


if __name__ == "__main__":
    main()
