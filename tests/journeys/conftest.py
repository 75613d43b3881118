"""Fixtures of the journeys: the people and their clips, made once, and a pipeline that runs in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from builders import People, make_people
from pytest_django.fixtures import Settings
from torch import Tensor

from consent.enrolment import Photo, template_from
from consent.faces import survey
from consent.faces.finding import FoundFace, thorough_finder
from consent.gate import face_engine
from generation import dispatch
from media.video import read_still


class RememberingFinder:
    """The real thorough search, done once for each picture of the run: it is a function of the pixels alone."""

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._seen: dict[tuple[torch.Size, bytes], list[FoundFace]] = {}

    def find(self, rgb: Tensor) -> list[FoundFace]:
        key = (rgb.shape, rgb.contiguous().numpy().tobytes())
        if key not in self._seen:
            self._seen[key] = thorough_finder(self._device).find(rgb)
        return self._seen[key]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def remembering_finder() -> Iterator[RememberingFinder]:
    """Most journeys look at the same portrait; the two seconds of searching it are spent once."""
    finder = RememberingFinder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey, "thorough_finder", lambda device: finder)
        yield finder


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory, remembering_finder: RememberingFinder) -> People:
    """A depicted astronaut, a talking man who performs, and their face templates."""
    portrait, short, longer, depicted, performer, unrelated = make_people(tmp_path_factory.mktemp("people"))
    engine = face_engine()
    templates = [
        template_from([Photo(rgb=read_still(photo)) for photo in photos], engine, remembering_finder)[0]
        for photos in (depicted, performer)
    ]
    return People(portrait, short, longer, depicted, performer, unrelated, *templates)


@pytest.fixture
def in_process(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Stages run where the test calls them: no message is sent, no lease runs out, and this process may sign."""
    settings.ROLE = "signer"
    settings.JOB_LEASE_SECONDS = 600
    monkeypatch.setattr(dispatch, "send", lambda job_id, stage: None)
    return settings
