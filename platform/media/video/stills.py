"""Untrusted stills, normalised into the one form that is shown to the gate and rendered."""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from media.decoder.wire import Header
from media.digests import file_sha256
from media.errors import BadInput
from media.limits import MediaLimits
from media.video.info import NormalisedStill
from media.video.sandbox import decoding


def normalise_still(source: Path, destination: Path, *, limits: MediaLimits) -> NormalisedStill:
    """Write an untrusted still as the PNG that is used from here on: 8-bit sRGB, upright, no transparency, no metadata.

    Transparent parts are composited over grey; what lay beneath is written beside it as `<stem>.under-alpha.png`, for the gate to
    look at. Raises BadInput and leaves no file.
    """
    parts: dict[str, Image.Image] = {}
    notes: tuple[str, ...] = ()
    with decoding("still", source, limits) as messages:
        for header, payload in messages:
            if header["kind"] == "still":
                parts[header["part"]] = _image(header, payload)
                notes = tuple(header["notes"])
    if "seen" not in parts:
        raise BadInput("the image cannot be decoded; export it again as PNG")
    seen = parts["seen"]
    under_path = None
    if "under_alpha" in parts:
        under_path = destination.with_name(f"{destination.stem}.under-alpha.png")
        _write_png(parts["under_alpha"], under_path)
    _write_png(seen, destination)
    return NormalisedStill(
        path=destination,
        sha256=file_sha256(destination),
        width=seen.width,
        height=seen.height,
        under_alpha_path=under_path,
        notes=notes,
    )


def read_still(path: Path) -> Tensor:
    """A normalised still as uint8 RGB (H, W, 3). Raises BadInput when it is not one."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.mode != "RGB":
                raise BadInput(f"{path.name} is not a normalised still; normalise it first")
            return torch.from_numpy(np.array(image, dtype=np.uint8))
    except (UnidentifiedImageError, OSError) as error:
        raise BadInput(f"{path.name} cannot be read as a still; normalise the original again") from error


def _image(header: Header, payload: bytes) -> Image.Image:
    return Image.frombytes("RGB", (int(header["width"]), int(header["height"])), payload)


def _write_png(image: Image.Image, path: Path) -> None:
    partial = path.with_name(f".{path.name}.{secrets.token_hex(6)}.partial")
    try:
        image.save(partial, format="PNG", compress_level=1)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
