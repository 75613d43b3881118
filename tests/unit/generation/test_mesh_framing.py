"""However large a still is or is asked to become, the clip fits the limit that clips have."""

from __future__ import annotations

import pytest

from generation.engines.base import MAX_OUTPUT_SIDE_PX, OutputShape, UnusableSource
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.framing import choose_frame
from media.limits import MediaLimits


def test_what_comes_out_would_be_taken_in_again() -> None:
    assert MediaLimits().video_side_px >= MAX_OUTPUT_SIDE_PX


@pytest.mark.parametrize(
    ("size", "expected"), [((4000, 6000), (2730, 4096)), ((12000, 300), (4096, 102)), ((401, 513), (400, 512))]
)
def test_a_large_photograph_is_scaled_down_and_a_common_one_is_not(size: tuple[int, int], expected: tuple[int, int]) -> None:
    frame = choose_frame([], size, OutputShape(), MeshConfig())
    assert (frame.height, frame.width) == expected


@pytest.mark.parametrize(("size", "short_side"), [((512, 1024), 2160), ((12000, 96), 2160), ((300, 1200), 1100)])
def test_a_size_over_the_limit_is_refused_before_anything_is_made(size: tuple[int, int], short_side: int) -> None:
    with pytest.raises(UnusableSource, match="smaller short_side"):
        choose_frame([], size, OutputShape(short_side=short_side), MeshConfig())


def test_cinema_4k_is_allowed() -> None:
    frame = choose_frame([], (1080, 2048), OutputShape(short_side=2160), MeshConfig())
    assert (frame.height, frame.width) == (2160, 4096)
