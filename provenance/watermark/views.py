"""Pictures seen from the side, as by a camera before a screen: a projective map, found from parts of the picture.

Within a part a projective map is nearly linear, so its lattice stays sharp where that of the whole picture is smeared; the parts'
spectra are made once, and any number of maps are scored on them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .geometry import Geometry, Matrix, linear, tilted
from .lattice import LatticeSpectrum, maps_of, scales_of, score
from .residual import Window
from .spectrum import lattice_power

_MOST_TILT = 0.12
_TILTS = 9
_KEPT = 64
_STARTS, _APART = 2, 0.03
_OUTLIER = 6.0  # sigmas of the best map's power that make it worth laying the picture straight
_STEPS = (1.0, 0.5, 0.25)
_POLISH_STEPS = (0.25, 0.1)
_REACHES = (0.008, 0.008, 0.008, 0.008, 0.016, 0.016)
_PARTS = 3


class _Parts:
    """Overlapping parts of half the picture's sides, and where their centres lie, in pixels from the picture's centre."""

    def __init__(self, spectrum: LatticeSpectrum) -> None:
        window = spectrum.window
        rows, columns = (2 * (side // 4) for side in window.luma.shape)
        tops, lefts = (_starts(side, part) for side, part in zip(window.luma.shape, (rows, columns), strict=True))
        places = [(top, left) for top in tops for left in lefts]
        self._spectra = [LatticeSpectrum(_part(window, top, left, rows, columns), spectrum.scheme) for top, left in places]
        centres = [(left + columns / 2.0, top + rows / 2.0) for top, left in places]
        middle = torch.tensor([window.luma.shape[1] / 2.0, window.luma.shape[0] / 2.0], dtype=torch.float64)
        self.size = (window.luma.shape[1] * window.pixel, window.luma.shape[0] * window.pixel)
        self._centres = (torch.tensor(centres, dtype=torch.float64) - middle) * window.pixel

    def score(self, maps: Tensor, tilts: Tensor, *, exact: bool = False) -> Tensor:
        """Power on the lattice of M projective maps, float64 (M, 2, 2) and (M, 2), in sigmas: float32 (M,)."""
        slopes = tilts * 2.0 / torch.tensor(self.size, dtype=torch.float64)
        total = torch.zeros(len(maps))
        for spectrum, centre in zip(self._spectra, self._centres, strict=True):
            weight = (1.0 + slopes @ centre)[:, None, None]
            local = maps / weight - (maps @ centre)[:, :, None] * slopes[:, None, :] / weight.square()
            total += score(spectrum.combs, local, low=not exact, exact=exact).cpu()
        return total / math.sqrt(_PARTS * _PARTS)


def projective(spectrum: LatticeSpectrum) -> list[Geometry]:
    """The view whose parts show a lattice, if any do. Parts of less than 64 samples a side show none."""
    if min(spectrum.window.luma.shape) < 128:
        return []
    parts = _Parts(spectrum)
    climbed = [(start, *_climbed(parts, start, (0.0, 0.0, 0.0, 0.0, *tilt))) for start, tilt in _nearest(parts, spectrum)]
    worth = [(start, values) for start, values, height in climbed if height >= _OUTLIER]
    return [Geometry.of(_polished(spectrum, parts.size, start, values)) for start, values in worth]


def _nearest(parts: _Parts, spectrum: LatticeSpectrum) -> list[tuple[Matrix, tuple[float, float]]]:
    """The best few maps and tilts of a coarse search: flat views first, then the best of those tilted every way."""
    scales = scales_of(spectrum, 0.012)
    flat = torch.cat([maps_of(scales, np.arange(-0.2, 0.2, 0.02), [0.0]), maps_of(scales, [0.0], np.arange(-0.35, 0.35, 0.014))])
    scored = parts.score(flat, torch.zeros(len(flat), 2, dtype=torch.float64))
    kept = flat[scored.topk(min(_KEPT, len(flat))).indices]
    across = torch.linspace(-_MOST_TILT, _MOST_TILT, _TILTS, dtype=torch.float64)
    tilts = torch.cartesian_prod(across, across)
    maps = kept.repeat_interleave(len(tilts), dim=0)
    every = tilts.repeat(len(kept), 1)
    scored = parts.score(maps, every)
    found = []
    for _ in range(_STARTS):
        best = int(scored.argmax())
        found.append((maps[best].numpy(), (float(every[best, 0]), float(every[best, 1]))))
        near = (maps - maps[best]).flatten(1).norm(dim=1) < _APART * maps[best].norm()
        scored = scored.masked_fill(near, -math.inf)
    return found


def _climbed(parts: _Parts, start: Matrix, values: tuple[float, ...]) -> tuple[tuple[float, ...], float]:
    """Coordinate ascent on the parts' power: the values reached, and their score."""
    height = -math.inf
    for step in _STEPS:
        for parameter, reach in (*enumerate(_REACHES), *enumerate(_REACHES)):
            tries = [_moved(values, parameter, i * step * reach) for i in (0, -1, 1, -2, 2)]
            maps = torch.from_numpy(np.stack([_nudge(start, some) for some in tries]))
            scored = parts.score(maps, torch.tensor([some[4:] for some in tries], dtype=torch.float64), exact=True)
            values, height = tries[int(scored.argmax())], float(scored.max())
    return values, height


def _polished(spectrum: LatticeSpectrum, size: tuple[int, int], start: Matrix, values: tuple[float, ...]) -> Matrix:
    """The same ascent on the whole picture laid straight."""

    def power(some: tuple[float, ...]) -> float:
        return lattice_power(spectrum.window, spectrum.scheme, tilted(_nudge(start, some), some[4], some[5], size), 1.0)

    for step in _POLISH_STEPS:
        for parameter, reach in enumerate(_REACHES):
            values = max((_moved(values, parameter, i * step * reach) for i in (0, -1, 1)), key=power)
    return tilted(_nudge(start, values), values[4], values[5], size)


def _nudge(start: Matrix, values: Sequence[float]) -> Matrix:
    nudged: Matrix = linear(math.exp(values[0]), values[1], values[2], values[3]) @ start
    return nudged


def _moved(values: tuple[float, ...], parameter: int, amount: float) -> tuple[float, ...]:
    return (*values[:parameter], values[parameter] + amount, *values[parameter + 1 :])


def _starts(side: int, part: int) -> list[int]:
    """Where the parts begin along one side, on even samples."""
    return [2 * round(i * (side - part) / (2 * (_PARTS - 1))) for i in range(_PARTS)]


def _part(window: Window, top: int, left: int, rows: int, columns: int) -> Window:
    half = (slice(top // 2, (top + rows) // 2), slice(left // 2, (left + columns) // 2))
    return Window(
        start_s=window.start_s,
        end_s=window.end_s,
        frames=window.frames,
        luma=window.luma[top : top + rows, left : left + columns],
        chroma=window.chroma[half],
        pixel=window.pixel,
        rows=window.rows,
    )
