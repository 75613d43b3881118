"""The watermark against the attack matrix, beside the three methods of invisible-watermark; a JSON line last.

Run: `./dev bench watermark` or `python -m tests.bench.bench_watermark [--method NAME]... [--clip NAME]... [--attack NAME]...`.
Every cell is kept under var/bench/watermark by the version of the code: a run that was stopped goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from tests.bench import watermark_clips as clips
from tests.bench.watermark.attacks import ATTACKS, REQUIRED
from tests.bench.watermark.cells import SOURCES, Matrix, Row, attacks_named
from tests.bench.watermark.methods import BASELINES, Method, Ours, error_of, matched

FOLDER = Path("var/bench/watermark")
METHODS = ("countersign", *(f"{name}{suffix}" for name in BASELINES for suffix in ("", "-matched")))


def method_of(name: str, clip: str, seconds: float) -> Method:
    """The method by its name; at matched strength its error is that of ours on the clip's first frame."""
    if name == "countersign":
        return Ours()
    baseline = BASELINES[name.removesuffix("-matched")]()
    if not name.endswith("-matched"):
        return baseline
    source: clips.Clip = SOURCES[clip](seconds)
    frame = source.cut(0, 1)
    return matched(baseline, source, error_of(frame, Ours().mark(frame)))


def show(row: Row) -> None:
    figures = (
        f"L {row['log_evidence']:6} of {row['required']:5} margin {row['margin']:6}"
        if "margin" in row
        else f"bits right {row['bits_right']:.3f}"
    )
    verdict = "WRONG" if row["wrong"] else "ok" if row["recovered"] else "FAILED"
    print(f"{row['method']:18} {row['clip']:9} {row['attack']:26} {verdict:6} {figures} {row['detect_cpu_s']:6.2f} s", flush=True)


def summary(rows: Sequence[Row], qualities: Sequence[Row]) -> dict[str, object]:
    methods = dict.fromkeys(row["method"] for row in rows)
    return {
        "methods": {
            name: {
                "recovered": sum(row["recovered"] for row in rows if row["method"] == name),
                "cells": sum(row["method"] == name for row in rows),
                "wrong": sum(row["wrong"] for row in rows if row["method"] == name),
                "failed": [
                    [row["clip"], row["attack"], row.get("margin", row.get("bits_right"))]
                    for row in rows
                    if row["method"] == name and not row["recovered"]
                ],
                "required_failed": [
                    [row["clip"], row["attack"]]
                    for row in rows
                    if row["method"] == name and row["attack"] in REQUIRED and not row["recovered"]
                ],
            }
            for name in methods
        },
        "quality": [{key: value for key, value in row.items() if key != "key"} for row in qualities],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--clip", action="append", choices=list(SOURCES))
    parser.add_argument("--method", action="append", choices=METHODS)
    parser.add_argument("--attack", action="append", choices=list(ATTACKS))
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    matrix = Matrix(options.folder, options.seconds)
    rows: list[Row] = []
    qualities: list[Row] = []
    for name in options.method or METHODS[:1]:
        for clip in options.clip or SOURCES:
            method = method_of(name, clip, options.seconds)
            qualities.append(matrix.quality(method, clip))
            print(json.dumps({k: v for k, v in qualities[-1].items() if k != "key"}), flush=True)
            for attack in attacks_named(options.attack):
                rows.append(matrix.cell(method, clip, attack))
                show(rows[-1])
    print(json.dumps(summary(rows, qualities)))


if __name__ == "__main__":
    main()
