"""The mark of stills: 32 bits in the singular values of blue-difference blocks, by the invisible-watermark package (dwtDctSvd).

It survives compression and nothing that moves pixels; and since any picture decodes to some 32 bits, a number read from a still
is a hint where to look, never evidence by itself. Luma is left alone, where the video's own mark lies.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import PictureTooSmall

KEY_BITS = 32
SMALLEST_SIDE_PX = 256  # 32 blocks of 8x8 a side: 32 votes for each bit
LARGEST_SIDE_PX = 4096  # 2.5 s of one core
_METHOD = "dwtDctSvd"


@cache
def _package() -> Any:
    return import_module("imwatermark")  # brings OpenCV and wavelets: of no use to a process that never sees a still


def mark_still(rgb: Tensor, key: int) -> Tensor:
    """uint8 RGB (H, W, 3) with an unsigned 32-bit number in it. Raises PictureTooSmall below 256 pixels a side."""
    if min(rgb.shape[:2]) < SMALLEST_SIDE_PX:
        raise PictureTooSmall(rgb.shape[1], rgb.shape[0], SMALLEST_SIDE_PX)
    encoder = _package().WatermarkEncoder()
    encoder.set_watermark("bits", [(key >> bit) & 1 for bit in range(KEY_BITS)])
    marked = encoder.encode(_bgr(rgb), _METHOD)
    return torch.from_numpy(np.ascontiguousarray(marked[:, :, ::-1]))


def read_still_key(rgb: Tensor) -> int | None:
    """The number that the blocks of uint8 RGB (H, W, 3) vote for, marked or not.

    None for sizes that no still of ours has: below 256 pixels a side, or above 4096.
    """
    if min(rgb.shape[:2]) < SMALLEST_SIDE_PX or max(rgb.shape[:2]) > LARGEST_SIDE_PX:
        return None
    votes = _package().WatermarkDecoder("bits", KEY_BITS).decode(_bgr(rgb), _METHOD)
    return sum(int(vote) << bit for bit, vote in enumerate(votes))


def _bgr(rgb: Tensor) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    return np.ascontiguousarray(rgb.numpy()[:, :, ::-1])
