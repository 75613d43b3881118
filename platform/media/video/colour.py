"""Conversion between RGB and BT.709 limited-range YUV 4:2:0, on any torch device.

Matrix and quantisation are those of ITU-R BT.709-6 (sections 3.2 to 3.5, 8 bit). Chroma is sited as H.264 assumes when nothing
is said (ITU-T H.264, Annex E, `chroma_sample_loc_type` 0): horizontally on the even luma columns ("left"), vertically half-way
between two luma rows. Samples outside the picture repeat its edge.
"""

from __future__ import annotations

import torch
from torch import Tensor

from media.frames import FrameBatch, YuvPlanes

KR, KB = 0.2126, 0.0722
KG = 1.0 - KR - KB
CB_RANGE = 2.0 * (1.0 - KB)  # B' - Y' spans +-(1 - KB)
CR_RANGE = 2.0 * (1.0 - KR)
BAND_PIXELS = 1 << 17


def to_yuv(batch: FrameBatch) -> FrameBatch:
    """The batch as planar YUV 4:2:0; returned as it is when planar already.

    Chroma is low-passed by (1, 2, 1)/4 along rows and (1, 1)/2 along columns before it is decimated, which keeps it sited.
    Raises ValueError for an odd width or height.
    """
    if batch.is_planar:
        return batch
    rgb = batch.rgb
    if rgb.shape[1] % 2 or rgb.shape[2] % 2:
        raise ValueError(
            f"4:2:0 needs an even width and height, not {rgb.shape[2]}x{rgb.shape[1]}; crop or scale the frame first"
        )
    return batch.with_pixels(_encode(rgb))


def to_rgb(batch: FrameBatch) -> FrameBatch:
    """The batch as uint8 RGB (N, H, W, 3); returned as it is when RGB already. Chroma is interpolated linearly at its sites."""
    if not batch.is_planar:
        return batch
    return batch.with_pixels(_decode(batch.yuv))


def _bands(height: int, width: int, device: torch.device) -> list[slice]:
    """Even slices of rows so small that their float copies stay in a processor's cache; on other devices the whole frame."""
    rows = max(2, BAND_PIXELS // width // 2 * 2) if device.type == "cpu" else height
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def _encode(rgb: Tensor) -> YuvPlanes:
    count, height, width, _ = rgb.shape
    planes = YuvPlanes(
        y=rgb.new_empty((count, height, width)),
        u=rgb.new_empty((count, height // 2, width // 2)),
        v=rgb.new_empty((count, height // 2, width // 2)),
    )
    for index in range(count):  # one frame at a time: the float copies stay small
        for band in _bands(height, width, rgb.device):
            half = slice(band.start // 2, band.stop // 2)
            red, green, blue = rgb[index, band].to(torch.float32).unbind(-1)  # (rows, W) each, 0..255
            luma = (KG * green).add_(red, alpha=KR).add_(blue, alpha=KB)
            planes.u[index, half] = _to_codes(_decimate(blue - luma).mul_(224.0 / 255.0 / CB_RANGE).add_(128.0))
            planes.v[index, half] = _to_codes(_decimate(red - luma).mul_(224.0 / 255.0 / CR_RANGE).add_(128.0))
            planes.y[index, band] = _to_codes(luma.mul_(219.0 / 255.0).add_(16.0))
    return planes


def _decode(planes: YuvPlanes) -> Tensor:
    rgb = planes.y.new_empty((*planes.y.shape, 3))
    count, height, width = planes.y.shape
    for index in range(count):
        for band in _bands(height, width, rgb.device):
            luma = planes.y[index, band].to(torch.float32).sub_(16.0).mul_(255.0 / 219.0)
            blue_less_luma = _difference(planes.u[index], band).mul_(CB_RANGE * 255.0 / 224.0)
            red_less_luma = _difference(planes.v[index], band).mul_(CR_RANGE * 255.0 / 224.0)
            rgb[index, band, :, 0] = _to_codes(luma + red_less_luma)
            rgb[index, band, :, 2] = _to_codes(luma + blue_less_luma)
            rgb[index, band, :, 1] = _to_codes(luma.add_(red_less_luma, alpha=-KR / KG).add_(blue_less_luma, alpha=-KB / KG))
    return rgb


def _difference(plane: Tensor, band: slice) -> Tensor:
    """A chroma plane (h, w) at the luma sites of a band of rows: float32, grey at 0. It reaches one row beyond the band."""
    first, last = max(band.start // 2 - 1, 0), min(band.stop // 2 + 1, plane.shape[0])
    full = _interpolate(plane[first:last].to(torch.float32).sub_(128.0))
    return full[band.start - 2 * first : band.stop - 2 * first]


def _decimate(chroma: Tensor) -> Tensor:
    """(H, W) -> (H/2, W/2): rows 2y, 2y+1 averaged, columns 2x-1, 2x, 2x+1 weighted 1:2:1."""
    rows = (chroma[0::2] + chroma[1::2]).mul_(0.5)
    even, odd = rows[:, 0::2], rows[:, 1::2]
    before = torch.cat((even[:, :1], odd[:, :-1]), dim=1)
    return (even * 2.0).add_(odd).add_(before).mul_(0.25)


def _interpolate(chroma: Tensor) -> Tensor:
    """(h, w) -> (2h, 2w): linear, at the sites that `_decimate` gives."""
    height, width = chroma.shape
    above = torch.cat((chroma[:1], chroma[:-1]))
    below = torch.cat((chroma[1:], chroma[-1:]))
    rows = chroma.new_empty((height, 2, width))
    torch.lerp(chroma, above, 0.25, out=rows[:, 0])
    torch.lerp(chroma, below, 0.25, out=rows[:, 1])
    rows = rows.view(2 * height, width)
    columns = chroma.new_empty((2 * height, width, 2))
    columns[..., 0] = rows
    torch.lerp(rows[:, :-1], rows[:, 1:], 0.5, out=columns[:, :-1, 1])
    columns[:, -1, 1] = rows[:, -1]
    return columns.view(2 * height, 2 * width)


def _to_codes(values: Tensor) -> Tensor:
    """Rounded and clipped in place; the copy into a uint8 tensor converts."""
    return values.round_().clamp_(0.0, 255.0)
