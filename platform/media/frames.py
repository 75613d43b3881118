"""Frames as they travel through the product: small batches of pixels with their time stamps, on any torch device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True, slots=True)
class YuvPlanes:
    """Planar YUV 4:2:0, BT.709, limited range (ITU-R BT.709-6, section 3).

    y: uint8 (N, H, W); u, v: uint8 (N, H/2, W/2). H and W are even.
    """

    y: Tensor
    u: Tensor
    v: Tensor


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """N consecutive frames of one size.

    pixels: uint8 RGB (N, H, W, 3), or `YuvPlanes`. timestamps_s: float64 (N,), seconds from the start of the clip, on the CPU.
    """

    pixels: Tensor | YuvPlanes
    timestamps_s: Tensor

    @property
    def rgb(self) -> Tensor:
        """uint8 (N, H, W, 3). Raises TypeError when the batch is planar: convert with `media.video.colour` first."""
        if isinstance(self.pixels, YuvPlanes):
            raise TypeError("this batch is planar YUV; convert it with media.video.colour.to_rgb")
        return self.pixels

    @property
    def yuv(self) -> YuvPlanes:
        """Planes of the batch. Raises TypeError when the batch is RGB: convert with `media.video.colour` first."""
        if not isinstance(self.pixels, YuvPlanes):
            raise TypeError("this batch is RGB; convert it with media.video.colour.to_yuv")
        return self.pixels

    @property
    def is_planar(self) -> bool:
        """Whether the pixels are planar YUV 4:2:0."""
        return isinstance(self.pixels, YuvPlanes)

    @property
    def height(self) -> int:
        """Rows of one frame, in pixels."""
        return int(self.yuv.y.shape[1] if self.is_planar else self.rgb.shape[1])

    @property
    def width(self) -> int:
        """Columns of one frame, in pixels."""
        return int(self.yuv.y.shape[2] if self.is_planar else self.rgb.shape[2])

    def __len__(self) -> int:
        return int(self.timestamps_s.shape[0])

    def with_pixels(self, pixels: Tensor | YuvPlanes) -> FrameBatch:
        """The same moments with other pixels."""
        return replace(self, pixels=pixels)


FrameStream = Iterator[FrameBatch]
