"""A still is normalised once: upright, sRGB, eight bits, nothing hidden."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from media.errors import BadInput
from media.limits import MediaLimits
from media.video import normalise_still, read_still

LIMITS = MediaLimits()
ORIENTATION = 0x0112


def corner_mark(width: int = 96, height: int = 72) -> Image.Image:
    """Grey with a red top left quarter."""
    pixels = np.full((height, width, 3), 120, np.uint8)
    pixels[: height // 3, : width // 3] = (220, 30, 30)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("orientation", "corner"),  # where the stored top left corner is shown (EXIF 2.32, tag 274)
    [(1, (0, 0)), (2, (0, -1)), (3, (-1, -1)), (4, (-1, 0)), (5, (0, 0)), (6, (0, -1)), (7, (-1, -1)), (8, (-1, 0))],
)
def test_the_exif_orientation_is_applied(orientation: int, corner: tuple[int, int], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    corner_mark().save(tmp_path / "photo.jpg", exif=exif, quality=95)
    result = normalise_still(tmp_path / "photo.jpg", tmp_path / "still.png", limits=LIMITS)
    pixels = read_still(result.path)
    assert (result.width, result.height) == ((72, 96) if orientation >= 5 else (96, 72))
    assert [(r, c) for r in (0, -1) for c in (0, -1) if pixels[r, c, 0] > 180] == [corner]
    assert bool(result.notes) == (orientation != 1)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "bmp"])
def test_every_accepted_format_is_read(ending: str, tmp_path: Path) -> None:
    corner_mark().save(tmp_path / f"photo.{ending}")
    result = normalise_still(tmp_path / f"photo.{ending}", tmp_path / "still.png", limits=LIMITS)
    expected = np.asarray(corner_mark()).astype(int)
    assert np.abs(read_still(result.path).numpy().astype(int) - expected).mean() < 4


def test_metadata_does_not_come_along(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a private remark"
    corner_mark().save(tmp_path / "photo.jpg", exif=exif)
    result = normalise_still(tmp_path / "photo.jpg", tmp_path / "still.png", limits=LIMITS)
    assert b"private" not in result.path.read_bytes()


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65535, 128).astype(np.uint16), (96, 1))
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    pixels = read_still(normalise_still(tmp_path / "deep.png", tmp_path / "still.png", limits=LIMITS).path)
    assert pixels[0, :, 0].tolist() == pytest.approx((ramp[0] / 257).tolist(), abs=1)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (96, 96), (0, 255, 255, 0)).save(tmp_path / "print.jpg", quality=95)
    red, green, blue = read_still(normalise_still(tmp_path / "print.jpg", tmp_path / "still.png", limits=LIMITS).path)[
        48, 48
    ].tolist()
    assert red > 200
    assert max(green, blue) < 60


def test_an_embedded_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    """The same numbers in a Lab-like wide space look different: a profile with swapped meaning must change the pixels."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    corner_mark().save(tmp_path / "tagged.png", icc_profile=profile)
    same = normalise_still(tmp_path / "tagged.png", tmp_path / "still.png", limits=LIMITS)
    assert np.abs(read_still(same.path).numpy().astype(int) - np.asarray(corner_mark()).astype(int)).max() <= 1
    assert any("sRGB" in note for note in same.notes)


def test_a_broken_profile_is_ignored_and_said(tmp_path: Path) -> None:
    corner_mark().save(tmp_path / "tagged.png", icc_profile=b"no profile" * 20)
    result = normalise_still(tmp_path / "tagged.png", tmp_path / "still.png", limits=LIMITS)
    assert any("profile is unusable" in note for note in result.notes)
    assert np.array_equal(read_still(result.path).numpy(), np.asarray(corner_mark()))


def test_half_transparent_pixels_are_blended_with_grey(tmp_path: Path) -> None:
    Image.new("RGBA", (80, 80), (255, 0, 0, 127)).save(tmp_path / "glass.webp", lossless=True)
    result = normalise_still(tmp_path / "glass.webp", tmp_path / "still.png", limits=LIMITS)
    assert read_still(result.path)[40, 40].tolist() == pytest.approx([191, 64, 64], abs=1)
    assert result.under_alpha_path is not None
    assert read_still(result.under_alpha_path)[40, 40].tolist() == [255, 0, 0]


def test_an_opaque_alpha_channel_hides_nothing(tmp_path: Path) -> None:
    corner_mark().convert("RGBA").save(tmp_path / "opaque.png")
    assert normalise_still(tmp_path / "opaque.png", tmp_path / "still.png", limits=LIMITS).under_alpha_path is None


def test_a_palette_with_a_transparent_colour_is_transparent(tmp_path: Path) -> None:
    image = Image.new("P", (80, 80), 1)
    image.putpalette([0, 0, 0, 10, 200, 10])
    image.save(tmp_path / "palette.png", transparency=1)
    result = normalise_still(tmp_path / "palette.png", tmp_path / "still.png", limits=LIMITS)
    assert result.under_alpha_path is not None
    assert read_still(result.under_alpha_path)[0, 0].tolist() == [10, 200, 10]


def test_equal_stills_give_equal_files(tmp_path: Path) -> None:
    corner_mark().save(tmp_path / "photo.png")
    digests = {normalise_still(tmp_path / "photo.png", tmp_path / f"{n}.png", limits=LIMITS).sha256 for n in range(2)}
    assert len(digests) == 1


def test_several_pages_are_refused(tmp_path: Path) -> None:
    corner_mark().save(tmp_path / "pages.tiff", save_all=True, append_images=[corner_mark()])
    with pytest.raises(BadInput, match="2 pictures"):
        normalise_still(tmp_path / "pages.tiff", tmp_path / "still.png", limits=LIMITS)


def test_a_truncated_photo_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.jpg")
    data = (tmp_path / "photo.jpg").read_bytes()
    (tmp_path / "photo.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadInput, match="cut short"):
        normalise_still(tmp_path / "photo.jpg", tmp_path / "still.png", limits=LIMITS)
