"""RGB and BT.709 planes convert into each other with rounding errors only."""

from __future__ import annotations

import pytest
import torch

from media.frames import FrameBatch, YuvPlanes
from media.video import colour
from media.video.colour import to_rgb, to_yuv


def batch_of(rgb: torch.Tensor) -> FrameBatch:
    return FrameBatch(rgb, torch.zeros(rgb.shape[0], dtype=torch.float64))


def smooth(height: int = 256, width: int = 320) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return torch.stack((255 * rows, 255 * columns, 200 * (1 - rows) + 20 * columns), -1).round().to(torch.uint8)[None]


@pytest.mark.parametrize(
    ("rgb", "yuv"),  # the 100% and 75% colour bars of ITU-R BT.709, 8 bit
    [
        ((0, 0, 0), (16, 128, 128)),
        ((255, 255, 255), (235, 128, 128)),
        ((255, 0, 0), (63, 102, 240)),
        ((0, 255, 0), (173, 42, 26)),
        ((0, 0, 255), (32, 240, 118)),
        ((255, 255, 0), (219, 16, 138)),
    ],
)
def test_primaries_have_their_published_codes(rgb: tuple[int, int, int], yuv: tuple[int, int, int]) -> None:
    planes = to_yuv(batch_of(torch.tensor(rgb, dtype=torch.uint8).expand(1, 8, 8, 3))).yuv
    assert [int(plane[0, 0, 0]) for plane in (planes.y, planes.u, planes.v)] == list(yuv)
    assert all(plane.unique().numel() == 1 for plane in (planes.y, planes.u, planes.v))


def test_smooth_colour_survives_the_round_trip() -> None:
    rgb = smooth()
    error = (to_rgb(to_yuv(batch_of(rgb))).rgb.int() - rgb.int()).abs()
    assert error.max() <= 2
    assert error.float().mean() < 0.5


def test_planes_survive_ten_round_trips() -> None:
    start = to_yuv(batch_of(smooth()))
    now = start
    for _ in range(10):
        now = to_yuv(to_rgb(now))
    assert (now.yuv.y.int() - start.yuv.y.int()).abs().max() <= 1
    for ours, theirs in ((now.yuv.u, start.yuv.u), (now.yuv.v, start.yuv.v)):
        assert (ours.int() - theirs.int())[:, 8:-8, 8:-8].abs().max() <= 1


def test_chroma_sits_on_the_even_columns() -> None:
    """A horizontal ramp of blue: the chroma sample of column 2x has the value of luma column 2x."""
    ramp = (torch.arange(64) * 4).to(torch.uint8)
    rgb = torch.zeros(1, 4, 64, 3, dtype=torch.uint8)
    rgb[..., 2] = ramp
    u = to_yuv(batch_of(rgb)).yuv.u[0, 0].float()
    expected = 128 + 112 * ramp[0::2].float() / 255
    assert (u - expected)[1:].abs().max() <= 0.5


def test_a_batch_already_in_the_form_is_returned_as_it_is() -> None:
    rgb = batch_of(smooth())
    planar = to_yuv(rgb)
    assert to_rgb(rgb) is rgb
    assert to_yuv(planar) is planar


def test_an_odd_size_cannot_be_planar() -> None:
    with pytest.raises(ValueError, match="even"):
        to_yuv(batch_of(torch.zeros(1, 7, 8, 3, dtype=torch.uint8)))


def test_codes_outside_the_legal_range_are_clipped_not_wrapped() -> None:
    planes = YuvPlanes(
        y=torch.full((1, 4, 4), 255, dtype=torch.uint8),
        u=torch.full((1, 2, 2), 255, dtype=torch.uint8),
        v=torch.full((1, 2, 2), 255, dtype=torch.uint8),
    )
    rgb = to_rgb(FrameBatch(planes, torch.zeros(1, dtype=torch.float64))).rgb
    assert rgb[0, 0, 0, 0] == 255
    assert rgb[0, 0, 0, 2] == 255


def test_frames_larger_than_a_processor_cache_have_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Converted in bands of rows, a picture is the same to the bit as in one piece."""
    rgb = torch.randint(0, 256, (2, 38, 64, 3), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    whole = to_yuv(batch_of(rgb))
    whole_back = to_rgb(whole)
    monkeypatch.setattr(colour, "BAND_PIXELS", 64 * 6)
    bands = to_yuv(batch_of(rgb))
    for ours, theirs in zip((bands.yuv.y, bands.yuv.u, bands.yuv.v), (whole.yuv.y, whole.yuv.u, whole.yuv.v), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(to_rgb(whole).rgb, whole_back.rgb)
