"""The ladder of searches for the tile's place, cheapest first. A rung proposes maps without a shift; known chips give the shift.

Mirrored and quarter-turned pictures need no rung: the lattice falls on itself, and the chips tell which way (see `search`).
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from .geometry import Geometry
from .lattice import LatticeSpectrum, Rung, maps_of, scales_of, score
from .views import projective

_MOST_TURN = math.pi / 4.0
_MOST_ASPECT = 0.385  # ln(1 / .68)
_APART = 0.02


def identity(spectrum: LatticeSpectrum) -> list[Geometry]:
    """The size the picture was made in, or cut from without resizing."""
    made = spectrum.scheme.period_for(spectrum.rows) / spectrum.scheme.period_px
    return [Geometry.of_scale(scale, scale) for scale in sorted({made, 1.0}, reverse=True)]


def uniform_scale(spectrum: LatticeSpectrum) -> list[Geometry]:
    """Both axes resized alike."""
    return _found(spectrum, maps_of(scales_of(spectrum, 0.003), [0.0], [0.0]), freedom=1, count=3)


def scale_and_aspect(spectrum: LatticeSpectrum) -> list[Geometry]:
    """Each axis resized by itself, the shape changed by up to 32 percent."""
    aspects = np.arange(-_MOST_ASPECT, _MOST_ASPECT, 0.008)
    return _found(spectrum, maps_of(scales_of(spectrum, 0.006), aspects, [0.0]), freedom=2, count=3, low=True)


def scale_and_turn(spectrum: LatticeSpectrum) -> list[Geometry]:
    """Resized, and turned by up to 45 degrees."""
    turns = np.arange(-_MOST_TURN, _MOST_TURN, 0.006)
    return _found(spectrum, maps_of(scales_of(spectrum, 0.006), [0.0], turns), freedom=4, count=3, low=True)


LADDER: tuple[Rung, ...] = (identity, uniform_scale, scale_and_aspect, scale_and_turn, projective)


def _found(spectrum: LatticeSpectrum, maps: Tensor, *, freedom: int, count: int, low: bool = False) -> list[Geometry]:
    """The best few maps that lie apart, each refined, best first."""
    scored = score(spectrum.combs, maps, low=low)
    sizes = maps.flatten(1).norm(dim=1)
    found = []
    for _ in range(count):
        best = int(scored.argmax())
        found.append(spectrum.refined(maps[best].numpy(), freedom))
        near = (maps - maps[best]).flatten(1).norm(dim=1) < _APART * sizes[best]
        scored = scored.masked_fill(near.to(scored.device), -math.inf)
    return [Geometry.of(matrix) for matrix in found]
