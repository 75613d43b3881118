"""HDR and wide gamut come out as the BT.709 picture a viewer expects; what cannot be shown properly is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from media.errors import BadInput
from media.limits import MediaLimits
from media.video import normalise_still, normalise_video, probe, read_frames, read_planes, read_still
from tests.hostile import make

LIMITS = MediaLimits()
WHITE = 203.0  # cd/m2, HDR reference white of ITU-R BT.2408
KNEE = 95.0  # below this nothing is compressed at a peak of 1000


def pq(light: float) -> float:
    """SMPTE ST 2084, cd/m2 -> 0..1."""
    power = (light / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def patches(colours: list[tuple[float, float, float]]) -> make.Picture:
    """Vertical stripes of R'G'B' colours as 10-bit limited BT.2020 planes."""

    def draw(width: int, height: int, index: int) -> np.ndarray:
        stack = np.full((height * 3 // 2, width), 512, np.uint16)
        chroma = stack[height:].reshape(2, height // 2, width // 2)
        step = width // len(colours)
        for number, (red, green, blue) in enumerate(colours):
            luma = 0.2627 * red + 0.6780 * green + 0.0593 * blue
            stack[:height, number * step : (number + 1) * step] = round(64 + 876 * luma)
            half = slice(number * step // 2, (number + 1) * step // 2)
            chroma[0, :, half] = round(512 + 896 * (blue - luma) / 1.8814)
            chroma[1, :, half] = round(512 + 896 * (red - luma) / 1.4746)
        return stack

    return draw


def shown(folder: Path, colours: list[tuple[float, float, float]], transfer: int, **tags: int) -> list[list[float]]:
    """The stripes as R'G'B' in 0..1 after normalising."""
    clip = make.write_clip(
        folder / "clip.mp4",
        size=(64 * len(colours), 64),
        frames=2,
        picture=patches(colours),
        pixel_format="yuv420p10le",
        transfer=transfer,
        **{"matrix": make.BT2020, "primaries": make.BT2020, **tags},
    )
    normalise_video(clip, folder / "normalised.mp4", limits=LIMITS)
    rgb = next(read_frames(folder / "normalised.mp4")).rgb[0]
    return [(rgb[32, 64 * number + 32] / 255).tolist() for number in range(len(colours))]


def test_greys_below_the_knee_keep_their_light_and_those_above_are_compressed_in_order(tmp_path: Path) -> None:
    levels = [1.0, 10.0, 50.0, 90.0, 203.0, 400.0, 1000.0]
    found = shown(tmp_path, [(pq(light),) * 3 for light in levels], make.PQ)
    for light, colour in zip(levels, found, strict=True):
        assert max(colour) - min(colour) <= 3 / 255
        if light < KNEE:
            assert colour[1] == pytest.approx((light / WHITE) ** (1 / 2.4), abs=0.012)
    greens = [colour[1] for colour in found]
    assert greens == sorted(greens)
    assert 0.85 < greens[4] < 0.95
    assert greens[-1] > 0.99


def test_reference_white_is_the_same_in_both_kinds_of_hdr(tmp_path: Path) -> None:
    assert shown(tmp_path, [(0.75,) * 3], make.HLG)[0] == pytest.approx(shown(tmp_path, [(pq(WHITE),) * 3], make.PQ)[0], abs=0.01)


def test_a_skin_tone_keeps_its_colour(tmp_path: Path) -> None:
    """Linear BT.709 light of a face at 60 cd/m2, coded as BT.2020 PQ and back."""
    light = np.array([60.0, 38.0, 28.0])
    to_bt2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    coded = tuple(pq(value) for value in to_bt2020 @ light)
    expected = (light / WHITE) ** (1 / 2.4)
    assert shown(tmp_path, [coded], make.PQ)[0] == pytest.approx(expected.tolist(), abs=0.012)


def test_a_saturated_colour_outside_the_gamut_keeps_its_hue(tmp_path: Path) -> None:
    red, green, blue = shown(tmp_path, [(0.9, 0.05, 0.05)], make.BT709)[0]
    assert red > 0.9
    assert max(green, blue) < 0.35


def test_wide_gamut_without_hdr_keeps_grey_and_moves_colours(tmp_path: Path) -> None:
    grey, skin = shown(tmp_path, [(0.5, 0.5, 0.5), (0.7, 0.55, 0.5)], make.BT709)
    assert grey == pytest.approx([0.5, 0.5, 0.5], abs=0.01)
    assert skin[0] > 0.7  # the same numbers mean a stronger red in the wider gamut
    assert skin[2] < 0.5


def test_ten_bits_without_hdr_are_only_rounded(tmp_path: Path) -> None:
    def deep(width: int, height: int, index: int) -> np.ndarray:
        return make.gradient(width, height, index).astype(np.uint16) * 4

    clip = make.write_clip(tmp_path / "deep.mp4", picture=deep, pixel_format="yuv420p10le", frames=2)
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS)
    luma = next(read_planes(result.path)).yuv.y[0].numpy().astype(int)
    assert np.abs(luma - make.gradient(128, 96, 0)[:96]).max() <= 1
    assert result.notes == ()


@pytest.mark.parametrize(("transfer", "word"), [(make.PQ, "PQ"), (make.HLG, "HLG"), (make.BT709, "wide gamut")])
def test_the_user_is_told(transfer: int, word: str, tmp_path: Path) -> None:
    clip = make.write_clip(tmp_path / "clip.mp4", transfer=transfer, primaries=make.BT2020, matrix=make.BT2020, frames=2)
    info = probe(clip, limits=LIMITS)
    assert info.colour_matrix == "bt2020"
    assert any(word in note and "SDR" in note for note in info.notes)


def test_a_turned_and_scaled_hdr_clip_comes_out_upright(tmp_path: Path) -> None:
    clip = make.write_clip(
        tmp_path / "clip.mp4",
        size=(256, 128),
        frames=2,
        picture=patches([(pq(90.0),) * 3, (pq(1.0),) * 3]),
        pixel_format="yuv420p10le",
        transfer=make.PQ,
        primaries=make.BT2020,
        matrix=make.BT2020,
        rotation=90,
    )
    result = normalise_video(clip, tmp_path / "normalised.mp4", limits=LIMITS, long_side_max_px=128)
    assert (result.width, result.height) == (64, 128)
    luma = next(read_planes(result.path)).yuv.y[0]
    assert luma[:60].float().mean() > 2 * luma[68:].float().mean()


def test_dolby_vision_without_a_plain_layer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"Dolby Vision.*export it as SDR"):
        probe(make.dolby_vision_only(tmp_path), limits=LIMITS)


def as_still(folder: Path, luma: int, colours: make.Colours, profile: bytes = b"") -> tuple[list[float], tuple[str, ...]]:
    """R'G'B' in 0..1 of a HEIC of one colour after normalising, and the notes."""
    photo = make.write_heic(folder / "photo.heic", [[luma]], colours=colours, profile=profile)
    still = normalise_still(photo, folder / "still.png", limits=LIMITS)
    return (read_still(still.path)[32, 32] / 255).tolist(), still.notes


@pytest.mark.parametrize("boxed", [True, False], ids=["said in the boxes", "said by the coded picture"])
@pytest.mark.parametrize(("transfer", "word"), [(make.PQ, "PQ"), (make.HLG, "HLG")])
@pytest.mark.parametrize("colour", [(0.3, 0.3, 0.3), (0.58, 0.58, 0.58), (0.75, 0.75, 0.75), (0.5, 0.42, 0.36)])
def test_an_hdr_still_looks_as_the_same_picture_in_a_video(
    colour: tuple[float, float, float], transfer: int, word: str, boxed: bool, tmp_path: Path
) -> None:
    planes = patches([colour])(64, 64, 0)
    chroma = (int(planes[64, 0]), int(planes[-1, 0]))
    colours = make.Colours(make.BT2020, transfer, make.BT2020, deep=True, boxed=boxed, chroma=chroma)
    found, notes = as_still(tmp_path, int(planes[0, 0]), colours)
    assert found == pytest.approx(shown(tmp_path, [colour], transfer)[0], abs=0.012)
    assert any(word in note for note in notes)


def test_a_still_of_ten_bits_is_not_taken_for_hdr(tmp_path: Path) -> None:
    found, notes = as_still(tmp_path, 512, make.Colours(deep=True, chroma=(512, 512)))
    assert found == pytest.approx([(512 - 64) / 876] * 3, abs=0.005)
    assert not notes


def test_wide_colours_that_the_profile_and_the_coded_picture_both_name_are_converted_once(tmp_path: Path) -> None:
    reddish = make.Colours(make.P3, make.BT709, make.BT709, chroma=(110, 160))
    once, notes = as_still(tmp_path, 140, reddish, profile=make.display_p3())
    plain = make.Colours(chroma=(110, 160))
    (tmp_path / "alone").mkdir()
    assert once == as_still(tmp_path / "alone", 140, plain, profile=make.display_p3())[0]
    assert [note for note in notes if "colours" in note] == ["colours converted to sRGB from the embedded profile"]


def test_an_hdr_still_with_a_profile_too_is_brought_to_sdr_once(tmp_path: Path) -> None:
    colours = make.Colours(make.BT2020, make.PQ, make.BT2020, deep=True, chroma=(500, 540))
    (tmp_path / "alone").mkdir()
    with_profile, notes = as_still(tmp_path, 500, colours, profile=make.display_p3())
    assert with_profile == as_still(tmp_path / "alone", 500, colours)[0]
    assert len([note for note in notes if "PQ" in note]) == 1
