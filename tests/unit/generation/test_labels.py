"""Labels burnt into the picture."""

from __future__ import annotations

import torch

from generation.labels import LABEL_HEIGHT_SHARE, burn_in
from media.frames import FrameBatch


def flat_batch(grey: int, *, frames: int = 3, height: int = 240, width: int = 320) -> FrameBatch:
    """Frames of one grey."""
    pixels = torch.full((frames, height, width, 3), grey, dtype=torch.uint8)
    return FrameBatch(pixels=pixels, timestamps_s=torch.arange(frames, dtype=torch.float64))


def test_the_label_is_in_every_frame_and_readable_on_bright_and_dark() -> None:
    for grey in (0, 128, 255):
        (batch,) = burn_in([flat_batch(grey)], "TEST")
        for frame in batch.rgb:
            plate = frame[-frame.shape[0] // 4 :, : frame.shape[1] // 3].float()
            assert plate.max() - plate.min() > 100


def test_the_label_is_at_least_a_twentieth_of_the_shorter_side() -> None:
    assert LABEL_HEIGHT_SHARE >= 0.05
    (batch,) = burn_in([flat_batch(128)], "TEST")
    changed = (batch.rgb[0] != 128).any(dim=2).any(dim=1)
    assert int(changed.sum()) >= 0.05 * 240


def test_the_rest_of_the_picture_is_left_alone_and_so_is_the_input() -> None:
    original = flat_batch(90)
    (batch,) = burn_in([original], "TEST")
    assert bool((batch.rgb[:, :120] == 90).all())
    assert bool((original.rgb == 90).all())


def test_a_tiny_frame_still_gets_a_label() -> None:
    (batch,) = burn_in([flat_batch(128, height=64, width=64)], "TEST - AI generated")
    assert bool((batch.rgb != 128).any())
