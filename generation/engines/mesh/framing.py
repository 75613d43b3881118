"""What part of the source the output shows, and at what size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from generation.engines.base import Framing, OutputShape
from generation.engines.mesh import topology
from generation.engines.mesh.config import MeshConfig


@dataclass(frozen=True, slots=True)
class Frame:
    """Columns left .. right and rows top .. bottom of the source, shown in height x width pixels, both even."""

    left: int
    top: int
    right: int
    bottom: int
    height: int
    width: int

    @property
    def is_native(self) -> bool:
        """Whether a pixel of the output is a pixel of the source."""
        return (self.bottom - self.top, self.right - self.left) == (self.height, self.width)

    def of_pixels(self, rgb: Tensor) -> Tensor:
        """The shown part of uint8 (H, W, 3) at the output's size."""
        part = rgb[self.top : self.bottom, self.left : self.right]
        if self.is_native:
            return part.contiguous()
        planes = part.permute(2, 0, 1)[None].float()
        sized = F.interpolate(planes, size=(self.height, self.width), mode="bicubic", antialias=True, align_corners=False)
        return (sized[0] + 0.5).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()

    def of_points(self, points: Tensor) -> Tensor:
        """Points (..., 3) of the source in pixels of the output; depth takes the scale of the columns."""
        across, down = self.width / (self.right - self.left), self.height / (self.bottom - self.top)
        return (points - points.new_tensor([self.left, self.top, 0])) * points.new_tensor([across, down, across])


def choose_frame(faces: Sequence[Tensor], size: tuple[int, int], shape: OutputShape, config: MeshConfig) -> Frame:
    """What a source of (height, width) shows of the faces (478, 3) that it is about."""
    height, width = size
    left, top, right, bottom = 0, 0, width, height
    if shape.framing is Framing.CROP:
        left, top, right, bottom = _square(faces, size, config)
    rows, columns = bottom - top, right - left
    if shape.short_side is None:
        return Frame(left, top, left + columns // 2 * 2, top + rows // 2 * 2, rows // 2 * 2, columns // 2 * 2)
    scale = shape.short_side / min(rows, columns)
    return Frame(left, top, right, bottom, max(2, round(rows * scale / 2) * 2), max(2, round(columns * scale / 2) * 2))


def _square(faces: Sequence[Tensor], size: tuple[int, int], config: MeshConfig) -> tuple[int, int, int, int]:
    """The smallest square with every head and its shoulders, moved into the picture and no larger than it.

    Where the faces alone are wider than the largest square, as much of the smallest square as the picture holds.
    """
    ovals = torch.stack([face[list(topology.OVAL), :2] for face in faces])
    lows, highs = ovals.amin(1), ovals.amax(1)  # (N, 2)
    half = (highs - lows).amax(1, keepdim=True) * config.portrait_heights / 2
    centres = (lows + highs) / 2
    centres[:, 1:] += config.portrait_drop * half
    low, high = (centres - half).amin(0), (centres + half).amax(0)
    side = float((high - low).max())
    if float((highs.amax(0) - lows.amin(0)).max()) < min(size):
        side = min(side, *size)
    (left, right), (top, bottom) = (
        _within(middle, side, limit) for middle, limit in zip(((low + high) / 2).tolist(), (size[1], size[0]), strict=True)
    )
    return left, top, right, bottom


def _within(middle: float, side: float, limit: int) -> tuple[int, int]:
    """Start and end of a length `side` around `middle`, moved to lie in 0 .. limit."""
    length = min(round(side), limit)
    start = min(max(0, round(middle - length / 2)), limit - length)
    return start, start + length
