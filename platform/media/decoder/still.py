"""From an untrusted image file to upright 8-bit sRGB pixels without transparency."""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.error import FFmpegError
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from media.decoder.colours import HDR_TRANSFERS
from media.decoder.heif import GRADED, HeifStill, is_heif
from media.decoder.heif_boxes import BROKEN
from media.errors import BadInput
from media.limits import MediaLimits

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
MULTI_PICTURE_JPEG = "MPO"  # the JPEG of many phones, with a depth map or thumbnail behind it; opened as JPEG
ANIMATED = b"acTL"  # a PNG with two of them counts one picture for Pillow and plays in browsers
CICP = b"\0\0\0\4cICP"  # length and kind of the chunk; primaries and transfer follow
SIDE_MIN_PX = 64
NEUTRAL = 128  # grey behind transparent pixels
DEEP_MODES = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
NO_IMAGE = "this is not a JPEG, PNG, WebP, HEIC, AVIF, TIFF or BMP image, whatever its name says; export it as PNG"
BROKEN_BY = (
    OSError,
    ValueError,
    LookupError,
    ArithmeticError,
    SyntaxError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
    FFmpegError,
)

Pixels = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class StillPixels:
    """rgb: uint8 (H, W, 3). under_alpha: the colours stored beneath transparency, same shape, when any pixel is transparent."""

    rgb: Pixels
    under_alpha: Pixels | None
    notes: list[str]


def normalise(path: Path, limits: MediaLimits) -> StillPixels:
    """Read a still. Raises BadInput for other files, animations, broken images and ones over the limits."""
    try:
        return _convert(_heif(path, limits)) if _is_heif(path) else _by_pillow(path, limits)
    except UnidentifiedImageError as error:
        raise BadInput(NO_IMAGE) from error
    except BROKEN_BY as error:
        raise BadInput(BROKEN) from error


def _heif(path: Path, limits: MediaLimits) -> Image.Image:
    still = HeifStill(path)
    _check_size(still.width, still.height, limits)
    return still.image()


def _by_pillow(path: Path, limits: MediaLimits) -> StillPixels:
    warnings.simplefilter("ignore")  # Pillow warns of large images; `_check_size` refuses them
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(path, formats=FORMATS) as image:
        _check_size(image.width, image.height, limits)
        _refuse_animation(image)
        _refuse_what_pillow_misreads(path, image)
        image.load()
        return _convert(image)


def _is_heif(path: Path) -> bool:
    with path.open("rb") as file:
        return is_heif(file.read(12))


def _check_size(width: int, height: int, limits: MediaLimits) -> None:
    if min(width, height) < SIDE_MIN_PX:
        raise BadInput(f"the image is {width}x{height} pixels, too small to use; upload one of at least {SIDE_MIN_PX} a side")
    if max(width, height) > limits.still_side_px or width * height > limits.still_pixels:
        bound = f"{limits.still_side_px} a side and {limits.still_pixels // 1_000_000} megapixels"
        raise BadInput(f"the image is {width}x{height} pixels, over the limit of {bound}; scale it down first")


def _refuse_animation(image: Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != MULTI_PICTURE_JPEG:
        raise BadInput(f"the image holds {frames} pictures; upload a still with one, or a video")


def _refuse_what_pillow_misreads(path: Path, image: Image.Image) -> None:
    """Raise BadInput for what Pillow takes for a plain still: an animated PNG, and one whose codes are PQ or HLG (its cICP chunk,
    ITU-T H.273)."""
    if image.format != "PNG":
        return
    head = path.read_bytes().partition(b"IDAT")[0]  # such a chunk comes before the pixels
    if ANIMATED in head:
        raise BadInput("the image is animated; upload a still with one picture, or a video")
    at = head.find(CICP)
    if at >= 0 and at + 9 < len(head) and head[at + 9] in HDR_TRANSFERS:
        raise BadInput("the image is HDR, coded in a way that cannot be read here; export it as SDR, or as HEIC or AVIF")


def _convert(image: Image.Image) -> StillPixels:
    notes: list[str] = [image.info[GRADED]] if GRADED in image.info else []
    profile = image.info.get("icc_profile")
    upright = ImageOps.exif_transpose(image)
    if image.getexif().get(0x0112, 1) != 1:
        notes.append("turned upright as its EXIF orientation says")
    colour, alpha = _split_alpha(_eight_bit(upright, notes))
    rgb = _to_srgb(colour, profile, notes)
    pixels = np.asarray(rgb, dtype=np.uint8)
    if alpha is None or alpha.min() == 255:
        return StillPixels(rgb=pixels, under_alpha=None, notes=notes)
    notes.append("transparent parts were filled with grey")
    weight = alpha[..., None].astype(np.uint16)
    over = (pixels * weight + NEUTRAL * (255 - weight) + 127) // 255
    return StillPixels(rgb=over.astype(np.uint8), under_alpha=pixels, notes=notes)


def _eight_bit(image: Image.Image, notes: list[str]) -> Image.Image:
    """16-bit and float grey reduced to 8 bits; Pillow itself would clip them."""
    if image.mode in DEEP_MODES:
        notes.append("reduced from 16 to 8 bits")
        deep = np.asarray(image).astype(np.int64)
        return Image.fromarray(((np.clip(deep, 0, 65_535) * 255 + 32_767) // 65_535).astype(np.uint8))
    if image.mode == "F":
        raise BadInput("the image holds floating-point pixels; export it as an 8-bit JPEG or PNG")
    return image


def _split_alpha(image: Image.Image) -> tuple[Image.Image, np.ndarray[tuple[int, int], np.dtype[np.uint8]] | None]:
    """The image without its transparency, and the alpha channel (H, W) when there is one."""
    if not image.has_transparency_data:
        return image, None
    full = image.convert("RGBA")
    return full.convert("RGB"), np.asarray(full.getchannel("A"))


def _to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    if image.mode not in ("RGB", "CMYK", "L"):
        image = image.convert("RGB")
    if not profile:
        return image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), image.mode, "RGB")
        converted = ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, OSError):
        notes.append("its colour profile is unusable and was ignored")
        return image.convert("RGB")
    notes.append("colours converted to sRGB from the embedded profile")
    return image.convert("RGB") if converted is None else converted
