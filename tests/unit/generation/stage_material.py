"""What the tests of the stages share: inputs made on the spot, and faces that stand at points of a plane."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
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
HER, HIM, NOBODY = (0.0, 0.0), (5.0, 5.0), (9.0, 9.0)  # far apart: the threshold is 0.42


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

    portrait: tuple[float, float] | None = HER
    driver: tuple[float, float] | None = HIM
    rendered: tuple[float, float] | None = HER
    looks: list[Side] = field(default_factory=list)

    def survey_still(self, rgb: object, under_alpha: object, **_: Any) -> tuple[ObservedFace, ...]:
        return (_face(Side.PORTRAIT, self.portrait),)

    def survey_driver(self, stream: Iterator[FrameBatch], *, side: Side = Side.DRIVER, **_: Any) -> DriverSurvey:
        count = sum(len(batch) for batch in stream)
        self.looks.append(side)
        face = _face(side, self.rendered if side is Side.RENDERED else self.driver)
        moving = np.random.default_rng(1).normal(size=(count, 478, 3)).astype(np.float32) * 8
        track = TrackArrays(moving, np.ones(count, np.float32))
        return DriverSurvey((face,), {face.name: track}, count, Fraction(RATE), SIZE, SIZE)


def _face(side: Side, at: tuple[float, float] | None) -> ObservedFace:
    mean = None if at is None else np.array(at)
    samples = None if at is None else np.array([at])
    note = "it is turned away" if at is None else ""
    return ObservedFace(f"{side}:1", side, (64.0, 64.0, 192.0, 192.0), mean, samples, frames=FRAMES, note=note)


def write_portrait(path: Path) -> Path:
    Image.fromarray(skimage.data.astronaut()[:320, 60:380]).resize((SIZE, SIZE)).save(path)
    return path


def write_driver(path: Path, *, tone: bool = False) -> Path:
    """Half a second of noise that drifts, with a tone of 440 Hz if asked."""
    picture = np.random.default_rng(2).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        video.width = video.height = SIZE
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=SOUND_RATE, layout="mono") if tone else None
        for number in range(FRAMES):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.roll(picture, number, 1), format="rgb24")))
        container.mux(video.encode())
        if audio is not None:
            moments = np.arange(SOUND_RATE * FRAMES // RATE, dtype=np.float32) / SOUND_RATE
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
