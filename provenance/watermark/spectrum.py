"""Reads the lattice: coefficients of a summed residual at the tile's frequencies, in units of the noise around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from .carrier import Complexes, pixel_centres
from .codec import Floats
from .geometry import Geometry
from .residual import Window
from .schemes import Lattice, Scheme

_LIMIT = 2.0  # 2 to 3 measured best on weak marks: single strong bins are picture, not mark
_RINGS = 4
_LEAST_GAIN = 0.3
_TINY = 1e-12


@dataclass(frozen=True)
class Readings:
    """Coefficients of both planes in units of their noise, limited to 2 and weighted: complex64 (bins,) each."""

    luma: Complexes
    chroma: Complexes


def read(window: Window, scheme: Scheme, geometry: Geometry) -> Readings:
    """Coefficients of a window under a geometry; its shift is taken out."""
    pixel = float(window.pixel)
    return Readings(
        luma=_read_plane(window.luma, scheme.luma, scheme.period_px, geometry, pixel),
        chroma=_read_plane(window.chroma, scheme.chroma, scheme.period_px, geometry, 2.0 * pixel),
    )


def _read_plane(plane: Tensor, lattice: Lattice, period_px: float, geometry: Geometry, pixel: float) -> Complexes:
    """Half-lattice transform; whole bins are signal, the 16 others within one bin around each are its noise."""
    highest = lattice.highest + 1
    grid = _half_lattice(plane, highest, period_px, geometry, pixel)
    power = (grid.real.square() + grid.imag.square())[None, None]
    around = torch.ones((5, 5), device=plane.device)
    around[::2, ::2] = 0.0
    noise = conv2d(power, (around / around.sum())[None, None], padding=2)[0, 0]
    normal = grid / (noise + _TINY).sqrt()
    rows = torch.tensor([2 * (ky + 1) for ky, _ in lattice.bins], device=plane.device)
    columns = torch.tensor([2 * (kx + highest) for _, kx in lattice.bins], device=plane.device)
    values: Complexes = normal[rows, columns].cpu().numpy()
    magnitude = np.abs(values)
    limited = weighted(values * np.minimum(1.0, _LIMIT / np.maximum(magnitude, _TINY)))
    return turn_back(limited, lattice, geometry.shift_x / period_px, geometry.shift_y / period_px)


def _half_lattice(plane: Tensor, highest: int, period_px: float, geometry: Geometry, pixel: float) -> Tensor:
    """complex64 (2 * highest + 3, 4 * highest + 1): rows from ky = -1, columns from kx = -highest, in steps of one half."""
    down = _analysis(-2, 2 * highest, plane.shape[0], pixel, 2.0 * period_px * geometry.scale_y, plane.device)
    across = _analysis(-2 * highest, 2 * highest, plane.shape[1], pixel, 2.0 * period_px * geometry.scale_x, plane.device)
    return down @ plane.to(torch.complex64) @ across.T


def _analysis(first: int, last: int, count: int, pixel: float, period: float, device: torch.device) -> Tensor:
    positions = pixel_centres(count, pixel, device)
    frequencies = torch.arange(first, last + 1, dtype=torch.float64, device=device)
    phase = (-2.0 * torch.pi / period) * frequencies[:, None] * positions[None, :]
    return torch.polar(torch.ones_like(phase), phase).to(torch.complex64)


def turn_back(values: Complexes, lattice: Lattice, shift_x: float, shift_y: float) -> Complexes:
    """Coefficients as if the tile had not been shifted by these fractions of its period."""
    bins = np.array(lattice.bins, dtype=np.float64)
    phase = -2.0 * np.pi * (bins[:, 0] * shift_y + bins[:, 1] * shift_x)
    turned: Complexes = (values * np.exp(1j * phase)).astype(np.complex64)
    return turned


def weighted(values: Complexes) -> Complexes:
    """Coefficients times the signal seen at their frequency: bins in noise count for little.

    The weights come from magnitudes only, never from signs, so the false-match bound stays as it is.
    """
    excess = np.array_split(np.square(np.abs(values)) - 1.0, _RINGS)
    gains = [np.full(len(ring), max(_LEAST_GAIN, float(ring.mean())) ** 0.5) for ring in excess]
    scaled: Complexes = (values * np.concatenate(gains)).astype(np.complex64)
    return scaled


def payload_values(values: Complexes, lattice: Lattice) -> Floats:
    """Payload dimensions of one plane: float32 (dimensions,)."""
    chosen = values[list(lattice.payload_indices)]
    return np.stack([chosen.real, chosen.imag], axis=1).reshape(-1).astype(np.float32)


def sync_agreement(values: Complexes, chips: Complexes, lattice: Lattice, size: int) -> npt.NDArray[np.complex128]:
    """Known chips against what was read, on a grid whose transform is the agreement at every shift: complex128 (size, size)."""
    indices = list(lattice.sync_indices)
    grid = np.zeros((size, size), dtype=np.complex128)
    bins = np.array(lattice.bins)[indices]
    grid[bins[:, 0] % size, bins[:, 1] % size] = values[indices] * np.conj(chips)
    return grid
