"""A still is normalised once: upright, sRGB, eight bits, nothing hidden."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from media.errors import BadInput
from media.limits import MediaLimits
from media.video import normalise_still, read_still
from tests.hostile import make

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


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "bmp", "avif"])
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


def as_srgb(colour: tuple[int, int, int]) -> list[float]:
    """Display P3 at gamma 2.2 -> sRGB in floating point (IEC 61966-2-1)."""
    linear = (np.array(colour) / 255) ** 2.2
    matrix = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
    linear = np.clip(matrix @ linear, 0, 1)
    return (255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)).tolist()


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tiff", "avif"])
def test_the_wide_colours_of_a_phone_become_srgb(ending: str, tmp_path: Path) -> None:
    colour = (200, 120, 90)
    Image.new("RGB", (96, 96), colour).save(tmp_path / f"photo.{ending}", icc_profile=make.display_p3(), quality=98)
    result = normalise_still(tmp_path / f"photo.{ending}", tmp_path / "still.png", limits=LIMITS)
    assert read_still(result.path)[48, 48].tolist() == pytest.approx(as_srgb(colour), abs=3)
    assert any("sRGB" in note for note in result.notes)


def test_an_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    corner_mark().save(tmp_path / "tagged.png", icc_profile=profile)
    same = normalise_still(tmp_path / "tagged.png", tmp_path / "still.png", limits=LIMITS)
    assert np.abs(read_still(same.path).numpy().astype(int) - np.asarray(corner_mark()).astype(int)).max() <= 1


GREYS = [[60, 120, 90], [180, 220, 200]]
SHOWN = np.array([[round((code - 16) * 255 / 219) for code in row] for row in GREYS])


@pytest.mark.parametrize(
    ("turn", "mirror", "expected"),
    [
        (0, None, SHOWN),
        (1, None, np.rot90(SHOWN, 1)),
        (2, None, np.rot90(SHOWN, 2)),
        (3, None, np.rot90(SHOWN, 3)),
        (0, 0, SHOWN[::-1]),
        (0, 1, SHOWN[:, ::-1]),
        (1, 1, np.rot90(SHOWN, 1)[:, ::-1]),
    ],
)
def test_a_phone_photo_in_tiles_is_read_upright(turn: int, mirror: int | None, expected: np.ndarray, tmp_path: Path) -> None:
    photo = make.write_heic(tmp_path / "photo.heic", GREYS, turn=turn, mirror=mirror)
    result = normalise_still(photo, tmp_path / "still.png", limits=LIMITS)
    pixels = read_still(result.path).numpy().astype(int)
    assert pixels.shape == (expected.shape[0] * 64, expected.shape[1] * 64, 3)
    assert np.abs(pixels[32::64, 32::64] - expected[..., None]).max() <= 1


def test_the_profile_of_a_phone_photo_counts(tmp_path: Path) -> None:
    photo = make.write_heic(tmp_path / "photo.heic", [[120]], profile=make.display_p3())
    result = normalise_still(photo, tmp_path / "still.png", limits=LIMITS)
    assert any("sRGB" in note for note in result.notes)


def test_what_an_avif_hides_under_transparency_is_found(tmp_path: Path) -> None:
    Image.new("RGBA", (80, 80), (255, 0, 0, 127)).save(tmp_path / "glass.avif", quality=98)
    result = normalise_still(tmp_path / "glass.avif", tmp_path / "still.png", limits=LIMITS)
    assert read_still(result.path)[40, 40].tolist() == pytest.approx([191, 64, 64], abs=3)
    assert result.under_alpha_path is not None
    assert read_still(result.under_alpha_path)[40, 40].tolist() == pytest.approx([255, 0, 0], abs=3)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_pixel_becomes_rgb(mode: str, tmp_path: Path) -> None:
    grey = Image.new("L", (96, 96), 255)
    image = Image.fromarray(np.full((96, 96), 65_535, np.uint16)) if mode == "I;16" else grey.convert(mode)
    image.save(tmp_path / "photo.tiff")
    pixels = read_still(normalise_still(tmp_path / "photo.tiff", tmp_path / "still.png", limits=LIMITS).path)
    assert pixels[48, 48].tolist() == [255, 255, 255]


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


def test_an_animation_that_counts_one_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plays.png"
    Image.new("RGB", (96, 96)).save(path)
    control = struct.pack(">II", 2, 0)
    chunk = struct.pack(">I", len(control)) + b"acTL" + control + struct.pack(">I", zlib.crc32(b"acTL" + control))
    at = path.read_bytes().index(b"IDAT") - 4
    path.write_bytes(path.read_bytes()[:at] + 2 * chunk + path.read_bytes()[at:])
    with pytest.raises(BadInput, match=r"animated|pictures"):
        normalise_still(path, tmp_path / "still.png", limits=LIMITS)


def test_a_truncated_photo_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.jpg")
    data = (tmp_path / "photo.jpg").read_bytes()
    (tmp_path / "photo.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadInput, match="cut short"):
        normalise_still(tmp_path / "photo.jpg", tmp_path / "still.png", limits=LIMITS)
