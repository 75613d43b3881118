"""The matrix as a Markdown table from the rows kept so far: margins in nats for ours, yes or no for the others.

Run: `python -m tests.bench.watermark.table [--folder F]`. Of rows of several versions the last one counts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.watermark.attacks import ATTACKS
from tests.bench.watermark.cells import SOURCES

Row = Mapping[str, Any]
Cells = Mapping[tuple[str, str, str], Row]


def shown(row: Row | None) -> str:
    """One cell: the margin where the method knows one, in bold when the id was not recovered; a dash when never measured."""
    if row is None:
        return "-"
    text = f"{row['margin']:.0f}" if "margin" in row else ("yes" if row["recovered"] else "no")
    return text if row["recovered"] else f"**{text}**"


def table(rows: Iterable[Row]) -> Iterator[str]:
    """Lines of the table: attacks down, methods and clips across, and how many cells each column recovered."""
    cells: Cells = {(row["method"], row["clip"], row["attack"]): row for row in rows if "attack" in row}
    columns = [(m, c) for m in dict.fromkeys(key[0] for key in cells) for c in SOURCES if any(k[:2] == (m, c) for k in cells)]
    yield "| attack | " + " | ".join(f"{method}, {clip}" for method, clip in columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for attack in ATTACKS:
        yield f"| {attack} | " + " | ".join(shown(cells.get((*column, attack))) for column in columns) + " |"
    counts = [[row["recovered"] for key, row in cells.items() if key[:2] == column and key[2] in ATTACKS] for column in columns]
    yield "| recovered | " + " | ".join(f"{sum(count)} of {len(count)}" for count in counts) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("var/bench/watermark"))
    options = parser.parse_args(arguments)
    lines = (options.folder / "cells.jsonl").read_text().splitlines()
    print("\n".join(table(map(json.loads, lines))))


if __name__ == "__main__":
    main()
