"""Who holds outputs of ours tries to take the mark off, or to put it on something else. A JSON line last.

Twenty outputs made from one still under one key, each with its own id. `averaged`: their mean change, which an owner of the still
can work out. `known cover`: the change of one output alone. Taken off: subtracted from an output. Copied: added to foreign video,
where a mark that is found is for the fingerprint to contradict. Pasted back: who has the still puts it in place of all that does
not move, and what is left of the mark lies on the head. A keyed warp of the ground would not help where the ground is replaced.

Run: `python -m tests.bench.watermark.collusion`.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence

import torch
from torch import Tensor

from provenance.watermark import SCHEME_2, Detector, Embedder, derive_key
from tests.bench import watermark_clips as clips
from tests.bench.watermark.methods import KEY_NAME, MASTER, SYNC_NAME

KEY, SYNC_KEY = derive_key(MASTER, KEY_NAME), derive_key(MASTER, SYNC_NAME)
Change = tuple[Tensor, Tensor]


def outputs(still: clips.Clip, ids: Sequence[int]) -> list[clips.Clip]:
    """The clip marked with each id."""
    return [clips.collect(Embedder(KEY, i, SCHEME_2, sync_key=SYNC_KEY).embed(still.batches()), still.rate) for i in ids]


def change(outs: Sequence[clips.Clip], cover: clips.Clip) -> Change:
    """Mean change of luma and blue difference over outputs and frames: float32 (H, W) and (H/2, W/2)."""
    luma = torch.stack([(out.y.float() - cover.y).mean(dim=0) for out in outs]).mean(dim=0)
    return luma, torch.stack([(out.u.float() - cover.u).mean(dim=0) for out in outs]).mean(dim=0)


def shifted(clip: clips.Clip, step: Change, sign: float) -> clips.Clip:
    """The clip with a change added, repeated or cut to its size where that differs."""
    planes = []
    for plane, part in ((clip.y, step[0]), (clip.u, step[1])):
        rows, columns = plane.shape[1:]
        whole = part.repeat(-(-rows // part.shape[0]), -(-columns // part.shape[1]))[:rows, :columns]
        planes.append((plane.float() + sign * whole).round().clamp(0, 255).byte())
    return clips.Clip(planes[0], planes[1], clip.v, clip.rate)


def pasted_back(out: clips.Clip, cover: clips.Clip, known: Tensor) -> clips.Clip:
    """The output with the cover put back wherever `known`, bool (H, W), says so."""
    half = known[::2, ::2]
    planes = (torch.where(part, before, after) for part, before, after in ((known, cover.y, out.y), (half, cover.u, out.u)))
    return clips.Clip(*planes, out.v, out.rate)


def still_parts(cover: clips.Clip) -> Tensor:
    """Where nothing moves, so that the still alone is cover enough: bool (H, W)."""
    return (cover.y.amax(dim=0).int() - cover.y.amin(dim=0).int()) <= 1


def outcome(clip: clips.Clip, ids: Sequence[int]) -> dict[str, object]:
    """What is found after x264 at CRF 23."""
    draw = random.Random(3)
    detector = Detector({KEY_NAME: KEY}, [*ids, *(draw.getrandbits(64) for _ in range(10_000))], sync_key=SYNC_KEY)
    detection = detector.detect(clips.through(clip, crf=23).batches())
    return {
        "found": detection.found,
        "id": detection.payload in ids,
        "log_evidence": round(detection.log_evidence, 1),
        "required": round(detection.required_log_evidence, 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outputs", type=int, default=20)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    draw = random.Random(1)
    cover, foreign = clips.portrait(2.0), clips.bikes(2.0)
    ids = [draw.getrandbits(64) for _ in range(options.outputs)]
    outs = outputs(cover, ids)
    averaged, known = change(outs, cover), change(outs[:1], cover)
    others = change(outs[1:], cover)
    results = {
        "intact": outcome(outs[0], ids),
        "averaged, taken off": outcome(shifted(outs[0], others, -1.0), ids),
        "known cover, taken off": outcome(shifted(outs[0], known, -1.0), ids),
        "known cover of another output, taken off": outcome(shifted(outs[0], change(outs[1:2], cover), -1.0), ids),
        "still pasted back where nothing moves": outcome(pasted_back(outs[0], cover, still_parts(cover)), ids),
        "averaged, copied": outcome(shifted(foreign, averaged, 1.0), ids),
        "averaged, copied four times as strong": outcome(shifted(foreign, averaged, 4.0), ids),
        "known cover, copied": outcome(shifted(foreign, known, 1.0), ids),
    }
    for name, result in results.items():
        print(f"{name:42} {result}", flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
