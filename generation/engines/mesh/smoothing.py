"""Smoothing with lookahead and without lag: noise is taken away, fast motion stays."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from generation.engines.mesh import geometry, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.measures import lid_gaps
from generation.engines.tracks import BridgedTrack

_SIZED_FRAMES = 300  # spread over the clip: enough for the usual height of its face


class Smoother:
    """Savitzky-Golay over a track, undone where the filter would cut off motion.

    What the filter takes away is noise while it is small; the share of it that is given back grows with its size, measured
    over the neighbourhood of each point. strength: 0 changes nothing, 1 is the default window.
    """

    def __init__(self, points: BridgedTrack, strength: float, config: MeshConfig) -> None:
        self._points = points
        self._kernel = geometry.savgol_kernel(round(config.smooth_half_window * strength), config.smooth_order)
        some = points[torch.linspace(0, len(points) - 1, min(len(points), _SIZED_FRAMES)).long()]
        size = (some[:, topology.CHIN] - some[:, topology.FOREHEAD]).norm(dim=-1).median()
        self._noise = float(size) * config.noise_floor * max(strength, 1e-6) ** 2
        self._shift_noise = float(size) * config.shift_noise * max(strength, 1e-6) ** 2
        self._lid_noise = float(size) * config.lid_noise * max(strength, 1e-6) ** 2
        self._near = _neighbourhoods(some[len(some) // 2, :, :2].double(), 0.08 * float(size))

    def raw(self, start: int, stop: int, halo: int = 0) -> Tensor:
        """Unsmoothed frames start - halo .. stop + halo, ends held: float64 (B + 2 halo, 478, 3)."""
        frames = torch.arange(start - halo, stop + halo).clamp(0, len(self._points) - 1)
        return self._points[frames].double()

    def __call__(self, start: int, stop: int) -> Tensor:
        """Smoothed frames start .. stop: float64 (B, 478, 3)."""
        window = self.raw(start, stop, self._halo)
        middle = window[:, list(topology.STABLE)].mean(1, keepdim=True)
        shape = self._calm(window - middle, lambda taken: taken[..., :2].square().sum(-1) @ self._near, self._noise)
        return shape + self._calm(middle, lambda taken: taken[..., :2].square().sum(-1), self._shift_noise)

    def lid_gaps(self, start: int, stop: int) -> Tensor:
        """Gaps of the lids in frames start .. stop, of which no blink is lost: float64 (B, 2), in the track's unit."""
        window = lid_gaps(self.raw(start, stop, self._halo))
        return self._calm(window, lambda taken: taken.square(), self._lid_noise)

    @property
    def _halo(self) -> int:
        return len(self._kernel) // 2 + 1  # one frame more at either end for the share's own smoothing

    def _calm(self, window: Tensor, energy_of: Callable[[Tensor], Tensor], noise: float) -> Tensor:
        """Smooth (B + 2 halo, ...) along time, giving back what is too large for noise: (B, ...)."""
        half = len(self._kernel) // 2
        if half == 0:
            return window[1:-1]
        smooth = geometry.smooth(window, self._kernel)  # (B + 2, ...)
        taken = window[half:-half] - smooth
        energy = energy_of(taken).unfold(0, 3, 1).mean(-1)  # the share itself must not flicker
        share = energy.square() / (energy.square() + noise**4)
        return smooth[1:-1] + share.reshape(*share.shape, *[1] * (taken.dim() - share.dim())) * taken[1:-1]


def _neighbourhoods(points: Tensor, reach: float) -> Tensor:
    """(N, N) weights whose columns sum to one: how much each point's neighbours say about it. points: (N, 2)."""
    weight = torch.exp(-((torch.cdist(points, points) / reach) ** 2))
    return weight / weight.sum(0)
