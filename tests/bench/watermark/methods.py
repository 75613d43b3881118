"""The methods compared: ours, and the three of the invisible-watermark package, at their defaults and at our strength."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import imwatermark
import numpy as np
import torch

import provenance.watermark
from media.frames import FrameBatch, YuvPlanes
from media.video import read_planes
from media.video.colour import to_rgb, to_yuv
from provenance.watermark import SCHEME_2, Detector, Embedder, derive_key, margin
from tests.bench import watermark_clips as clips

MASTER = b"a master secret of the benchmark"
KEY_NAME = "studio/2026-11"
SYNC_NAME = "sync"
PAYLOAD = 0x0123456789ABCDEF
ISSUED = 100_000
_SAMPLED_FRAMES = {"dwtDct": 12, "dwtDctSvd": 12, "rivaGan": 3}  # of a clip; a network on every frame would take hours


class Method(Protocol):
    """One way to mark and read a clip. version: changes when its answers may; embed_version: when its marks may."""

    name: str

    @property
    def version(self) -> str: ...

    @property
    def embed_version(self) -> str: ...

    def mark(self, clip: clips.Clip) -> clips.Clip: ...

    def read(self, path: Path) -> Mapping[str, Any]: ...


_SHARED = ("carrier", "codec", "keystream", "keys", "schemes", "colour")
_EMBEDDER = ("embedder", "carrier", "codec", "keystream", "keys", "masking", "schemes", "colour")
_DETECTOR = (
    "detector",
    "geometry",
    "issued",
    "ladder",
    "lattice",
    "residual",
    "search",
    "spectrum",
    "statistic",
    "views",
    *_SHARED,
)


def _digest(names: Sequence[str]) -> str:
    """Of some of our source files."""
    folder = Path(provenance.watermark.__path__[0])
    return hashlib.sha256(b"".join((folder / f"{name}.py").read_bytes() for name in names)).hexdigest()[:12]


def detector_version() -> str:
    """Changes when the code that reads marks does."""
    return _digest(_DETECTOR)


@dataclass(frozen=True)
class Ours:
    """Our mark. Reads with a list of issued ids, ours among them, and says what a free decode alone would have found."""

    name: str = "countersign"

    @property
    def version(self) -> str:
        return detector_version()

    @property
    def embed_version(self) -> str:
        return _digest(_EMBEDDER)

    def mark(self, clip: clips.Clip) -> clips.Clip:
        key = derive_key(MASTER, KEY_NAME)
        embedder = Embedder(key, PAYLOAD, SCHEME_2, sync_key=derive_key(MASTER, SYNC_NAME))
        return clips.collect(embedder.embed(clip.batches()), clip.rate)

    def read(self, path: Path) -> Mapping[str, Any]:
        detection = _detector().detect(read_planes(path))
        return {
            "recovered": detection.payload == PAYLOAD,
            "wrong": detection.found and detection.payload != PAYLOAD,
            "log_evidence": round(detection.log_evidence, 1),
            "required": round(detection.required_log_evidence, 1),
            "margin": round(margin(detection), 1),
            "false_match_probability": detection.false_match_probability,
        }


@lru_cache(maxsize=1)
def _detector() -> Detector:
    draw = random.Random(11)
    ids = [PAYLOAD, *(draw.getrandbits(64) for _ in range(ISSUED - 1))]
    return Detector({KEY_NAME: derive_key(MASTER, KEY_NAME)}, ids, sync_key=derive_key(MASTER, SYNC_NAME))


@dataclass(frozen=True)
class InvisibleWatermark:
    """A method of the invisible-watermark package on every frame; read from frames spread over the clip by majority.

    scale: its strength, None for the default; for rivaGan, which has none, a factor on what it adds.
    """

    method: str
    bits: int
    label: str
    scale: float | None = None

    @property
    def name(self) -> str:
        return f"{self.method} {self.label}"

    @property
    def version(self) -> str:
        return "0.2.0"

    @property
    def embed_version(self) -> str:
        return f"0.2.0-{self.scale}"

    @property
    def _message(self) -> list[int]:
        return [(PAYLOAD >> i) & 1 for i in range(self.bits)]

    @property
    def _options(self) -> dict[str, Any]:
        return {} if self.scale is None or self.method == "rivaGan" else {"scales": [0, self.scale, 0]}

    def mark(self, clip: clips.Clip) -> clips.Clip:
        return clips.collect(map(self._mark_batch, clip.batches()), clip.rate)

    def _mark_batch(self, batch: FrameBatch) -> FrameBatch:
        rgb = to_rgb(batch).rgb.numpy()
        encoder = _package().WatermarkEncoder()
        encoder.set_watermark("bits", self._message)
        marked = np.stack(
            [encoder.encode(np.ascontiguousarray(frame[:, :, ::-1]), self.method, **self._options) for frame in rgb]
        )
        change = marked[..., ::-1].astype(np.float32) - rgb
        factor = self.scale if self.scale is not None and self.method == "rivaGan" else 1.0
        pixels = torch.from_numpy(np.clip(np.round(rgb + factor * change), 0, 255).astype(np.uint8))
        return to_yuv(batch.with_pixels(pixels))

    def read(self, path: Path) -> Mapping[str, Any]:
        frames = [FrameBatch(p, b.timestamps_s[i : i + 1]) for b in read_planes(path) for i, p in enumerate(_planes(b))]
        decoder = _package().WatermarkDecoder("bits", self.bits)
        votes = []
        for index in np.linspace(0, len(frames) - 1, min(_SAMPLED_FRAMES[self.method], len(frames))).astype(int):
            bgr = np.ascontiguousarray(to_rgb(frames[index]).rgb[0].numpy()[:, :, ::-1])
            if bgr.shape[0] * bgr.shape[1] >= 256 * 256:
                votes.append(np.asarray(decoder.decode(bgr, self.method, **self._options), dtype=np.float64))
        share = np.mean(votes, axis=0) if votes else np.full(self.bits, 0.5)
        right = float(((share > 0.5) == np.array(self._message, dtype=bool)).mean())
        return {"recovered": right == 1.0, "wrong": False, "bits_right": round(right, 3)}


def _planes(batch: FrameBatch) -> list[YuvPlanes]:
    planes = batch.yuv
    return [YuvPlanes(planes.y[i : i + 1], planes.u[i : i + 1], planes.v[i : i + 1]) for i in range(len(batch))]


@lru_cache(maxsize=1)
def _package() -> Any:
    imwatermark.WatermarkEncoder.loadModel()
    return imwatermark


def matched(method: InvisibleWatermark, clip: clips.Clip, error: float) -> InvisibleWatermark:
    """The method at the strength whose mean square error over Y, Cb and Cr samples comes nearest to `error`, on one frame."""
    low, high = 0.02, 200.0
    frame = clip.cut(0, 1)
    for _ in range(12):
        middle = (low * high) ** 0.5
        trial = replace(method, scale=middle)
        low, high = (middle, high) if error_of(frame, trial.mark(frame)) < error else (low, middle)
    return replace(method, label="matched", scale=round(low, 3))


def error_of(before: clips.Clip, after: clips.Clip) -> float:
    """Mean square error over all samples of 4:2:0."""
    planes = [(getattr(before, name).float(), getattr(after, name).float()) for name in ("y", "u", "v")]
    return float(sum((a - b).square().sum() for a, b in planes)) / sum(a.numel() for a, _ in planes)


BASELINES: Mapping[str, Callable[[], InvisibleWatermark]] = MappingProxyType(
    {
        "dwtDct": lambda: InvisibleWatermark("dwtDct", 64, "default"),
        "dwtDctSvd": lambda: InvisibleWatermark("dwtDctSvd", 64, "default"),
        "rivaGan": lambda: InvisibleWatermark("rivaGan", 32, "default"),
    }
)
