"""What the tests of the stages share: inputs made on the spot, and faces that stand at points of a plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import skimage.data
from django.utils import timezone
from numpy.typing import NDArray
from PIL import Image

from consent import services as consent_services
from consent.faces.engine import FaceModel, Thresholds
from consent.faces.observed import DriverSurvey, ObservedFace, Side, TrackArrays
from consent.models import Consent, Person
from consent.policy import WORLD, Assurance, Role
from consent.services import Scope
from media.frames import FrameBatch
from users.models import Studio

SIZE, FRAMES, RATE = 256, 12, 24
SOUND_RATE = 48_000
Point = tuple[float, float]
HER, HIM, NOBODY = (0.0, 0.0), (5.0, 5.0), (9.0, 9.0)  # far apart: the threshold is 0.42
HERS_TOO, HIS_FRIEND = (0.0, 9.0), (5.0, 9.0)  # beside her in the portrait; the second driver's performer
SECOND_RATE = 30  # of the second driver


class PlaneEngine:
    """Compares points of a plane."""

    model = FaceModel("plane", "1", "none", True, 2, Thresholds(match=0.42, review=0.55))

    def embed(self, image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.zeros(2)

    def distance(self, first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
        return float(np.linalg.norm(first - second))


@dataclass
class Sight:
    """Who is seen where. The stages' surveys are replaced by its methods; None is a face that cannot be matched."""

    portrait: Point | None = HER
    driver: Point | None = HIM
    rendered: Point | None = HER
    beside: tuple[Point, ...] = ()  # further faces of the portrait
    further: dict[str, Point] = field(default_factory=dict)  # of further driving files, by their name
    absent: range = range(0)  # frames of the drivers without a face
    height_px: float = 128.0  # of the faces of a still
    looks: list[Side] = field(default_factory=list)

    def survey_still(self, rgb: object, under_alpha: object, **_: Any) -> tuple[ObservedFace, ...]:
        landmarks = facing(self.height_px)
        seen = enumerate([self.portrait, *self.beside], start=1)
        return tuple(replace(_face(f"portrait:{n}", Side.PORTRAIT, at), landmarks=landmarks) for n, at in seen)

    def survey_driver(self, stream: Iterator[FrameBatch], *, side: Side = Side.DRIVER, label: str = "", **_: Any) -> DriverSurvey:
        count = sum(len(batch) for batch in stream)
        self.looks.append(side)
        by_side = {Side.PORTRAIT: self.portrait, Side.DRIVER: self.driver, Side.RENDERED: self.rendered}
        face = _face(f"{label or side}:1", side, self.further.get(label, by_side[side]))
        moving = facing(128.0) + np.random.default_rng(1).normal(size=(count, 1, 3)).astype(np.float32) * 8
        presence = np.ones(count, np.float32)
        if side is Side.DRIVER:
            moving[list(self.absent)] = np.nan
            presence[list(self.absent)] = 0
        return DriverSurvey((face,), {face.name: TrackArrays(moving, presence)}, count, Fraction(RATE), SIZE, SIZE)


def facing(height_px: float) -> NDArray[np.float32]:
    """Landmarks (478, 3) of a face of that height that looks at the camera."""
    points = np.full((478, 3), SIZE / 2, np.float32)
    points[10, 1], points[152, 1] = SIZE / 2 - height_px / 2, SIZE / 2 + height_px / 2
    points[234, 0], points[454, 0] = SIZE / 2 - height_px / 3, SIZE / 2 + height_px / 3
    return points


def _face(name: str, side: Side, at: Point | None) -> ObservedFace:
    mean = None if at is None else np.array(at)
    samples = None if at is None else np.array([at])
    note = "it is turned away" if at is None else ""
    return ObservedFace(name, side, (64.0, 64.0, 192.0, 192.0), mean, samples, frames=FRAMES, note=note)


def write_portrait(path: Path) -> Path:
    Image.fromarray(skimage.data.astronaut()[:320, 60:380]).resize((SIZE, SIZE)).save(path)
    return path


def write_driver(path: Path, *, tone: bool = False, frames: int = FRAMES, rate: int = RATE, seed: int = 2) -> Path:
    """Half a second of noise that drifts, or more, with a tone of 440 Hz if asked."""
    picture = np.random.default_rng(seed).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast"})
        video.width = video.height = SIZE
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=SOUND_RATE, layout="mono") if tone else None
        for number in range(frames):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.roll(picture, number, 1), format="rgb24")))
        container.mux(video.encode())
        if audio is not None:
            moments = np.arange(SOUND_RATE * frames // RATE, dtype=np.float32) / SOUND_RATE
            wave = (0.3 * np.sin(2 * np.pi * 440 * moments)).astype(np.float32)
            samples = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
            samples.sample_rate, samples.pts = SOUND_RATE, 0
            container.mux(audio.encode(samples))
            container.mux(audio.encode())
    return path


def agree(
    studio: Studio,
    at: tuple[float, float],
    role: Role,
    *,
    purpose: str = "internal_test",
    assurance: Assurance = Assurance.ATTESTED,
    voice: bool = False,
) -> Consent:
    """A person at a point of the plane who gave a consent for a day."""
    now = timezone.now()
    scope = Scope(role, frozenset({purpose}), frozenset({WORLD}), now - timedelta(minutes=1), now + timedelta(days=1), voice)
    person = Person.objects.create(studio=studio, display_name="Ada")
    consent_services.keep_template(
        person=person,
        engine_id=PlaneEngine.model.id,
        embedding=np.array(at),
        quality=0.9,
        assurance=assurance,
        destroy_by=now + timedelta(days=2),
    )
    asked = consent_services.request_consent(
        person=person, scope=scope, assurance=assurance, actor="system:test", notice_version="t"
    )
    return consent_services.give_consent(consent_id=asked.pk, actor="system:test")
