"""Whether the face in one frame is the face of the frame before: small aligned grey chips, compared by correlation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from media.tracking.geometry import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, Roi, cut

_SIDE = 32
# Eye corners, bridge and sides of the nose, temples and forehead: they hold still while the mouth talks and the eyes blink.
_STABLE = [33, 133, 362, 263, 6, 168, 197, 5, 4, 98, 327, 127, 356, 10, 109, 338]
_NEW_VIEW, _VIEWS = 0.93, 32  # a view is kept when no kept one is as like it as that; the oldest gives way
_SPREAD = 3.0  # side of the chip in units of the stable points' root mean square radius: brow to mouth, ear to ear


def chip_roi(landmarks: Tensor) -> Roi:
    """The region of the chip of a face with landmarks (478, 2 or 3), level and of a size that speech does not change."""
    points = landmarks[_STABLE, :2]
    centre_x, centre_y = points.mean(dim=0).tolist()
    radius = float((points - points.mean(dim=0)).square().sum(dim=1).mean().sqrt())
    across = (landmarks[LEFT_EYE_OUTER, :2] - landmarks[RIGHT_EYE_OUTER, :2]).tolist()
    return Roi(centre_x, centre_y, _SPREAD * radius, math.atan2(across[1], across[0]))


def chip(frame: Tensor, roi: Roi) -> Tensor:
    """Grey pixels (32, 32) of a region of a frame uint8 (H, W, 3), of zero mean and unit norm, on the CPU."""
    grey = cut(frame, roi, _SIDE).mean(dim=0).cpu()
    centred = grey - grey.mean()
    return centred.div(torch.linalg.vector_norm(centred).clamp_min(1e-6))


def likeness(one: Tensor, other: Tensor) -> float:
    """Correlation -1..1 of two chips; does not depend on brightness and contrast."""
    return float((one * other).sum())


class Views:
    """How one face has looked: a few chips that differ, from frames in which it was plainly seen."""

    def __init__(self) -> None:
        self._chips: list[Tensor] = []

    def likeness(self, picture: Tensor) -> float:
        """To the view that a chip is most like; -1 without views."""
        return float((torch.stack(self._chips) * picture).sum(dim=(1, 2)).max()) if self._chips else -1.0

    def keep(self, picture: Tensor) -> None:
        """Adds a chip unless a view shows as much."""
        if self.likeness(picture) < _NEW_VIEW:
            self._chips = [*self._chips[1 - _VIEWS :], picture]
