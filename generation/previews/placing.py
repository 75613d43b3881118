"""Where a picture's points lie on the faces in it: the visible mark is drawn on the face, not on the picture. Pure.

A mark that stays while the face moves beneath it is averaged away by whoever turns, shifts, stretches or animates the portrait
between previews. So each point is measured in the plane of the nearest face: an affine map from landmarks that speech and blinks
leave alone, bent by what is left over at each of them, so that it follows a head that turns as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# landmark: its place in a face that looks at the camera; the middle between the eyes is 0, their distance 1, down is positive
PLACES: dict[int, tuple[float, float]] = {
    **{33: (-0.73, 0.0), 133: (-0.27, 0.01), 362: (0.27, 0.01), 263: (0.73, 0.0)},  # corners of the eyes
    **{168: (0.0, -0.11), 6: (0.0, 0.01), 195: (0.0, 0.24), 4: (0.0, 0.5), 1: (0.0, 0.62), 98: (-0.32, 0.68), 327: (0.32, 0.68)},
    **{105: (-0.71, -0.44), 107: (-0.27, -0.43), 336: (0.27, -0.43), 334: (0.71, -0.44)},  # brows
    **{50: (-0.82, 0.52), 117: (-0.85, 0.26), 346: (0.85, 0.26), 280: (0.82, 0.52)},  # cheeks
    **{10: (0.0, -0.92), 151: (0.0, -0.67), 127: (-1.15, 0.11), 356: (1.15, 0.11)},  # forehead, temples
    **{61: (-0.47, 1.1), 291: (0.47, 1.1), 152: (0.0, 1.95)},  # corners of the mouth, chin
}
FACE_HEIGHT = 2.87  # forehead to chin, in that unit
REACH = 0.5  # how far a landmark bends the map around it, in that unit
STIFFNESS = 0.3  # against the jitter of single landmarks
SQUASHED = 0.1  # landmarks that lie closer to a line than this are no face's


@dataclass(frozen=True, slots=True)
class FacePlane:
    """Of each pixel its place in the plane of a face: float32 (H, W, 2), and how many pixels make that plane's unit."""

    places: Tensor
    unit_px: float


def middle_plane(width: int, height: int) -> FacePlane:
    """Of a picture without a face: that of a large face in its middle."""
    unit_px = 0.6 * min(width, height) / FACE_HEIGHT
    return FacePlane((_pixels(width, height) - torch.tensor([width / 2, height / 2])) / unit_px, unit_px)


def plane_of(landmarks: Tensor, width: int, height: int) -> FacePlane | None:
    """The plane of a face with landmarks (478, 2 or 3), in pixels of a picture; None when they cannot be a face's."""
    seen, known = landmarks[list(PLACES), :2].double(), torch.tensor(list(PLACES.values()), dtype=torch.float64)
    spread = torch.linalg.svdvals(seen - seen.mean(dim=0)) if bool(torch.isfinite(seen).all()) else torch.zeros(2)
    if float(spread[1]) <= max(SQUASHED * float(spread[0]), 1.0):
        return None
    affine = torch.linalg.lstsq(_with_one(seen), known).solution  # (3, 2)
    stretch = torch.linalg.svdvals(affine[:2])
    on_plane = _with_one(seen) @ affine
    bend = torch.linalg.solve(_near(on_plane, on_plane) + STIFFNESS * torch.eye(len(PLACES)).double(), known - on_plane)
    flat = _with_one(_pixels(width, height).reshape(-1, 2).double()) @ affine
    places = (flat + _near(flat, on_plane) @ bend).float().reshape(height, width, 2)
    return FacePlane(places, float(1 / stretch.prod().sqrt()))


def nearest(planes: Sequence[FacePlane]) -> tuple[Tensor, Tensor]:
    """Of each pixel its place (H, W, 2) on the face that it lies nearest to, and that face's unit in pixels (H, W)."""
    places = torch.stack([plane.places for plane in planes])
    chosen = from_middle(places).argmin(dim=0)
    units = torch.tensor([plane.unit_px for plane in planes])[chosen]
    return places.gather(0, chosen[None, ..., None].expand(1, *chosen.shape, 2))[0], units


def from_middle(places: Tensor) -> Tensor:
    """How far places (..., 2) lie from the middle of their face (...)."""
    away: Tensor = torch.linalg.vector_norm(places - torch.tensor([0.0, FACE_HEIGHT / 6]), dim=-1)
    return away


def _pixels(width: int, height: int) -> Tensor:
    """(H, W, 2): x and y of the middle of each pixel."""
    down, across = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([across, down], dim=-1)


def _with_one(points: Tensor) -> Tensor:
    return torch.cat([points, torch.ones_like(points[:, :1])], dim=1)


def _near(points: Tensor, others: Tensor) -> Tensor:
    return torch.exp(-torch.cdist(points, others).square() / (2 * REACH**2))
