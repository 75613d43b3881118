"""The watermark against the attack matrix: one row per clip and attack, a JSON line last.

Run: `./dev bench watermark` or `python -m tests.bench.bench_watermark [--seconds S] [--clip NAME]...`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch

from provenance.watermark import Detection, Detector, Embedder, derive_key, margin
from tests.bench import watermark_clips as clips

KEY = derive_key(b"a master secret of the benchmark", "bench")
PAYLOAD = 0x0123456789ABCDEF
Attack = Callable[[clips.Clip], clips.Clip]

SOURCES: Mapping[str, Callable[[float], clips.Clip]] = MappingProxyType(
    {"portrait": clips.portrait, "carphone": clips.carphone, "bikes": clips.bikes, "bunny": clips.bunny}
)


def encoded(crf: int, codec: str = "libx264", preset: str = "medium") -> Attack:
    return lambda clip: clips.through(clip, crf=crf, codec=codec, preset=preset)


def resized(factor_x: float, factor_y: float, crf: int) -> Attack:
    def attack(clip: clips.Clip) -> clips.Clip:
        width, height = (2 * round(side * f / 2) for side, f in zip(clip.size, (factor_x, factor_y), strict=True))
        return clips.through(clip, crf=crf, filters=f"scale={width}:{height}", size=(width, height))

    return attack


def cropped(share: float, crf: int, *, back: bool = False) -> Attack:
    def attack(clip: clips.Clip) -> clips.Clip:
        width, height = (2 * int(side * share / 2) for side in clip.size)
        cut = f"crop={width}:{height}:22:14"
        if back:
            return clips.through(clip, crf=crf, filters=f"{cut},scale={clip.size[0]}:{clip.size[1]}")
        return clips.through(clip, crf=crf, filters=cut, size=(width, height))

    return attack


def filtered(filters: str, crf: int = 23) -> Attack:
    return lambda clip: clips.through(clip, crf=crf, filters=filters)


def social(clip: clips.Clip) -> clips.Clip:
    """Five percent cropped, brought to 480 rows, CRF 30."""
    width, height = (2 * int(side * 0.95 / 2) for side in clip.size)
    to = (2 * round(480 * width / height / 2), 480)
    return clips.through(clip, crf=30, filters=f"crop={width}:{height}:8:6,scale={to[0]}:{to[1]}", size=to)


ATTACKS: Mapping[str, Attack] = MappingProxyType(
    {
        "intact": lambda clip: clip,
        **{f"x264 CRF {crf}": encoded(crf) for crf in (18, 23, 28, 33, 38, 40)},
        "x264 CRF 38 veryfast": encoded(38, preset="veryfast"),
        "HEVC CRF 28": encoded(28, "libx265"),
        "75% + CRF 28": resized(0.75, 0.75, 28),
        "50% + CRF 28": resized(0.5, 0.5, 28),
        "aspect 1.2 + CRF 28": resized(1.2, 1.0, 28),
        "crop 90% + CRF 23": cropped(0.9, 23),
        "crop 75% + CRF 28": cropped(0.75, 28),
        "crop 50% + CRF 23": cropped(0.5, 23),
        "crop 75%, back + CRF 28": cropped(0.75, 28, back=True),
        "greyscale + CRF 28": lambda clip: clips.through(clips.grey(clip), crf=28),
        "brightness, contrast": filtered("eq=brightness=0.1:contrast=1.2"),
        "gamma 1.4": filtered("eq=gamma=1.4"),
        "hue 30 degrees": filtered("hue=h=30"),
        "blur": filtered("gblur=sigma=1.5"),
        "sharpen": filtered("unsharp=5:5:1.0"),
        "median": filtered("median=radius=1"),
        "noise": filtered("noise=alls=12:allf=t"),
        "logo bar": filtered("drawbox=x=0:y=ih*0.85:w=iw:h=ih*0.15:color=black:t=fill"),
        "social": social,
    }
)


def row(name: str, attack: str, detection: Detection, seconds: float) -> dict[str, object]:
    return {
        "clip": name,
        "attack": attack,
        "recovered": detection.payload == PAYLOAD,
        "log_evidence": round(detection.log_evidence, 1),
        "margin": round(margin(detection), 1),
        "detect_s": round(seconds, 2),
    }


def measure(name: str, clip: clips.Clip) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Figures of marking one clip, and a row per attack; the unmarked clip is the last row."""
    started = time.perf_counter()
    marked = clips.collect(Embedder(KEY, PAYLOAD).embed(clip.batches()), clip.rate)
    embed_ms = 1000.0 * (time.perf_counter() - started) / len(clip.y)
    rows = []
    for attack, apply in [*ATTACKS.items(), ("unmarked", lambda _: clip)]:
        attacked = apply(marked)
        started = time.perf_counter()
        detection = Detector({"bench": KEY}).detect(attacked.batches())
        rows.append(row(name, attack, detection, time.perf_counter() - started))
    quality = {
        "clip": name,
        "size": clip.size,
        "frames": len(clip.y),
        "embed_ms_per_frame": round(embed_ms, 2),
        "psnr_y": round(clips.psnr(clip.y, marked.y), 2),
        "psnr_cb": round(clips.psnr(clip.u, marked.u), 2),
    }
    return quality, rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--clip", action="append", choices=list(SOURCES))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    qualities, rows = [], []
    for name in options.clip or SOURCES:
        quality, measured = measure(name, SOURCES[name](options.seconds))
        qualities.append(quality)
        rows += measured
        print(quality)
        for entry in measured:
            print("{clip:10} {attack:26} {recovered!s:6} L {log_evidence:7} margin {margin:7} {detect_s} s".format(**entry))
    attacked = [entry for entry in rows if entry["attack"] != "unmarked"]
    recovered = sum(bool(entry["recovered"]) for entry in attacked)
    print(json.dumps({"recovered": recovered, "cells": len(attacked), "quality": qualities, "rows": rows}))


if __name__ == "__main__":
    main()
