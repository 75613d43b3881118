"""What a studio is told of a job that goes on: sound that is left out, and lengths that differ. Faces stand in a plane."""

from __future__ import annotations

from pathlib import Path

import pytest
from casting_material import run, stand_in, submit, upload
from pytest_django.fixtures import Settings
from quick_engine import Asked
from stage_material import HER, HIM, Point, Sight, agree, write_driver, write_portrait

from consent.models import Consent
from consent.policy import Role
from generation.answers import job_answer
from generation.casting import Casting
from generation.models import Asset
from generation.states import Stage
from users.models import Studio

HERS_TOO: Point = (0.0, 9.0)
HIS_FRIEND: Point = (5.0, 9.0)
FASTER = 30


@pytest.fixture(autouse=True)
def sight(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Sight:
    sight = Sight()
    stand_in(sight, Asked(), settings, monkeypatch)
    return sight


@pytest.fixture
def portrait(studio: Studio, tmp_path: Path) -> Asset:
    return upload(studio, Asset.Kind.STILL, write_portrait(tmp_path / "portrait.png"))


@pytest.fixture
def lead(studio: Studio, tmp_path: Path) -> Asset:
    return upload(studio, Asset.Kind.VIDEO, write_driver(tmp_path / "lead.mp4", tone=True))


@pytest.fixture
def second(studio: Studio, tmp_path: Path) -> Asset:
    return upload(studio, Asset.Kind.VIDEO, write_driver(tmp_path / "second.mp4", rate=FASTER, seed=3))


@pytest.fixture
def pair(studio: Studio) -> dict[str, Consent]:
    return {"portrait:1": agree(studio, HER, Role.DEPICTED), "driver:1": agree(studio, HIM, Role.PERFORMER)}


@pytest.fixture
def scene(studio: Studio, sight: Sight, pair: dict[str, Consent]) -> dict[str, Consent]:
    """Two people in the portrait, one performer in each of two drivers; everybody agreed."""
    sight.beside, sight.further = (HERS_TOO,), {"driver2": HIS_FRIEND}
    further = {"portrait:2": agree(studio, HERS_TOO, Role.DEPICTED), "driver2:1": agree(studio, HIS_FRIEND, Role.PERFORMER)}
    return {**pair, **further}


def both(lead: Asset, second: Asset) -> list[Casting]:
    return [Casting(lead, face=2), Casting(second, face=1)]


def test_sound_that_no_consent_covers_is_left_out_with_a_word(
    studio: Studio, portrait: Asset, lead: Asset, pair: dict[str, Consent]
) -> None:
    (warning,) = job_answer(run(submit(studio, portrait, lead, pair), before=Stage.RENDER))["warnings"]
    assert (warning["code"], warning["face"]) == ("sound_left_out", "driver:1")
    assert "no sound: the consent named for driver:1 does not cover the voice" in warning["message"]
    assert "--voice" in warning["message"]
    speaking = {**pair, "driver:1": agree(studio, HIM, Role.PERFORMER, voice=True)}
    assert job_answer(run(submit(studio, portrait, lead, speaking), before=Stage.RENDER))["warnings"] == []


def test_a_performance_that_ends_before_the_clip_is_told_with_what_its_face_does_then(
    studio: Studio, portrait: Asset, scene: dict[str, Consent], second: Asset, tmp_path: Path
) -> None:
    longer = upload(studio, Asset.Kind.VIDEO, write_driver(tmp_path / "longer.mp4", frames=24))
    job = run(submit(studio, portrait, longer, scene, cast=both(longer, second)), before=Stage.RENDER)
    (warning,) = job_answer(job)["warnings"]
    assert (warning["code"], warning["face"]) == ("performance_ends_early", "driver2:1")
    assert (warning["start_s"], warning["end_s"]) == (0.4, 1.0)
    assert "driver2:1 lasts 0.4 s and the clip 1.0 s" in warning["message"]
    assert "from 0.4 s on, portrait:1 holds its last pose" in warning["message"]


def test_a_performance_that_goes_on_after_the_clip_is_told_with_what_to_do(
    studio: Studio, portrait: Asset, scene: dict[str, Consent], second: Asset, tmp_path: Path
) -> None:
    longer = upload(studio, Asset.Kind.VIDEO, write_driver(tmp_path / "longer.mp4", frames=24))
    job = run(submit(studio, portrait, second, scene, cast=both(second, longer)), before=Stage.RENDER)
    (warning,) = job_answer(job)["warnings"]
    assert (warning["code"], warning["face"]) == ("performance_cut", "driver2:1")
    assert "as long as driver: what follows in driver2:1 is left out" in warning["message"]
    assert "the first --driving leads" in warning["message"]


def test_a_portrait_video_that_goes_on_after_the_performance_is_told(
    studio: Studio, second: Asset, pair: dict[str, Consent], tmp_path: Path
) -> None:
    longer = upload(studio, Asset.Kind.VIDEO, write_driver(tmp_path / "longer.mp4", rate=FASTER, frames=40, seed=4))
    (warning,) = job_answer(run(submit(studio, longer, second, pair), before=Stage.RENDER))["warnings"]
    assert (warning["code"], warning["face"]) == ("portrait_cut", None)
    assert "lasts 1.3 s and the clip 0.4 s" in warning["message"]
