"""How strong the mark may be at each place: less in the dark, more in texture, held to one mean error per frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

CELL_PX = 4  # masks are worked out at a quarter of the size: they are smooth, and noise in them would cost bit rate
# One code value is a larger share of the light in the dark: full strength from about 100 up, the floor is reached near black.
_DARK_FLOOR, _DARK_BELOW, _DARK_SPAN = 0.2, 8.0, 90.0
_ACTIVITY_FULL = 5.0
_LUMA_IN_FLATS, _LUMA_IN_TEXTURE = 0.6, 3.0  # nothing hides a grain on sky, skin or a wall
_CHROMA_IN_FLATS, _CHROMA_IN_TEXTURE = 0.9, 1.4  # less seen than grey at the same rms, but for flat white
_BRIGHT_ABOVE, _BRIGHT_SPAN, _CHROMA_IN_BRIGHT = 160.0, 50.0, 0.45
_SCALE_RANGE = (0.4, 1.4)  # a frame that is mostly dark or moves is not made up for elsewhere
# A still tile over what moves is coded anew in every frame and seen as a dirty window; harsh encoders drop it there anyway.
_MOVING_FLOOR, _MOVING_HALF = 0.35, 1.1


@dataclass(frozen=True)
class Mask:
    """luma: float32 (H, W), amplitude in code values of a tile of unit rms; chroma: float32 (ceil H/2, ceil W/2)."""

    luma: Tensor
    chroma: Tensor


def thumbnail(frame: Tensor) -> Tensor:
    """Cell means of one luma plane (H, W): float32 (ceil H/4, ceil W/4)."""
    return avg_pool2d(frame[None, None], CELL_PX, ceil_mode=True, count_include_pad=False)[0, 0]


def mask_of(frame: Tensor, cells: Tensor, before: Tensor | None, *, luma_rms: float, chroma_rms: float) -> Mask:
    """Mask of one luma plane, float32 (H, W), with its thumbnail and that of the frame before, None for the first of a shot."""
    still = _stillness(cells, before)
    mean = _box(cells)
    # Variance within the cells, and of the cells about their neighbours: a slope is flat to the eye.
    within = thumbnail(frame.square()) - cells.square()
    spread = _box(within + (cells - _box(cells, 3)).square()).clamp_min(0.0).sqrt()
    # The calmest neighbourhood counts: an edge must not lend its strength to the flat beside it.
    calm = -max_pool2d(max_pool2d(-spread[None, None], (7, 1), 1, (3, 0)), (1, 7), 1, (0, 3))[0, 0]
    light = ((mean - _DARK_BELOW) / _DARK_SPAN).clamp(_DARK_FLOOR, 1.0)
    activity = (calm / _ACTIVITY_FULL).clamp_max(1.0)
    shape = light * still * (_LUMA_IN_FLATS + (_LUMA_IN_TEXTURE - _LUMA_IN_FLATS) * activity)
    white = 1.0 - (1.0 - _CHROMA_IN_BRIGHT) * ((mean - _BRIGHT_ABOVE) / _BRIGHT_SPAN).clamp(0.0, 1.0)
    tint = light * still * white * (_CHROMA_IN_FLATS + (_CHROMA_IN_TEXTURE - _CHROMA_IN_FLATS) * activity)
    scale = (1.0 / shape.square().mean().sqrt()).clamp(*_SCALE_RANGE)
    height, width = frame.shape
    return Mask(
        luma=_stretch(shape * scale * luma_rms, (height, width)),
        chroma=_stretch(tint * chroma_rms, (-(-height // 2), -(-width // 2))),
    )


def _stillness(cells: Tensor, before: Tensor | None) -> Tensor:
    """1 where nothing moved since the frame before, down to a floor where much did: float32, one value per cell."""
    if before is None:
        return torch.ones_like(cells)
    change = _box((cells - before).abs())
    return _MOVING_FLOOR + (1.0 - _MOVING_FLOOR) / (1.0 + (change / _MOVING_HALF).square())


def _box(cells: Tensor, width: int = 5) -> Tensor:
    return avg_pool2d(cells[None, None], width, stride=1, padding=width // 2, count_include_pad=False)[0, 0]


def _stretch(cells: Tensor, size: tuple[int, int]) -> Tensor:
    return interpolate(cells[None, None], size=size, mode="bilinear", align_corners=False)[0, 0].to(torch.float32)
