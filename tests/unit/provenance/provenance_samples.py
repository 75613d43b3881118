"""Small clips made by the tests: a drawn portrait that performs, with a voice-like sound."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import torch

from media.frames import FrameBatch, YuvPlanes
from provenance.credentials.manifest import (
    ConsentStatement,
    DigitalSourceType,
    Ingredient,
    ManifestInputs,
    Software,
    WatermarkBinding,
)
from provenance.fingerprint.video import VideoFingerprint, VideoFingerprinter

RATE = 25
SOUND_RATE = 16_000
Frames = npt.NDArray[np.uint8]


def performance(*, portrait: int = 1, driver: int = 1, seconds: float = 3.0, height: int = 192, width: int = 256) -> Frames:
    """Luma frames (T, H, W) of a portrait whose head sways and whose mouth and eyes move; both are random by their numbers."""
    count = round(seconds * RATE)
    picture = _portrait(portrait, height, width)
    course = _smooth(np.random.default_rng(1000 + driver), count, 4)
    rows, columns = np.mgrid[0:height, 0:width]
    face = np.exp(-(((rows - height * 0.5) / (height * 0.33)) ** 4 + ((columns - width * 0.5) / (width * 0.24)) ** 4))
    frames = []
    for sway, nod, mouth, eyes in course:
        moved = _shift(picture, face * nod * height * 0.03, face * sway * width * 0.04)
        _ellipse(moved, rows, columns, 0.68 + nod * 0.03, 0.5 + sway * 0.04, 0.02 + 0.05 * abs(mouth), 0.09, 40)
        for side in (-1, 1):
            _ellipse(moved, rows, columns, 0.42 + nod * 0.03, 0.5 + 0.1 * side + sway * 0.04, 0.015 + 0.02 * abs(eyes), 0.035, 60)
        frames.append(np.clip(moved, 16, 235).astype(np.uint8))
    return np.stack(frames)


def voice(*, number: int = 1, seconds: float = 3.0) -> npt.NDArray[np.float32]:
    """Mono float32 at 16 kHz: harmonics whose strengths and pitch wander like speech."""
    chance = np.random.default_rng(number)
    count = round(seconds * SOUND_RATE)
    moments = np.linspace(0, 1, count)

    def wander(points: int) -> npt.NDArray[np.float64]:
        return np.interp(moments, np.linspace(0, 1, points), chance.random(points))

    phase = np.cumsum(110 + 60 * wander(max(3, int(seconds * 3)))) / SOUND_RATE * 2 * np.pi
    tone = sum(wander(max(4, int(seconds * 7))) * np.sin(step * phase) / step for step in range(1, 25))
    return (tone * (0.2 + wander(max(4, int(seconds * 8)))) * 0.1).astype(np.float32)


def write_clip(
    path: Path, frames: Frames, *, sound: npt.NDArray[np.float32] | None = None, crf: int = 18, scale: float = 1.0
) -> Path:
    """Writes luma frames as grey H.264, with AAC sound if given."""
    height, width = (round(side * scale / 2) * 2 for side in frames.shape[1:])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(RATE), options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        audio = container.add_stream("aac", rate=SOUND_RATE, layout="mono") if sound is not None else None
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="gray").reformat(width, height, "yuv420p", interpolation="BICUBIC")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
        if audio is not None and sound is not None:
            samples = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            samples.sample_rate, samples.pts = SOUND_RATE, 0
            container.mux(audio.encode(samples))
            container.mux(audio.encode())
    return path


def remux(source: Path, destination: Path) -> Path:
    """Copies the streams into a new file; whatever else the file carried is gone."""
    with av.open(str(source)) as given, av.open(str(destination), "w") as made:
        streams = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                made.mux(packet)
    return destination


def flip_byte(source: Path, destination: Path, *, box: bytes = b"mdat", distance: int = 3000) -> Path:
    """A copy with one bit changed `distance` bytes into a box."""
    content = bytearray(source.read_bytes())
    content[content.rfind(box) + distance] ^= 1
    destination.write_bytes(content)
    return destination


def graft_manifest(donor: Path, receiver: Path, destination: Path) -> Path:
    """`receiver` with the manifest box of `donor` in front of its media, chunk offsets left as a forger would leave them: right.

    The receiver must be unsigned; the box goes to the end, where nothing has to move.
    """
    content = donor.read_bytes()
    start = content.find(b"uuid" + bytes.fromhex("d8fec3d61b0e483c92975828877ec481")) - 4
    length = int.from_bytes(content[start : start + 4], "big")
    destination.write_bytes(receiver.read_bytes() + content[start : start + length])
    return destination


def batches(frames: Frames, *, rate: float = RATE, size: int = 8) -> Iterator[FrameBatch]:
    """The frames as planar batches of one grey plane, neutral colour."""
    for first in range(0, len(frames), size):
        luma = torch.from_numpy(frames[first : first + size].copy())
        chroma = torch.full((len(luma), luma.shape[1] // 2, luma.shape[2] // 2), 128, dtype=torch.uint8)
        stamps = torch.arange(first, first + len(luma), dtype=torch.float64) / rate
        yield FrameBatch(YuvPlanes(luma, chroma, chroma.clone()), stamps)


def fingerprint_of(frames: Frames, *, rate: float = RATE) -> VideoFingerprint:
    fingerprinter = VideoFingerprinter()
    for batch in batches(frames, rate=rate):
        fingerprinter.update(batch)
    return fingerprinter.finish()


def decoded(path: Path) -> Frames:
    """Luma frames of a file."""
    with av.open(str(path)) as container:
        return np.stack(
            [frame.to_ndarray(format="yuv420p")[: frame.height, : frame.width] for frame in container.decode(video=0)]
        )


def manifest_inputs(
    *, watermark_id: str = "0123456789abcdef", fingerprint: bytes = b"fingerprint", label: str | None = None
) -> ManifestInputs:
    return ManifestInputs(
        generator=Software("Countersign", "0.1.0"),
        engine=Software("mesh", "1"),
        source_type=DigitalSourceType.COMPOSITE_WITH_TRAINED,
        ingredients=(Ingredient("portrait", "ab" * 32, "image/png"), Ingredient("driver", "cd" * 32, "video/mp4")),
        binding=WatermarkBinding("org.countersign.video.1", bytes.fromhex(watermark_id), ((0.0, 3.0),)),
        consent=ConsentStatement(("b4f1",), "ef" * 32, "https://example.org/c/b4f1"),
        fingerprint=fingerprint,
        fingerprint_alg="org.countersign.fingerprint.video.2",
        visible_label=label,
    )


def _portrait(number: int, height: int, width: int) -> npt.NDArray[np.float64]:
    chance = np.random.default_rng(number)
    coarse = torch.from_numpy(chance.random((1, 1, 6, 8)) * 150 + 50)
    fine = torch.from_numpy(chance.random((1, 1, 30, 40)) * 40 - 20)
    resized = [
        torch.nn.functional.interpolate(part, (height, width), mode="bicubic", align_corners=False) for part in (coarse, fine)
    ]
    return (resized[0] + resized[1])[0, 0].numpy()


def _smooth(chance: np.random.Generator, count: int, kinds: int) -> npt.NDArray[np.float64]:
    points = max(4, count // 6)
    knots = chance.random((points, kinds)) * 2 - 1
    return np.stack([np.interp(np.linspace(0, 1, count), np.linspace(0, 1, points), knots[:, kind]) for kind in range(kinds)], 1)


def _shift(
    picture: npt.NDArray[np.float64], rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    height, width = picture.shape
    y, x = np.mgrid[0:height, 0:width]
    grid = np.stack([(x - columns) / (width - 1) * 2 - 1, (y - rows) / (height - 1) * 2 - 1], -1)
    moved = torch.nn.functional.grid_sample(
        torch.from_numpy(picture)[None, None], torch.from_numpy(grid)[None], align_corners=True, padding_mode="border"
    )
    return moved[0, 0].numpy().copy()


def _ellipse(
    picture: npt.NDArray[np.float64],
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    y: float,
    x: float,
    high: float,
    wide: float,
    luma: float,
) -> None:
    height, width = picture.shape
    inside = ((rows / height - y) / high) ** 2 + ((columns / width - x) / wide) ** 2 <= 1
    picture[inside] = luma
