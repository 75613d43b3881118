"""Reads the lattice: coefficients of a summed residual at the tile's frequencies, in units of the noise around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, grid_sample

from .carrier import Complexes, pixel_centres
from .geometry import SYMMETRIES, Geometry, Matrix
from .residual import Window
from .schemes import Lattice, Scheme

_LIMIT = 2.0  # 2 to 3 measured best on weak marks: single strong bins are picture, not mark
_RINGS = 4
_LEAST_GAIN = 0.6  # a ring of a weak mark says little about itself
_TINY = 1e-12
_GRID_PX = 2.0  # tile pixels between the samples of a picture laid straight: four to a cycle of the highest bin
_POWER_CAP = 8.0
_MOST_SAMPLES = 2048


@dataclass(frozen=True)
class Readings:
    """Coefficients of both planes over all frequencies (-h..h, -h..h), limited to 2 and weighted: complex64 (2h+1, 2h+1) each."""

    luma: Complexes
    chroma: Complexes


def read(window: Window, scheme: Scheme, geometry: Geometry) -> Readings:
    """Coefficients of a window as the tile lies under a geometry."""
    grids = [_whole(_normal(transform, lattice), lattice) for transform, lattice in _transforms(window, scheme, geometry)]
    return Readings(luma=grids[0], chroma=grids[1])


def lattice_power(window: Window, scheme: Scheme, matrix: Matrix, share: float) -> float:
    """Capped power of both planes on the bins up to a share of the highest one, over the noise around them."""
    total = 0.0
    for grid, lattice in _transforms(window, scheme, Geometry.of(matrix), spacing=1.5 * _GRID_PX):
        values = _over_noise(grid, lattice)
        radii = torch.tensor([np.hypot(*place) for place in lattice.bins])
        power = (values.real.square() + values.imag.square()).clamp_max(_POWER_CAP)
        total += float((power.cpu() * (radii <= share * lattice.highest)).sum())
    return total


def _transforms(window: Window, scheme: Scheme, geometry: Geometry, spacing: float = _GRID_PX) -> list[tuple[Tensor, Lattice]]:
    """The half-lattice transform of each plane."""
    pixel, period = float(window.pixel), scheme.period_px
    planes = ((window.luma, scheme.luma, pixel), (window.chroma, scheme.chroma, 2.0 * pixel))
    return [(_transform(plane, lattice, period, geometry, size, spacing), lattice) for plane, lattice, size in planes]


def _transform(plane: Tensor, lattice: Lattice, period: float, geometry: Geometry, pixel: float, spacing: float) -> Tensor:
    if geometry.is_upright:
        (x_unit, _, x_shift), (_, y_unit, y_shift), _ = geometry.rows
        down = pixel_centres(plane.shape[0], pixel, plane.device) * y_unit + y_shift
        across = pixel_centres(plane.shape[1], pixel, plane.device) * x_unit + x_shift
        return _half_lattice(plane, lattice.highest + 1, down / period, across / period)
    straight, down, across = _straightened(plane, geometry.matrix, pixel, spacing)
    return _half_lattice(straight, lattice.highest + 1, down / period, across / period)


def _straightened(plane: Tensor, matrix: Matrix, pixel: float, spacing: float) -> tuple[Tensor, Tensor, Tensor]:
    """The plane resampled on a grid of tile pixels, with the grid's places down and across."""
    height, width = plane.shape[0] * pixel, plane.shape[1] * pixel
    corners = matrix @ np.array([[0.0, width, 0.0, width], [0.0, 0.0, height, height], [1.0, 1.0, 1.0, 1.0]])
    places = corners[:2] / np.maximum(corners[2], 0.1)
    low, high = places.min(axis=1), places.max(axis=1)
    counts = [int(np.clip(np.ceil((b - a) / spacing), 1, _MOST_SAMPLES)) for a, b in zip(low, high, strict=True)]
    across, down = (a + pixel_centres(n, spacing, plane.device) for a, n in zip(low, counts, strict=True))
    back: Matrix = np.linalg.inv(matrix).astype(np.float64)
    fine = int(spacing * np.abs(np.linalg.det(back[:2, :2])) ** 0.5 / pixel)
    source = avg_pool2d(plane[None, None], fine) if fine >= 2 else plane[None, None]
    size = (source.shape[3] * pixel * max(fine, 1), source.shape[2] * pixel * max(fine, 1))
    return grid_sample(source, _sampling(back, down, across, size), align_corners=False)[0, 0], down, across


def _sampling(back: Matrix, down: Tensor, across: Tensor, size: tuple[float, float]) -> Tensor:
    """Where grid points lie in the plane, in grid_sample's units: float32 (1, len(down), len(across), 2)."""
    rows = [[float(v) for v in row] for row in back]
    weight = rows[2][0] * across[None, :] + rows[2][1] * down[:, None] + rows[2][2]
    x = (rows[0][0] * across[None, :] + rows[0][1] * down[:, None] + rows[0][2]) / weight
    y = (rows[1][0] * across[None, :] + rows[1][1] * down[:, None] + rows[1][2]) / weight
    return torch.stack([2.0 * x / size[0] - 1.0, 2.0 * y / size[1] - 1.0], dim=-1)[None].float()


def _half_lattice(plane: Tensor, highest: int, down: Tensor, across: Tensor) -> Tensor:
    """complex64 (2 * highest + 3, 4 * highest + 1): rows from ky = -1, columns from kx = -highest, in steps of one half.

    down, across: places of the samples in periods of the tile.
    """
    return _analysis(-2, 2 * highest, down) @ plane.to(torch.complex64) @ _analysis(-2 * highest, 2 * highest, across).T


def _analysis(first: int, last: int, places: Tensor) -> Tensor:
    frequencies = torch.arange(first, last + 1, dtype=torch.float64, device=places.device)
    phase = -torch.pi * frequencies[:, None] * places[None, :]
    return torch.polar(torch.ones_like(phase), phase).to(torch.complex64)


def _over_noise(grid: Tensor, lattice: Lattice) -> Tensor:
    """Whole bins are signal; the 16 others within one bin around each are its noise. complex64 (bins,)."""
    highest = lattice.highest + 1
    power = (grid.real.square() + grid.imag.square())[None, None]
    around = torch.ones((5, 5), device=grid.device)
    around[::2, ::2] = 0.0
    noise = conv2d(power, (around / around.sum())[None, None], padding=2)[0, 0]
    rows = torch.tensor([2 * (ky + 1) for ky, _ in lattice.bins], device=grid.device)
    columns = torch.tensor([2 * (kx + highest) for _, kx in lattice.bins], device=grid.device)
    return grid[rows, columns] / (noise[rows, columns] + _TINY).sqrt()


def _normal(grid: Tensor, lattice: Lattice) -> Complexes:
    values: Complexes = _over_noise(grid, lattice).cpu().numpy()
    return weighted(values * np.minimum(1.0, _LIMIT / np.maximum(np.abs(values), _TINY)))


def weighted(values: Complexes) -> Complexes:
    """Coefficients times the signal seen at their frequency: bins in noise count for little.

    The weights come from magnitudes only, never from signs, so the false-match bound stays as it is.
    """
    excess = np.array_split(np.square(np.abs(values)) - 1.0, _RINGS)
    gains = [np.full(len(ring), max(_LEAST_GAIN, float(ring.mean())) ** 0.5) for ring in excess]
    scaled: Complexes = (values * np.concatenate(gains)).astype(np.complex64)
    return scaled


def _whole(values: Complexes, lattice: Lattice) -> Complexes:
    """Half-plane bins and their conjugates on one grid: complex64 (2h+1, 2h+1)."""
    highest = lattice.highest
    bins = np.array(lattice.bins)
    grid = np.zeros((2 * highest + 1, 2 * highest + 1), dtype=np.complex64)
    grid[highest + bins[:, 0], highest + bins[:, 1]] = values
    grid[highest - bins[:, 0], highest - bins[:, 1]] = np.conj(values)
    return grid


def bins_under(grid: Complexes, lattice: Lattice, symmetry: tuple[tuple[int, int], tuple[int, int]] = SYMMETRIES[0]) -> Complexes:
    """The lattice's bins of a grid whose tile also lies under a symmetry: complex64 (bins,)."""
    bins = np.array(lattice.bins)
    (a, b), (c, d) = symmetry
    x, y = a * bins[:, 1] + c * bins[:, 0], b * bins[:, 1] + d * bins[:, 0]
    picked: Complexes = grid[lattice.highest + y, lattice.highest + x]
    return picked


def turn_back(values: Complexes, lattice: Lattice, shift_x: float, shift_y: float) -> Complexes:
    """Coefficients as if the tile had not been shifted by these fractions of its period."""
    bins = np.array(lattice.bins, dtype=np.float64)
    phase = -2.0 * np.pi * (bins[:, 0] * shift_y + bins[:, 1] * shift_x)
    turned: Complexes = (values * np.exp(1j * phase)).astype(np.complex64)
    return turned


def sync_agreement(values: Complexes, chips: Complexes, lattice: Lattice, size: int) -> npt.NDArray[np.complex64]:
    """Known chips against what was read, on a grid whose transform is the agreement at every shift: complex64 (size, size)."""
    indices = list(lattice.sync_indices)
    grid = np.zeros((size, size), dtype=np.complex64)
    bins = np.array(lattice.bins)[indices]
    grid[bins[:, 0] % size, bins[:, 1] % size] = values[indices] * np.conj(chips)
    return grid
