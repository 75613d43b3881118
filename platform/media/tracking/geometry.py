"""Boxes, rotated square regions and how pixels are cut from them.

Coordinates are continuous, in pixels of the frame: x to the right, y down, and pixel (column 0, row 0) covers [0, 1) x [0, 1),
so its centre lies at (0.5, 0.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263  # of the 478 landmarks; "right" is the person's right
_ROI_SCALE = 1.5  # what the landmark network was trained on
_INT16_SQUARE = 11  # sums of 11 x 11 bytes still fit 16 bits


class Box(NamedTuple):
    """An upright box in pixels of the frame; it may reach over the frame's border."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """In pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """In pixels."""
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        """In square pixels, 0 for an empty box."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y)."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def intersection(self, other: Box) -> float:
        """Common area in square pixels."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(width, 0.0) * max(height, 0.0)

    def iou(self, other: Box) -> float:
        """Intersection over union, 0..1."""
        common = self.intersection(other)
        union = self.area + other.area - common
        return common / union if union > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Roi:
    """A square region: centre and side in pixels; angle_rad turns its x axis clockwise (as seen) from the frame's."""

    centre_x: float
    centre_y: float
    side: float
    angle_rad: float


def box_of(points: Tensor) -> Box:
    """The box around points (K, 2 or more)."""
    x0, y0 = (float(v) for v in points[:, :2].amin(dim=0))
    x1, y1 = (float(v) for v in points[:, :2].amax(dim=0))
    return Box(x0, y0, x1, y1)


def roi_from_box(box: Box, right_eye: Tensor, left_eye: Tensor) -> Roi:
    """The landmark network's region: 1.5 times the longer side of the box, turned so that the eyes are level."""
    across = (left_eye - right_eye).tolist()
    centre_x, centre_y = box.centre
    return Roi(centre_x, centre_y, _ROI_SCALE * max(box.width, box.height), math.atan2(across[1], across[0]))


def roi_from_landmarks(landmarks: Tensor) -> Roi:
    """The region to look at in the next frame, from landmarks (478, 2 or 3) of this one."""
    return roi_from_box(box_of(landmarks), landmarks[RIGHT_EYE_OUTER, :2], landmarks[LEFT_EYE_OUTER, :2])


def cut(frame: Tensor, roi: Roi, size: int) -> Tensor:
    """Samples a region of a frame.

    frame: uint8 (H, W, 3). Returns float32 (3, size, size) in 0..255 on the frame's device. Regions more than twice as large
    as `size` are averaged down first, so that fine texture does not shimmer; beyond the border the last pixel repeats.
    """
    height, width = frame.shape[:2]
    reach = roi.side * (abs(math.cos(roi.angle_rad)) + abs(math.sin(roi.angle_rad))) / 2 + 2
    left, right = _clip(roi.centre_x - reach, width - 1), _clip(roi.centre_x + reach, width - 1) + 1
    top, bottom = _clip(roi.centre_y - reach, height - 1), _clip(roi.centre_y + reach, height - 1) + 1
    pixels = frame[top:bottom, left:right]
    shrink = min(max(int(roi.side / size), 1), *pixels.shape[:2])
    image = _shrunk(pixels, shrink).permute(2, 0, 1)[None].float()
    grid = _grid(roi, size, (left, top), (image.shape[3] * shrink, image.shape[2] * shrink), image.device)
    sampled = F.grid_sample(image, grid[None], mode="bilinear", padding_mode="border", align_corners=False)[0]
    return sampled if shrink == 1 else sampled.div_(shrink**2)


def to_frame(points: Tensor, roi: Roi) -> Tensor:
    """Maps points (K, 2 or 3) from the region's unit square to pixels of the frame; z keeps the scale of x."""
    cos, sin = math.cos(roi.angle_rad) * roi.side, math.sin(roi.angle_rad) * roi.side
    turn = points.new_tensor([[cos, sin], [-sin, cos]])  # row vectors
    flat = (points[:, :2] - 0.5) @ turn + points.new_tensor([roi.centre_x, roi.centre_y])
    return torch.cat([flat, points[:, 2:] * roi.side], dim=1)


def _shrunk(pixels: Tensor, by: int) -> Tensor:
    """Sums of squares of `by` x `by` pixels of uint8 (H, W, 3): in whole numbers, which on a CPU beats pooling seven times."""
    if by == 1:
        return pixels
    height, width = pixels.shape[0] // by, pixels.shape[1] // by
    rows = pixels[: height * by, : width * by].reshape(height, by, width, by, 3)
    kind = torch.int16 if by <= _INT16_SQUARE else torch.int32
    rows = _sum([rows[:, i] for i in range(by)], kind)
    return _sum([rows[:, :, i] for i in range(by)], kind)


def _sum(parts: list[Tensor], kind: torch.dtype) -> Tensor:
    total = parts[0].to(kind, copy=True)
    for part in parts[1:]:
        total += part
    return total


def _grid(roi: Roi, size: int, origin: tuple[int, int], extent: tuple[int, int], device: torch.device) -> Tensor:
    """Where `grid_sample` finds the region's cells (size, size, 2) in an image that covers `extent` pixels from `origin`."""
    # The published pipeline samples cell k at k / size, not at its centre, and counts frame pixels from their centres. The
    # network expects that: on mirrored frames its bias is 0.25 px so, and 0.7 px with centred cells.
    across, down = 2 / extent[0], 2 / extent[1]
    cos, sin = math.cos(roi.angle_rad) * roi.side, math.sin(roi.angle_rad) * roi.side
    x = (roi.centre_x + 0.5 - origin[0]) * across - 1
    y = (roi.centre_y + 0.5 - origin[1]) * down - 1
    columns = torch.arange(size, dtype=torch.float32, device=device) / size - 0.5
    rows = columns[:, None]
    grid_x = (columns * (cos * across) + x) - rows * (sin * across)
    grid_y = (columns * (sin * down) + y) + rows * (cos * down)
    return torch.stack([grid_x, grid_y], dim=-1)


def _clip(value: float, limit: int) -> int:
    return min(max(int(value), 0), limit)
