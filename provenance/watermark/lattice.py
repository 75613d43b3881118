"""Power on the lattice: how well a map of the picture explains the periodic part of what was received, without any key."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from .geometry import Geometry, Matrix, linear
from .residual import Window
from .schemes import Lattice, Scheme

_CFAR_BINS = 21
_POWER_LIMIT = 6.0
_TAPER_SHARE = 0.12
_CHUNK = 4096
_LOW_SHARE = 0.62  # of the highest frequency: coarse searches look at these bins only
_STEPS = (0.004, 0.002, 0.001, 0.0004)
LEAST_SCALE, MOST_SCALE = 0.38, 2.4  # of the tile's own size
_TRIES = torch.arange(-3, 4, dtype=torch.float64)


class LatticeSpectrum:
    """Power spectra of a window's residuals, over their surroundings, to be summed at the points that a map predicts."""

    def __init__(self, window: Window, scheme: Scheme) -> None:
        self.scheme, self.window = scheme, window
        self.rows = window.rows
        self._climbed: dict[Rung, Sequence[Geometry]] = {}

    def climb(self, rung: Rung) -> Sequence[Geometry]:
        """What a rung of the ladder proposes; worked out once, for all schemes of this lattice."""
        if rung not in self._climbed:
            self._climbed[rung] = rung(self)
        return self._climbed[rung]

    @cached_property
    def combs(self) -> list[_Comb]:
        """Both planes."""
        pixel = float(self.window.pixel)
        planes = ((self.window.luma, self.scheme.luma, pixel), (self.window.chroma, self.scheme.chroma, 2.0 * pixel))
        combs = []
        for plane, lattice, size in planes:
            bins = int(2 ** math.ceil(math.log2(1.4 * max(plane.shape))))
            unit = size * bins / self.scheme.period_px  # spectrum bins from one lattice point to the next, at scale 1
            combs.append(_Comb(_normal(_power(plane, bins, int(unit * lattice.highest / LEAST_SCALE))), lattice, unit))
        return combs

    def refined(self, matrix: Matrix, freedom: int) -> Matrix:
        """The 2x2 map nearby that gathers most power; freedom: 1 scale, 2 and aspect, 3 and turn, 4 and shear."""
        best = matrix
        for step in _STEPS:
            for parameter in (*range(freedom), *range(freedom)):
                tries = torch.from_numpy(np.stack([_nudged(best, parameter, step * float(i)) for i in _TRIES]))
                best = tries[int(score(self.combs, tries, exact=True).argmax())].numpy()
        return best


Rung = Callable[[LatticeSpectrum], Sequence[Geometry]]


class _Comb:
    """One plane's normalised power and the frequencies of its lattice.

    power: rows are vertical frequencies from 0, columns horizontal ones from 0 and then the negative ones, as an FFT gives them.
    """

    def __init__(self, power: Tensor, lattice: Lattice, unit: float) -> None:
        self.device, self._unit = power.device, unit
        bins = torch.tensor(lattice.bins, dtype=torch.float32, device=power.device)
        low = bins.norm(dim=1) <= _LOW_SHARE * lattice.highest
        self._bins = {False: bins, True: bins[low]}
        # negative frequencies before positive ones, and a frame of mean power for all that lies outside: no look-up asks where
        rows, self._reach = power.shape[0], power.shape[1] // 2
        inside = torch.cat([power[:, 1 - self._reach :], power[:, : self._reach]], dim=1)
        framed = pad(inside, (2, 2, 0, 2), value=1.0)
        self._rows, self._columns, self._power = rows, framed.shape[1], framed.flatten()

    def gather(self, matrices: Tensor, *, low: bool, exact: bool) -> tuple[Tensor, int]:
        """Power at the lattice of M maps, float32 (M,), and how many points each sums; `exact` interpolates."""
        bins = self._bins[low] * self._unit
        across = bins[:, 1] * matrices[:, 0, :1] + bins[:, 0] * matrices[:, 1, :1]
        down = bins[:, 1] * matrices[:, 0, 1:] + bins[:, 0] * matrices[:, 1, 1:]
        sign = torch.where(down < 0.0, -1.0, 1.0)
        values = self._between(down * sign, across * sign) if exact else self._nearest(down * sign, across * sign)
        return values.sum(dim=1), bins.shape[0]

    def _nearest(self, down: Tensor, across: Tensor) -> Tensor:
        return self._at(self._index(down.round(), across.round()))

    def _between(self, down: Tensor, across: Tensor) -> Tensor:
        y, x = down.floor(), across.floor()
        fy, fx = down - y, across - x
        here = self._index(y, x)
        below = here + self._columns
        return (1.0 - fy) * ((1.0 - fx) * self._at(here) + fx * self._at(here + 1)) + fy * (
            (1.0 - fx) * self._at(below) + fx * self._at(below + 1)
        )

    def _index(self, y: Tensor, x: Tensor) -> Tensor:
        """Of whole frequencies y >= 0 and x, int32; what lies outside falls on the frame, its neighbours below and beside too."""
        reach = self._reach
        row, column = y.clamp_max(self._rows), x.clamp(-reach - 1, reach) + (reach + 1)
        return row.int() * self._columns + column.int()

    def _at(self, index: Tensor) -> Tensor:
        return self._power.index_select(0, index.flatten()).view(index.shape)


def score(combs: Sequence[_Comb], matrices: Tensor, *, low: bool = False, exact: bool = False) -> Tensor:
    """Excess power on the lattice of M maps, float (M, 2, 2), in standard deviations of noise: float32 (M,)."""
    device = combs[0].device
    parts = []
    for start in range(0, len(matrices), _CHUNK):
        some = matrices[start : start + _CHUNK].to(device=device, dtype=torch.float32)
        sums = [comb.gather(some, low=low, exact=exact) for comb in combs]
        count = sum(points for _, points in sums)
        parts.append((sum((values for values, _ in sums), torch.zeros((), device=device)) - count) / math.sqrt(count))
    return torch.cat(parts)


def scales_of(spectrum: LatticeSpectrum, step: float) -> Sequence[float]:
    """Geometric steps over the scales searched; larger pictures are made with larger tiles."""
    most = MOST_SCALE * max(1.0, spectrum.rows / spectrum.scheme.reference_rows)
    count = math.ceil(math.log(most / LEAST_SCALE) / step)
    return [LEAST_SCALE * math.exp(i * step) for i in range(count + 1)]


def maps_of(scales: Sequence[float], aspects: Sequence[float] | Matrix, turns: Sequence[float] | Matrix) -> Tensor:
    """All combinations as 2x2 maps: float64 (M, 2, 2)."""
    shapes = torch.from_numpy(np.stack([linear(1.0, aspect, turn, 0.0) for aspect in aspects for turn in turns]))
    return (shapes[None] / torch.tensor(scales, dtype=torch.float64)[:, None, None, None]).reshape(-1, 2, 2)


def _nudged(matrix: Matrix, parameter: int, amount: float) -> Matrix:
    changed = [0.0, 0.0, 0.0, 0.0]
    changed[parameter] = amount
    nudged: Matrix = linear(math.exp(changed[0]), changed[1], changed[2], changed[3]) @ matrix
    return nudged


def _power(plane: Tensor, size: int, reach: int) -> Tensor:
    """Rows are vertical frequencies 0..reach, columns 0..reach and -reach..-1, in steps of 1/size: all that is looked at."""
    tapered = plane * _taper(plane.shape[0], plane.device)[:, None] * _taper(plane.shape[1], plane.device)
    reach = min(reach + _CFAR_BINS, size // 2 - 1)
    across = torch.fft.fft(tapered.to(torch.complex64), n=size, dim=1)
    across = torch.cat([across[:, : reach + 1], across[:, -reach:]], dim=1)
    spectrum: Tensor = torch.fft.fft(across, n=size, dim=0)[: reach + 1]
    return spectrum.real.square() + spectrum.imag.square()


def _normal(power: Tensor) -> Tensor:
    """Power over its local mean, capped."""
    normal: Tensor = power / (_mean(power, _CFAR_BINS) + 1e-12)
    return normal.clamp_max_(_POWER_LIMIT)


def _mean(power: Tensor, width: int) -> Tensor:
    """Means over squares of `width` bins; columns wrap around, rows end."""
    reach = width // 2
    wide = avg_pool2d(pad(power[None, None], (reach, reach, 0, 0), mode="circular"), (1, width), stride=1)
    return avg_pool2d(wide, (width, 1), stride=1, padding=(reach, 0), count_include_pad=False)[0, 0]


def _taper(count: int, device: torch.device) -> Tensor:
    """Raised-cosine edges over an eighth of the side, flat between."""
    edge = max(1, round(_TAPER_SHARE * count))
    ramp = torch.minimum(torch.arange(count, device=device) + 0.5, count - 0.5 - torch.arange(count, device=device))
    return 0.5 - 0.5 * torch.cos(math.pi * (ramp / edge).clamp_max(1.0))
