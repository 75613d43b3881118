"""Colour conversion never strays further than rounding allows."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from media.frames import FrameBatch
from media.video.colour import to_rgb, to_yuv

byte = st.integers(0, 255)
even = st.integers(1, 8).map(lambda half: 2 * half)


@given(red=byte, green=byte, blue=byte, width=even, height=even)
def test_any_flat_colour_survives_within_two_codes(red: int, green: int, blue: int, width: int, height: int) -> None:
    rgb = torch.tensor([red, green, blue], dtype=torch.uint8).expand(1, height, width, 3)
    back = to_rgb(to_yuv(FrameBatch(rgb, torch.zeros(1, dtype=torch.float64)))).rgb
    assert (back.int() - rgb.int()).abs().max() <= 2


@given(seed=st.integers(0, 2**31), width=even, height=even)
@settings(max_examples=50)
def test_luma_of_grey_noise_is_kept_within_one_code(seed: int, width: int, height: int) -> None:
    grey = torch.randint(0, 256, (2, height, width, 1), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    rgb = grey.expand(2, height, width, 3)
    back = to_rgb(to_yuv(FrameBatch(rgb, torch.zeros(2, dtype=torch.float64)))).rgb
    assert (back.int() - rgb.int()).abs().max() <= 1
