"""Luma and blue difference of a batch, in BT.709 limited-range code values (ITU-R BT.709-6, section 3), planar or RGB."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from media.frames import FrameBatch, YuvPlanes

_KR, _KB = 0.2126, 0.0722
_KG = 1.0 - _KR - _KB
_LUMA_SCALE = 219.0 / 255.0
_CHROMA_SCALE = 224.0 / 255.0
# What one step of luma, or of blue difference, is worth in red, green and blue.
_RGB_PER_LUMA = (1.0 / _LUMA_SCALE,) * 3
_RGB_PER_CB = (0.0, -2.0 * (1.0 - _KB) * _KB / (_KG * _CHROMA_SCALE), 2.0 * (1.0 - _KB) / _CHROMA_SCALE)


def luma(batch: FrameBatch) -> Tensor:
    """float32 (N, H, W), 16 for black to 235 for white."""
    if isinstance(batch.pixels, YuvPlanes):
        return batch.pixels.y.float()
    weights = torch.tensor([_KR, _KG, _KB], device=batch.pixels.device) * _LUMA_SCALE
    return batch.pixels.float() @ weights + 16.0


def blue_difference(batch: FrameBatch) -> Tensor:
    """float32 (N, H/2, W/2), 128 for neutral."""
    if isinstance(batch.pixels, YuvPlanes):
        return batch.pixels.u.float()
    factor = 0.5 * _CHROMA_SCALE / (1.0 - _KB)
    weights = torch.tensor([-_KR, -_KG, 1.0 - _KB], device=batch.pixels.device) * factor
    return avg_pool2d((batch.pixels.float() @ weights)[:, None], 2)[:, 0] + 128.0


def glance(batch: FrameBatch, index: int) -> Tensor:
    """One frame at a hundredth of its pixels, to notice a cut by: float32, code values of luma or of green."""
    whole = batch.pixels.y if isinstance(batch.pixels, YuvPlanes) else batch.pixels[..., 1]
    return whole[index, ::10, ::10].float()


def add(batch: FrameBatch, luma_step: Tensor, cb_step: Tensor) -> FrameBatch:
    """The batch with steps of code values added: luma_step int16 (H, W), cb_step int16 (ceil H/2, ceil W/2)."""
    if isinstance(batch.pixels, YuvPlanes):
        planes = batch.pixels
        return batch.with_pixels(YuvPlanes(y=_plus(planes.y, luma_step), u=_plus(planes.u, cb_step), v=planes.v))
    height, width = luma_step.shape
    full = interpolate(cb_step[None, None].float(), scale_factor=2.0, mode="bilinear", align_corners=False)[0, 0, :height, :width]
    parts = [y * luma_step + c * full for y, c in zip(_RGB_PER_LUMA, _RGB_PER_CB, strict=True)]
    return batch.with_pixels(_plus(batch.pixels, torch.stack(parts, dim=-1).round_().to(torch.int16)))


def _plus(plane: Tensor, step: Tensor) -> Tensor:
    """plane + step, kept within a byte."""
    return plane.to(torch.int16).add_(step).clamp_(0, 255).to(torch.uint8)
