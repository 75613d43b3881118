"""Contact sheets: moments of the driver in one row, the same moments of the output below, cut to the face."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image

from media.tracking import FaceDetector

COLUMNS = 8
CELL_PX = 240
HEAD_ROOM = 2.4  # side of a cell in widths of the face: hair and shoulders show


def write_contact_sheet(driving: Path, output: Path, destination: Path, *, columns: int = COLUMNS) -> Path:
    """Write the driver's row over the output's row as PNG."""
    return _write([_row(driving, columns), _row(output, columns)], destination)


def write_output_row(output: Path, destination: Path, *, columns: int = COLUMNS) -> Path:
    """Write moments of the output alone as PNG."""
    return _write([_row(output, columns)], destination)


def _write(rows: list[list[Image.Image]], destination: Path) -> Path:
    sheet = Image.new("RGB", (CELL_PX * len(rows[0]), CELL_PX * len(rows)))
    for row_number, row in enumerate(rows):
        for column, cell in enumerate(row):
            sheet.paste(cell, (column * CELL_PX, row_number * CELL_PX))
    sheet.save(destination)
    return destination


def _row(path: Path, columns: int) -> list[Image.Image]:
    frames = _moments(path, columns)
    window = _window(frames)
    return [Image.fromarray(frame).crop(window).resize((CELL_PX, CELL_PX), Image.Resampling.LANCZOS) for frame in frames]


def _moments(path: Path, count: int) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        total = container.streams.video[0].frames
        wanted = {round(index * (total - 1) / (count - 1)) for index in range(count)}
        return [frame.to_ndarray(format="rgb24") for number, frame in enumerate(container.decode(video=0)) if number in wanted]


def _window(frames: list[np.ndarray]) -> tuple[int, int, int, int]:
    """One square for all moments, around the middle of the largest face; the whole frame's square when none is found."""
    height, width = frames[0].shape[:2]
    found = FaceDetector().detect(torch.from_numpy(np.stack(frames)))
    boxes = [max(faces, key=lambda face: face.box.area).box for faces in found if faces]
    side = min(height, width)
    centre_x, centre_y = width / 2, height / 2
    if boxes:
        side = min(side, round(HEAD_ROOM * float(np.median([box.x1 - box.x0 for box in boxes]))))
        centre_x = float(np.mean([(box.x0 + box.x1) / 2 for box in boxes]))
        centre_y = float(np.mean([(box.y0 + box.y1) / 2 for box in boxes]))
    left = min(max(round(centre_x - side / 2), 0), width - side)
    top = min(max(round(centre_y - side / 2), 0), height - side)
    return left, top, left + side, top + side
