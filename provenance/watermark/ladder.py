"""The ladder of searches for the tile's place, cheapest first. A rung proposes maps without a shift; known chips give the shift.

Mirrored and quarter-turned pictures need no rung: the lattice falls on itself, and the chips tell which way (see `search`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from .geometry import Geometry, Matrix, linear, tilted
from .lattice import LEAST_SCALE, LatticeSpectrum, score
from .spectrum import lattice_power

_MOST_SCALE = 2.4
_MOST_TURN = math.pi / 4.0
_MOST_ASPECT = 0.385  # ln(1 / .68)
_MOST_TILT = 0.09
_APART = 0.02
_OUTLIER = 5.5  # robust deviations of a blurred score that make a projective search worth its time
_STAGES = ((1.0, 0.55), (0.5, 0.75), (0.25, 1.0), (0.12, 1.0))  # step, and share of the bins looked at
_REACHES = (0.008, 0.008, 0.008, 0.008, 0.015, 0.015)


def identity(spectrum: LatticeSpectrum) -> list[Geometry]:
    """The size the picture was made in, or cut from without resizing."""
    made = spectrum.scheme.period_for(spectrum.rows) / spectrum.scheme.period_px
    return [Geometry.of_scale(scale, scale) for scale in sorted({made, 1.0}, reverse=True)]


def uniform_scale(spectrum: LatticeSpectrum) -> list[Geometry]:
    """Both axes resized alike."""
    return _found(spectrum, _maps(_scales(spectrum, 0.003), [0.0], [0.0]), freedom=1, count=3)


def scale_and_aspect(spectrum: LatticeSpectrum) -> list[Geometry]:
    """Each axis resized by itself, the shape changed by up to 32 percent."""
    aspects = np.arange(-_MOST_ASPECT, _MOST_ASPECT, 0.008)
    return _found(spectrum, _maps(_scales(spectrum, 0.006), aspects, [0.0]), freedom=2, count=3, low=True)


def scale_and_turn(spectrum: LatticeSpectrum) -> list[Geometry]:
    """Resized, and turned by up to 45 degrees."""
    turns = np.arange(-_MOST_TURN, _MOST_TURN, 0.006)
    return _found(spectrum, _maps(_scales(spectrum, 0.006), [0.0], turns), freedom=4, count=3, low=True)


def projective(spectrum: LatticeSpectrum) -> list[Geometry]:
    """Seen from the side, as by a camera before a screen: only where the blurred spectrum shows a lattice at all."""
    scales = _scales(spectrum, 0.012)
    maps = torch.cat(
        [
            _maps(scales, np.arange(-0.2, 0.2, 0.02), [0.0]),
            _maps(scales, [0.0], np.arange(-0.35, 0.35, 0.012)),
        ]
    )
    scored = score(spectrum.blurred, maps)
    middle = scored.median()
    spread = 1.4826 * (scored - middle).abs().median() + 1e-9
    best = int(scored.argmax())
    if float((scored[best] - middle) / spread) < _OUTLIER:
        return []
    return [_ascended(spectrum, maps[best].numpy())]


Rung = Callable[[LatticeSpectrum], Sequence[Geometry]]
LADDER: tuple[Rung, ...] = (identity, uniform_scale, scale_and_aspect, scale_and_turn, projective)


def _scales(spectrum: LatticeSpectrum, step: float) -> Sequence[float]:
    """Geometric steps over the scales searched; larger pictures are made with larger tiles."""
    most = _MOST_SCALE * max(1.0, spectrum.rows / spectrum.scheme.reference_rows)
    count = math.ceil(math.log(most / LEAST_SCALE) / step)
    return [LEAST_SCALE * math.exp(i * step) for i in range(count + 1)]


def _maps(scales: Sequence[float], aspects: Sequence[float] | Matrix, turns: Sequence[float] | Matrix) -> Tensor:
    """All combinations as 2x2 maps: float64 (M, 2, 2)."""
    shapes = torch.from_numpy(np.stack([linear(1.0, aspect, turn, 0.0) for aspect in aspects for turn in turns]))
    return (shapes[None] / torch.tensor(scales, dtype=torch.float64)[:, None, None, None]).reshape(-1, 2, 2)


def _found(spectrum: LatticeSpectrum, maps: Tensor, *, freedom: int, count: int, low: bool = False) -> list[Geometry]:
    """The best few maps that lie apart, each refined, best first."""
    scored = score(spectrum.sharp, maps, low=low)
    sizes = maps.flatten(1).norm(dim=1)
    found = []
    for _ in range(count):
        best = int(scored.argmax())
        found.append(spectrum.refined(maps[best].numpy(), freedom))
        near = (maps - maps[best]).flatten(1).norm(dim=1) < _APART * sizes[best]
        scored = scored.masked_fill(near.to(scored.device), -math.inf)
    return [Geometry.of(matrix) for matrix in found]


def _ascended(spectrum: LatticeSpectrum, matrix: Matrix) -> Geometry:
    """A projective map by coordinate ascent on the power of the lattice, from low bins to all of them."""
    window = spectrum.window
    size = (window.luma.shape[1] * window.pixel, window.luma.shape[0] * window.pixel)

    def view(values: Sequence[float]) -> Matrix:
        nudge = linear(math.exp(values[0]), values[1], values[2], values[3])
        return tilted(nudge @ matrix, values[4], values[5], size)

    def power(values: Sequence[float], share: float) -> float:
        return lattice_power(window, spectrum.scheme, view(values), share)

    tilts = np.arange(-_MOST_TILT, _MOST_TILT + 1e-9, _MOST_TILT / 3.0)
    starts: list[tuple[float, ...]] = [(0.0, 0.0, 0.0, 0.0, float(x), float(y)) for x in tilts for y in tilts]
    best = max(starts, key=lambda values: power(values, _STAGES[0][1]))
    for step, share in _STAGES:
        for parameter, reach in (*enumerate(_REACHES), *enumerate(_REACHES)):
            moved = [_moved(best, parameter, i * step * reach) for i in (0, -1, 1, -2, 2)]
            best = max(moved, key=lambda values: power(values, share))
    return Geometry.of(view(best))


def _moved(values: tuple[float, ...], parameter: int, amount: float) -> tuple[float, ...]:
    return (*values[:parameter], values[parameter] + amount, *values[parameter + 1 :])
