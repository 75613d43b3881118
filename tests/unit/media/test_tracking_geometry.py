"""Regions are cut from frames and points mapped back so that both agree."""

from __future__ import annotations

import math

import pytest
import torch

from media.tracking.geometry import Box, Roi, box_of, cut, to_frame


@pytest.mark.parametrize("angle_deg", [0, 25, -70, 180])
def test_what_is_seen_in_a_region_maps_back_to_where_it_is_in_the_frame(angle_deg: float) -> None:
    frame = torch.zeros(200, 300, 3, dtype=torch.uint8)
    frame[118:123, 168:173] = 255  # centre (170.5, 120.5)
    roi = Roi(150, 110, 96, math.radians(angle_deg))

    seen = cut(frame, roi, 192)[0]

    weights = seen / seen.sum()
    steps = torch.arange(192, dtype=torch.float32)
    centre = torch.stack([(weights.sum(dim=0) * steps).sum(), (weights.sum(dim=1) * steps).sum()]) / 192
    place = to_frame(centre[None], roi)[0]
    assert place.tolist() == pytest.approx([170.0, 120.0], abs=0.3)  # the published half pixel, see `geometry._grid`


def test_a_region_over_the_border_repeats_the_last_pixels() -> None:
    frame = torch.full((40, 40, 3), 200, dtype=torch.uint8)

    assert cut(frame, Roi(0, 0, 80, 0.3), 32).min() == pytest.approx(200, abs=0.01)


def test_a_region_far_outside_still_gives_pixels() -> None:
    frame = torch.full((40, 40, 3), 7, dtype=torch.uint8)

    assert cut(frame, Roi(-500, 900, 60, 0), 16).shape == (3, 16, 16)


def test_fine_texture_is_averaged_not_aliased() -> None:
    stripes = torch.zeros(400, 400, 3, dtype=torch.uint8)
    stripes[:, ::2] = 254

    grey = cut(stripes, Roi(200, 200, 384, 0), 64)

    assert grey[:, 4:-4, 4:-4].std() < 10
    assert grey.mean() == pytest.approx(127, abs=3)


def test_depth_keeps_the_scale_of_the_region() -> None:
    assert to_frame(torch.tensor([[0.5, 0.5, 0.1]]), Roi(10, 20, 50, 1.0))[0].tolist() == pytest.approx([10, 20, 5])


def test_overlap_is_the_share_of_the_common_area() -> None:
    left, right = Box(0, 0, 10, 10), Box(5, 0, 15, 10)

    assert left.iou(right) == pytest.approx(1 / 3)
    assert left.iou(left) == 1
    assert left.iou(Box(20, 20, 30, 30)) == 0
    assert Box(3, 3, 3, 3).iou(Box(3, 3, 3, 3)) == 0


def test_the_box_of_points_holds_them_all() -> None:
    assert box_of(torch.tensor([[1.0, 5, 9], [4, 2, 0]])) == Box(1, 2, 4, 5)
