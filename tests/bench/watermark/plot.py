"""Recovery over strength of attack as a plain SVG: one panel a family of attacks, one line a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.bench.watermark.attacks import ATTACKS, Attack

WIDTH, HEIGHT, GAP, COLUMNS = 250, 150, 50, 3
FAMILIES = {
    "x264 medium": "x264 medium, CRF",
    "x264 veryfast": "x264 veryfast, CRF",
    "crop": "part kept by a crop",
    "crop and back": "part kept, then enlarged",
    "left small": "size left",
    "rotation": "degrees turned",
}
COLOURS = ("#1f4e9c", "#c0392b", "#e08e79", "#2e8b57", "#9acd9a", "#8e6bbf", "#c9b6e4")
Cells = Mapping[tuple[str, str, str], Mapping[str, Any]]


def picture(cells: Cells) -> str:
    """The whole drawing."""
    methods = list(dict.fromkeys(key[0] for key in cells))
    rows = -(-len(FAMILIES) // COLUMNS)
    width, height = COLUMNS * (WIDTH + GAP) + GAP, rows * (HEIGHT + GAP + 20) + 30 + 18 * len(methods)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for i, family in enumerate(FAMILIES):
        left, top = GAP + (i % COLUMNS) * (WIDTH + GAP), 30 + (i // COLUMNS) * (HEIGHT + GAP + 20)
        lines += [f'<g transform="translate({left},{top})">', *_panel(cells, methods, family), "</g>"]
    for i, method in enumerate(methods):
        y = height - 18 * (len(methods) - i) + 4
        lines.append(f'<line x1="{GAP}" x2="{GAP + 24}" y1="{y}" y2="{y}" stroke="{COLOURS[i]}" stroke-width="2.5"/>')
        lines.append(f'<text x="{GAP + 32}" y="{y + 4}">{method}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _panel(cells: Cells, methods: Sequence[str], family: str) -> Iterator[str]:
    attacks = sorted((attack for attack in ATTACKS.values() if attack.family == family), key=lambda attack: attack.level)
    places = [WIDTH * (0.5 if len(attacks) < 2 else i / (len(attacks) - 1)) for i in range(len(attacks))]
    yield f'<text x="0" y="-8" font-weight="bold">{FAMILIES[family]}</text>'
    for share in (0.0, 0.5, 1.0):
        y = HEIGHT * (1.0 - share)
        yield f'<line x1="0" x2="{WIDTH}" y1="{y}" y2="{y}" stroke="#dddddd"/><text x="-32" y="{y + 4}">{share:.0%}</text>'
    for attack, x in zip(attacks, places, strict=True):
        yield f'<text x="{x:.1f}" y="{HEIGHT + 16}" text-anchor="middle">{attack.level:g}</text>'
    for i, method in enumerate(methods):
        points = [
            (x, share) for attack, x in zip(attacks, places, strict=True) if (share := _share(cells, method, attack)) is not None
        ]
        path = " ".join(f"{x:.1f},{HEIGHT * (1.0 - share):.1f}" for x, share in points)
        yield f'<polyline points="{path}" fill="none" stroke="{COLOURS[i]}" stroke-width="2.5" stroke-opacity="0.8"/>'


def _share(cells: Cells, method: str, attack: Attack) -> float | None:
    rows = [row["recovered"] for key, row in cells.items() if (key[0], key[2]) == (method, attack.name)]
    return sum(rows) / len(rows) if rows else None
