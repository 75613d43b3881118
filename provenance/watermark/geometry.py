"""Where the tile lies in a received picture: a ladder of searches, cheapest first.

Each rung proposes geometries without a shift; the known chips then give the shift. Rotation, mirroring and perspective are
further rungs: a rung is a function from a lattice spectrum to geometries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from .carrier import pixel_centres, waves
from .residual import Window
from .schemes import Lattice, Scheme

SCALE_RANGE = (0.4, 2.4)
_SCALE_STEP = 0.003
_ASPECT_STEP = 0.006
_ASPECT_RANGE = 0.32
_FINE_STEP, _FINE_REACH = 0.0012, 6
_APART = 0.012
_CFAR_BINS = 21
_POWER_LIMIT = 6.0
_TAPER_SHARE = 0.12
_CHUNK = 8192


@dataclass(frozen=True)
class Geometry:
    """Maps received luma pixels to the tile: the period there over the scheme's, and a shift in tile pixels per axis."""

    scale_x: float
    scale_y: float
    shift_x: float = 0.0
    shift_y: float = 0.0

    def shifted(self, shift_x: float, shift_y: float) -> Geometry:
        """The same scale with another shift."""
        return replace(self, shift_x=shift_x, shift_y=shift_y)


class LatticeSpectrum:
    """Power spectra of a window's residuals, over their surroundings, to be summed at the points a geometry predicts."""

    def __init__(self, window: Window, scheme: Scheme) -> None:
        self.scheme, self.rows = scheme, window.rows
        pixel = float(window.pixel)
        self._probes = (
            _Probe(window.luma, scheme.luma, pixel, scheme.period_px),
            _Probe(window.chroma, scheme.chroma, 2.0 * pixel, scheme.period_px),
        )
        self._planes = [
            (_normal_power(window.luma), _points(scheme.luma, window.luma, pixel / scheme.period_px)),
            (_normal_power(window.chroma), _points(scheme.chroma, window.chroma, 2.0 * pixel / scheme.period_px)),
        ]

    def score(self, scale_x: Tensor, scale_y: Tensor) -> Tensor:
        """Excess power on the lattice for M pairs of scales, in standard deviations of noise: float32 (M,)."""
        starts = range(0, len(scale_x), _CHUNK)
        return torch.cat([self._score_chunk(scale_x[i : i + _CHUNK], scale_y[i : i + _CHUNK]) for i in starts])

    def _score_chunk(self, scale_x: Tensor, scale_y: Tensor) -> Tensor:
        total = torch.zeros(len(scale_x), device=scale_x.device)
        count = 0
        for power, (down, across) in self._planes:
            rows, columns = power.shape
            y = (down[None, :] / scale_y[:, None]).round().long().clamp_(0, rows - 1)
            x = (across[None, :] / scale_x[:, None]).round().long().remainder_(columns)
            total += power.flatten()[(y * columns + x).flatten()].view(y.shape).sum(dim=1) - y.shape[1]
            count += y.shape[1]
        return total / math.sqrt(count)

    def refine(self, geometry: Geometry) -> Geometry:
        """The geometry nearby that gathers the most power on the lattice: each axis in turn, twice, then on a finer grid."""
        for step in (_FINE_STEP, _FINE_STEP, _FINE_STEP / 4.0, _FINE_STEP / 4.0):
            geometry = replace(geometry, scale_x=self._best_scale(geometry, step, along_x=True))
            geometry = replace(geometry, scale_y=self._best_scale(geometry, step, along_x=False))
        return geometry

    def _best_scale(self, geometry: Geometry, step: float, *, along_x: bool) -> float:
        """The scale of one axis, within six steps, at which the exact transform has most power on the lattice."""
        steps = torch.exp(torch.arange(-_FINE_REACH, _FINE_REACH + 1, dtype=torch.float64) * step)
        tried = (geometry.scale_x if along_x else geometry.scale_y) * steps
        fixed = geometry.scale_y if along_x else geometry.scale_x
        power = sum(probe.power(tried, fixed, along_x=along_x) for probe in self._probes)
        return float(tried[int(torch.as_tensor(power).argmax())])

    @property
    def device(self) -> torch.device:
        """Where the spectra live."""
        return self._planes[0][0].device


class _Probe:
    """One plane's exact power at lattice points, as one axis is stretched and the other held."""

    def __init__(self, plane: Tensor, lattice: Lattice, pixel: float, period_px: float) -> None:
        self._plane = plane.to(torch.complex64)
        self._span = range(-lattice.highest, lattice.highest + 1)
        self._pixel, self._period_px = pixel, period_px
        bins = torch.tensor(lattice.bins, device=plane.device) + lattice.highest
        self._down, self._across = bins[:, 0], bins[:, 1]

    def power(self, tried: Tensor, fixed: float, *, along_x: bool) -> Tensor:
        """Share of each bin's power over the scales tried, summed over bins: float32 (len(tried),) on the CPU."""
        plane, held, moved = (self._plane, self._down, self._across) if along_x else (self._plane.T, self._across, self._down)
        folded = self._waves(plane.shape[0], fixed) @ plane
        powers = []
        for scale in tried.tolist():
            grid = folded @ self._waves(plane.shape[1], scale).T
            powers.append(torch.view_as_real(grid[held, moved]).square().sum(dim=-1))
        power = torch.stack(powers)
        return (power / (power.mean(dim=0) + 1e-12)).sum(dim=1).cpu()

    def _waves(self, count: int, scale: float) -> Tensor:
        return waves(self._span, pixel_centres(count, self._pixel, self._plane.device), self._period_px * scale)


def _normal_power(plane: Tensor) -> Tensor:
    """Power over its local mean, capped: float32 (size/2 + 1, size), rows are vertical frequencies from zero up."""
    size = _transform_size(plane)
    tapered = plane * _taper(plane.shape[0], plane.device)[:, None] * _taper(plane.shape[1], plane.device)
    spectrum = torch.fft.rfft2(tapered, s=(size, size), dim=(1, 0))
    power = spectrum.real.square() + spectrum.imag.square()
    reach = _CFAR_BINS // 2
    wrapped = pad(power[None, None], (reach, reach, 0, 0), mode="circular")
    tall = avg_pool2d(wrapped, (1, _CFAR_BINS), stride=1)
    around = avg_pool2d(tall, (_CFAR_BINS, 1), stride=1, padding=(reach, 0), count_include_pad=False)[0, 0]
    normal: Tensor = power / (around + 1e-12)
    return normal.clamp_max_(_POWER_LIMIT)


def _transform_size(plane: Tensor) -> int:
    return int(2 ** math.ceil(math.log2(1.4 * max(plane.shape))))


def _taper(count: int, device: torch.device) -> Tensor:
    """Raised-cosine edges over an eighth of the side, flat between."""
    edge = max(1, round(_TAPER_SHARE * count))
    ramp = torch.minimum(torch.arange(count, device=device) + 0.5, count - 0.5 - torch.arange(count, device=device))
    return 0.5 - 0.5 * torch.cos(math.pi * (ramp / edge).clamp_max(1.0))


def _points(lattice: Lattice, plane: Tensor, unit: float) -> tuple[Tensor, Tensor]:
    """Spectrum rows and columns of the bins at scale 1: float32 (bins,) each."""
    bins = torch.tensor(lattice.bins, dtype=torch.float32, device=plane.device) * (unit * _transform_size(plane))
    return bins[:, 0], bins[:, 1]


def identity(spectrum: LatticeSpectrum) -> list[Geometry]:
    """The size the picture was made in, or cut from without resizing."""
    made = spectrum.scheme.period_for(spectrum.rows) / spectrum.scheme.period_px
    return [Geometry(scale, scale) for scale in sorted({made, 1.0}, reverse=True)]


def uniform_scale(spectrum: LatticeSpectrum) -> list[Geometry]:
    """Both axes resized alike."""
    scales = _ladder(*SCALE_RANGE, _SCALE_STEP, spectrum.device)
    return _peaks(spectrum, scales, scales, count=4)


def scale_and_aspect(spectrum: LatticeSpectrum) -> list[Geometry]:
    """Each axis resized by itself, the shape changed by up to 32 percent."""
    scales = _ladder(*SCALE_RANGE, _ASPECT_STEP, spectrum.device)
    aspects = _ladder(1.0 - _ASPECT_RANGE, 1.0 / (1.0 - _ASPECT_RANGE), _ASPECT_STEP, spectrum.device).sqrt()
    x = (scales[:, None] * aspects[None, :]).flatten()
    y = (scales[:, None] / aspects[None, :]).flatten()
    return _peaks(spectrum, x, y, count=6)


Rung = Callable[[LatticeSpectrum], Sequence[Geometry]]
LADDER: tuple[Rung, ...] = (identity, uniform_scale, scale_and_aspect)


def _ladder(low: float, high: float, step: float, device: torch.device) -> Tensor:
    """Geometric steps from low to high."""
    count = math.ceil(math.log(high / low) / step)
    return low * torch.exp(torch.arange(count + 1, device=device) * step)


def _peaks(spectrum: LatticeSpectrum, x: Tensor, y: Tensor, count: int) -> list[Geometry]:
    """The best few pairs of scales that lie apart, each refined, best first."""
    score = spectrum.score(x, y)
    found: list[Geometry] = []
    for _ in range(count):
        best = int(score.argmax())
        found.append(Geometry(float(x[best]), float(y[best])))
        near = ((x / x[best]).log().abs() < _APART) & ((y / y[best]).log().abs() < _APART)
        score = score.masked_fill(near, -math.inf)
    return [spectrum.refine(geometry) for geometry in found]
