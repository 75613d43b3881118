"""The matrix as a Markdown table and as a picture, from the rows kept so far. Of rows of several versions the last one counts.

Ours by its margin in nats on each clip, in bold when the id was not recovered; other methods by the clips they were recovered on.

Run: `python -m tests.bench.watermark.table [--folder F] [--page docs/watermark-benchmarks.md]`. With a page, the part of it
between the marks is written anew, and the picture beside it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.watermark import plot
from tests.bench.watermark.attacks import ATTACKS
from tests.bench.watermark.cells import SOURCES

Row = Mapping[str, Any]
Cells = Mapping[tuple[str, str, str], Row]
OURS = "countersign"
START, END = "<!-- written by tests.bench.watermark.table -->", "<!-- end of what is written -->"
QUALITY = {
    "psnr_y": "PSNR-Y, dB",
    "ssim_y": "SSIM-Y",
    "vmaf": "VMAF",
    "bit_rate_cost_percent": "bit rate at CRF 23, %",
    "embed_over_x264": "embedding over x264",
}


def shown(row: Row | None) -> str:
    """One cell of ours: the margin; a dash when never measured."""
    if row is None:
        return "-"
    return f"{row['margin']:.0f}" if row["recovered"] else f"**{row['margin']:.0f}**"


def counted(rows: Sequence[Row]) -> str:
    """One cell of another method: on how many of the clips measured it was recovered."""
    return f"{sum(row['recovered'] for row in rows)}/{len(rows)}" if rows else "-"


def cells_of(rows: Iterable[Row]) -> Cells:
    """The last row of each method, clip and attack that is still part of the matrix."""
    return {(row["method"], row["clip"], row["attack"]): row for row in rows if row.get("attack") in ATTACKS}


def table(cells: Cells) -> Iterator[str]:
    """Lines of the table: attacks down; our clips, then other methods across."""
    others = [method for method in dict.fromkeys(key[0] for key in cells) if method != OURS]
    yield "| attack | " + " | ".join([*(f"ours, {clip}" for clip in SOURCES), *others]) + " |"
    yield "|---" + "|---:" * (len(SOURCES) + len(others)) + "|"
    for attack in ATTACKS:
        ours = [shown(cells.get((OURS, clip, attack))) for clip in SOURCES]
        rest = [counted([row for key, row in cells.items() if (key[0], key[2]) == (method, attack)]) for method in others]
        yield f"| {attack} | " + " | ".join([*ours, *rest]) + " |"
    totals = [[row for key, row in cells.items() if key[:2] == (OURS, clip)] for clip in SOURCES]
    totals += [[row for key, row in cells.items() if key[0] == method] for method in others]
    yield "| **recovered** | " + " | ".join(map(counted, totals)) + " |"


def costs(rows: Iterable[Row]) -> Iterator[str]:
    """Lines of the table of what marking costs."""
    last = {(row["method"], row["clip"]): row for row in rows if "psnr_y" in row}
    yield "| method | clip | " + " | ".join(QUALITY.values()) + " |"
    yield "|---|---" + "|---:" * len(QUALITY) + "|"
    for (method, clip), row in last.items():
        yield f"| {method} | {clip} | " + " | ".join(str(row.get(name, "-")) for name in QUALITY) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("var/bench/watermark"))
    parser.add_argument("--page", type=Path)
    options = parser.parse_args(arguments)
    rows = [json.loads(line) for line in (options.folder / "cells.jsonl").read_text().splitlines()]
    cells = cells_of(rows)
    text = "\n".join([*table(cells), "", *costs(rows)])
    if options.page is None:
        print(text)
        return
    picture = options.page.with_suffix(".svg")
    picture.write_text(plot.picture(cells))
    before, _, rest = options.page.read_text().partition(START)
    whole = (
        f"{before}{START}\n\n![Share of clips recovered, by attack]({picture.name})\n\n{text}\n\n{END}{rest.partition(END)[2]}"
    )
    options.page.write_text(whole)


if __name__ == "__main__":
    main()
