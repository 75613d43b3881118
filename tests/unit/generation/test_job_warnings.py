"""What a studio is told of a job that goes on: sound that is left out, and lengths that differ. Faces stand in a plane."""

from __future__ import annotations

from pathlib import Path

import pytest
from casting_material import both, run, submit, upload
from stage_material import HIM, SECOND_RATE, agree, write_driver

from consent.models import Consent
from consent.policy import Role
from generation.answers import job_answer
from generation.models import Asset
from generation.states import Stage
from users.models import Studio

pytestmark = pytest.mark.usefixtures("sight")


def test_sound_that_no_consent_covers_is_left_out_with_a_word(
    studio: Studio, portrait: Asset, lead: Asset, pair: dict[str, Consent]
) -> None:
    (warning,) = job_answer(run(submit(studio, portrait, lead, pair), before=Stage.RENDER))["warnings"]
    assert (warning["code"], warning["face"]) == ("sound_left_out", "driver:1")
    assert "no sound: the consent for driver:1 does not cover the voice" in warning["message"]
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
    longer = upload(studio, Asset.Kind.VIDEO, write_driver(tmp_path / "longer.mp4", rate=SECOND_RATE, frames=40, seed=4))
    (warning,) = job_answer(run(submit(studio, longer, second, pair), before=Stage.RENDER))["warnings"]
    assert (warning["code"], warning["face"]) == ("portrait_cut", None)
    assert "lasts 1.3 s and the clip 0.4 s" in warning["message"]
