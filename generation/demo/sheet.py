"""A contact sheet: moments of the driver in one row, the same moments of the output below."""

from __future__ import annotations

from pathlib import Path

import av
from PIL import Image

COLUMNS = 8
CELL_HEIGHT_PX = 220


def write_contact_sheet(driving: Path, output: Path, destination: Path, *, columns: int = COLUMNS) -> Path:
    """Write the sheet as PNG."""
    rows = [_row(driving, columns), _row(output, columns)]
    width = max(sum(cell.width for cell in row) for row in rows)
    sheet = Image.new("RGB", (width, CELL_HEIGHT_PX * len(rows)))
    for number, row in enumerate(rows):
        left = 0
        for cell in row:
            sheet.paste(cell, (left, number * CELL_HEIGHT_PX))
            left += cell.width
    sheet.save(destination)
    return destination


def write_output_row(output: Path, destination: Path, *, columns: int = 6) -> Path:
    """Write moments of the output alone as PNG."""
    cells = _row(output, columns)
    sheet = Image.new("RGB", (sum(cell.width for cell in cells), CELL_HEIGHT_PX))
    left = 0
    for cell in cells:
        sheet.paste(cell, (left, 0))
        left += cell.width
    sheet.save(destination)
    return destination


def _row(path: Path, columns: int) -> list[Image.Image]:
    with av.open(str(path)) as container:
        total = container.streams.video[0].frames
        wanted = {round(index * (total - 1) / (columns - 1)) for index in range(columns)}
        images = [
            Image.fromarray(frame.to_ndarray(format="rgb24"))
            for number, frame in enumerate(container.decode(video=0))
            if number in wanted
        ]
    return [image.resize((round(image.width * CELL_HEIGHT_PX / image.height), CELL_HEIGHT_PX)) for image in images]
