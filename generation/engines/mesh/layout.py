"""Where the coarse shapes behind a person come from: patches laid one by one, the continuation of edges first.

Criminisi, Perez and Toyama, Region Filling and Object Removal by Exemplar-Based Image Inpainting, 2004, section 3; with a
price on taking the same place again, which keeps grass from becoming wallpaper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

REACH = 4  # patches of 9 x 9
SIDE = 2 * REACH + 1
NEAR = 0.02  # cost of a patch from the other end of the picture, as a mean square difference
AGAIN = 0.35  # times dearer with every time it has been laid
NOISE = 0.0003  # mean square difference that is not seen
GUESS = 0.15  # weight of what a smooth fill expects of the unknown: no statue on a bare wall
FLAT = 0.02  # of an edge's contrast: what is less has no direction
LEAST_PLACES = 30  # to take patches from

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(slots=True)
class _Canvas:
    """The picture as it fills. All arrays have a margin of REACH on each side."""

    colours: Floats  # (H, W, 3)
    known: Flags  # (H, W)
    wanted: Flags  # (H, W) still to be filled
    trust: Floats  # (H, W) 1 where the picture was known, less with every patch laid
    taken: NDArray[np.int64]  # (2, H, W) row and column each filled place was taken from


@dataclass(frozen=True, slots=True)
class _Places:
    """Whole patches of the known picture."""

    rows: NDArray[np.int64]  # (M,)
    columns: NDArray[np.int64]
    patches: Tensor  # (M, SIDE * SIDE * 3)
    squares: Tensor  # the same squared


def lay_out(image: Tensor, hidden: Tensor, wanted: Tensor) -> Tensor | None:
    """Offsets (2, h, w), down and right, from each wanted place to where it is taken from, zero elsewhere.

    image: (3, h, w) in 0..1; hidden, wanted: bool (h, w). None when too little of the picture is known.
    """
    canvas = _canvas(image, hidden, wanted & hidden)
    places = _places(canvas)
    if len(places.rows) < LEAST_PLACES:
        return None
    used = np.zeros(canvas.known.shape, np.float32)
    while canvas.wanted.any():
        row, column = _most_urgent(canvas)
        _lay(canvas, row, column, _best_place(canvas, places, used, row, column), used)
    offsets = np.where(canvas.taken >= 0, canvas.taken - np.indices(used.shape), 0)[:, REACH:-REACH, REACH:-REACH]
    return torch.from_numpy(offsets.astype(np.float32))


def _canvas(image: Tensor, hidden: Tensor, wanted: Tensor) -> _Canvas:
    known, some = (np.pad(mask.numpy(), REACH) for mask in (~hidden, wanted))
    colours = np.pad(image.permute(1, 2, 0).numpy(), ((REACH, REACH), (REACH, REACH), (0, 0))).astype(np.float32)
    return _Canvas(colours, known, some, known.astype(np.float32), np.full((2, *known.shape), -1))


def _places(canvas: _Canvas) -> _Places:
    whole = ndimage.binary_erosion(canvas.known, np.ones((SIDE, SIDE)))
    rows, columns = whole.nonzero()
    windows = np.lib.stride_tricks.sliding_window_view(canvas.colours, (SIDE, SIDE), (0, 1))  # (h, w, 3, SIDE, SIDE)
    patches = windows[rows - REACH, columns - REACH].transpose(0, 2, 3, 1).reshape(len(rows), 3 * SIDE * SIDE)
    held = torch.from_numpy(np.ascontiguousarray(patches))
    return _Places(rows, columns, held, held.square())


def _most_urgent(canvas: _Canvas) -> tuple[int, int]:
    """The place of the front where most is known around and an edge runs into the unknown."""
    known = canvas.known.astype(np.float32)
    front = canvas.wanted & ndimage.binary_dilation(canvas.known)
    if not front.any():
        front = canvas.wanted  # an island: nothing leads there
    trust = ndimage.uniform_filter(canvas.trust, SIDE)
    grey = canvas.colours.mean(2)
    inner = ndimage.binary_erosion(canvas.known)
    down, right = (np.where(inner, slope, 0) for slope in np.gradient(grey))
    strength = np.hypot(down, right)
    out_down, out_right = np.gradient(ndimage.uniform_filter(known, 5))
    rows, columns = front.nonzero()
    steepest = _steepest(strength, rows, columns)
    level = np.hypot(out_down[rows, columns], out_right[rows, columns]) + 1e-6
    along = np.abs(right.flat[steepest] * out_down[rows, columns] - down.flat[steepest] * out_right[rows, columns]) / level
    best = int((trust[rows, columns] * (along + FLAT)).argmax())
    return int(rows[best]), int(columns[best])


def _steepest(strength: Floats, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Flat index of the strongest edge near each place."""
    near = np.arange(-REACH // 2, REACH // 2 + 1)
    around = (rows[:, None, None] + near[:, None]) * strength.shape[1] + columns[:, None, None] + near
    around = around.reshape(len(rows), -1)
    best = strength.flat[around].argmax(1)
    return np.take_along_axis(around, best[:, None], 1)[:, 0]


def _best_place(canvas: _Canvas, places: _Places, used: Floats, row: int, column: int) -> tuple[int, int]:
    """The known patch that agrees best with what is known around a place."""
    box = slice(row - REACH, row + REACH + 1), slice(column - REACH, column + REACH + 1)
    share = np.where(canvas.known[box], 1, np.where(canvas.wanted[box], GUESS, 0))
    weight = np.repeat(share.reshape(-1), 3).astype(np.float32)
    seen = canvas.colours[box].reshape(-1)
    across = places.squares @ torch.from_numpy(weight) - 2 * (places.patches @ torch.from_numpy(seen * weight))
    apart = (across.numpy() + (seen**2 * weight).sum()) / weight.sum()
    far = ((places.rows - row) ** 2 + (places.columns - column) ** 2) / (used.shape[0] * used.shape[1])
    best = int(((apart + NOISE + NEAR * far) * (1 + AGAIN * used[places.rows, places.columns])).argmin())
    return int(places.rows[best]), int(places.columns[best])


def _lay(canvas: _Canvas, row: int, column: int, place: tuple[int, int], used: Floats) -> None:
    """Fill the unknown part of the patch around (row, column) with that around `place`."""
    box = slice(row - REACH, row + REACH + 1), slice(column - REACH, column + REACH + 1)
    new = canvas.wanted[box]
    trust = float(canvas.trust[box].mean())
    rows, columns = (start + np.arange(-REACH, REACH + 1) for start in place)
    canvas.colours[box][new] = canvas.colours[rows[:, None], columns][new]
    canvas.taken[0][box][new] = np.broadcast_to(rows[:, None], new.shape)[new]
    canvas.taken[1][box][new] = np.broadcast_to(columns, new.shape)[new]
    canvas.trust[box][new] = max(trust, 1e-4)
    canvas.known[box] |= new
    canvas.wanted[box] &= False
    used[place[0] - REACH : place[0] + REACH + 1, place[1] - REACH : place[1] + REACH + 1] += 1
