"""From key and payload to the chips of every bin, and from chips to a plane of pixels; and the way back to soft code bits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .codec import Floats
from .keystream import KeyStream
from .schemes import CODED_BITS, Lattice

Complexes = npt.NDArray[np.complex64]


@dataclass(frozen=True)
class KeyedPlane:
    """What one key makes of one lattice.

    sync: complex64 (sync bins,) and pilot: complex64 (pilot bins,), chips that do not depend on the payload. bits: int64
    (payload dimensions,), the code bit each dimension carries. signs: float32 (payload dimensions,).
    """

    lattice: Lattice
    sync: Complexes
    pilot: Complexes
    bits: npt.NDArray[np.int64]
    signs: Floats

    @classmethod
    def of(cls, key: bytes, lattice: Lattice, sync_key: bytes | None = None) -> KeyedPlane:
        """The keyed choices for a lattice; the sync bins are those of `sync_key`, else of the key itself.

        Dimensions beyond the 480 code bits repeat some of them.
        """
        stream = KeyStream(key)
        dimensions = lattice.payload_dimensions
        bits = np.empty(dimensions, dtype=np.int64)
        bits[stream.permutation(f"{lattice.name}/dimensions", dimensions)] = np.arange(dimensions) % CODED_BITS
        return cls(
            lattice=lattice,
            sync=sync_chips(sync_key or key, lattice),
            pilot=pilot_chips(key, lattice),
            bits=stream.permutation(f"{lattice.name}/bits", CODED_BITS)[bits],
            signs=stream.signs(f"{lattice.name}/signs", dimensions),
        )

    def chips(self, codeword: Floats) -> Complexes:
        """Unit chips of all bins, complex64 (bins,), for a code word of 480 signs."""
        values = (codeword[self.bits] * self.signs).reshape(-1, 2)
        chips = np.empty(len(self.lattice.bins), dtype=np.complex64)
        chips[list(self.lattice.payload_indices)] = (values[:, 0] + 1j * values[:, 1]) / np.sqrt(2.0)
        chips[list(self.lattice.sync_indices)] = self.sync
        chips[list(self.lattice.pilot_indices)] = self.pilot
        return chips

    def despread(self, dimensions: Floats) -> Floats:
        """Sums of the signed payload dimensions (N, dimensions) per code bit: float32 (N, 480)."""
        soft = np.zeros((CODED_BITS, dimensions.shape[0]), dtype=np.float32)
        np.add.at(soft, self.bits, (dimensions * self.signs).T)
        return soft.T


def sync_chips(key: bytes, lattice: Lattice) -> Complexes:
    """Chips that place the tile: complex64 (sync bins,)."""
    return KeyStream(key).chips(f"{lattice.name}/sync", lattice.sync_count)


def pilot_chips(key: bytes, lattice: Lattice) -> Complexes:
    """Chips that tell the key: complex64 (pilot bins,). Cheap, so that thousands of keys can be tried."""
    return KeyStream(key).chips(f"{lattice.name}/pilot", lattice.pilot_count)


def waves(bins: range, positions: Tensor, period: float) -> Tensor:
    """Complex exponentials of tile frequencies: complex64 (len(bins), len(positions)), computed in double precision."""
    frequencies = torch.tensor(list(bins), dtype=torch.float64, device=positions.device)
    phase = (2.0 * torch.pi / period) * frequencies[:, None] * positions[None, :].to(torch.float64)
    return torch.polar(torch.ones_like(phase), phase).to(torch.complex64)


def pixel_centres(count: int, pixel: float, device: torch.device) -> Tensor:
    """Centres of `count` samples in luma pixels; `pixel` is the size of one sample (2 for subsampled chroma)."""
    return (torch.arange(count, dtype=torch.float64, device=device) + 0.5) * pixel


def render(
    lattice: Lattice, chips: Complexes, size: tuple[int, int], period: float, pixel: float, device: torch.device
) -> Tensor:
    """The tile repeated over a plane of `size` (rows, columns): float32, unit root mean square."""
    highest = lattice.highest
    gains = np.array([math.hypot(*place) for place in lattice.bins]) ** lattice.rise
    gains /= np.sqrt(np.square(gains).mean())
    spectrum = np.zeros((highest + 1, 2 * highest + 1), dtype=np.complex64)
    for (ky, kx), chip in zip(lattice.bins, chips * gains, strict=True):
        spectrum[ky, kx + highest] = chip
    down = waves(range(highest + 1), pixel_centres(size[0], pixel, device), period)
    across = waves(range(-highest, highest + 1), pixel_centres(size[1], pixel, device), period)
    plane: Tensor = (down.T @ (torch.from_numpy(spectrum).to(device) @ across)).real
    return plane * math.sqrt(2.0 / len(lattice.bins))
