"""Several drivers, a driver that looks away, a recorded performance and a video as source: real faces, the whole way through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from builders import (
    People,
    Picture,
    enrol,
    enrol_both,
    frames_of,
    pasted,
    picture_of,
    resized,
    run_stages,
    upload,
    write_frames,
    write_picture,
)
from numpy.typing import NDArray
from pytest_django.fixtures import Settings
from quick_engine import NAME, quick_entry
from skimage.data import chelsea

from consent.faces.observed import Side
from consent.faces.survey import survey_driver
from consent.gate import face_engine
from consent.models import Consent
from consent.policy import Role
from generation import motion_templates, revocation, services
from generation.answers import job_answer
from generation.casting import Casting
from generation.demo.material import talking_head_frames
from generation.engines import ENGINES
from generation.job_request import JobRequest
from generation.models import Asset, Job
from generation.selectors import reasons_of, released_file
from generation.stages import prove
from generation.states import Stage, Status
from generation.verification import verify_file
from media.video import read_frames
from users.models import Studio

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_process")]
MESH = JobRequest("internal_test", "mesh")
UPPER_LIP, LOWER_LIP, FOREHEAD, CHIN = 13, 14, 10, 152
OPENING, FRAMES = 92, 24  # of the talking man: his mouth opens wide


@pytest.fixture(autouse=True)
def _one_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other journeys prove that the mark survives copies."""
    monkeypatch.setattr(prove, "_copies", lambda source, rate: {"as encoded": source})


def talking(first: int, count: int) -> list[Picture]:
    """Frames of the talking man, 352 x 288."""
    return [np.array(image) for image in islice(talking_head_frames(2), first, first + count)]


def ask(
    studio: Studio,
    portrait: Asset,
    driving: Asset,
    consents: Mapping[str, Consent],
    *,
    cast: Sequence[Casting] = (),
    request: JobRequest = MESH,
) -> Job:
    named = {face: str(consent.pk) for face, consent in consents.items()}
    return services.submit(
        studio=studio,
        portrait=portrait,
        driving=driving,
        request=replace(request, named_consents=named),
        cast=cast,
        actor="system:test",
    )


def mouths(path: Path) -> list[NDArray[np.float64]]:
    """How far each mouth is open on each frame, from the left of the picture to its right, in heights of the face."""
    survey = survey_driver(read_frames(path), frame_rate=Fraction(30), engine=face_engine(), side=Side.RENDERED)
    tracks = sorted((track.landmarks for track in survey.tracks.values()), key=lambda points: float(np.nanmean(points[..., 0])))
    return [
        np.linalg.norm(points[:, UPPER_LIP] - points[:, LOWER_LIP], axis=1)
        / np.linalg.norm(points[:, FOREHEAD] - points[:, CHIN], axis=1)
        for points in tracks
    ]


def alike(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return float(np.corrcoef(first, second)[0, 1])


def test_two_faces_of_one_still_perform_each_as_its_own_driver(studio: Studio, people: People, tmp_path: Path) -> None:
    astronaut, man = picture_of(people.portrait)[:320, 60:380], talking(0, 1)[0]
    scene = pasted(np.full((320, 672, 3), 96, np.uint8), astronaut, 0, 0)
    scene = pasted(scene, resized(man, 352, 288), 320, 16)
    portrait = upload(studio, Asset.Kind.STILL, write_picture(tmp_path / "both.png", scene))
    forward = talking(OPENING, FRAMES)
    lead = upload(studio, Asset.Kind.VIDEO, write_frames(tmp_path / "lead.mp4", forward))
    second = upload(studio, Asset.Kind.VIDEO, write_frames(tmp_path / "second.mp4", forward[::-1]))
    consents = {
        **dict.fromkeys(("driver:1", "driver2:1"), enrol(studio, people.performer, Role.PERFORMER)),
        "portrait:1": enrol(studio, people.depicted, Role.DEPICTED),
        "portrait:2": enrol(studio, people.performer, Role.DEPICTED),
    }
    job = run_stages(ask(studio, portrait, lead, consents, cast=[Casting(lead, face=1), Casting(second, face=2)]))
    assert job.status == Status.RELEASED, job.reasons
    hers, his = mouths(released_file(job))
    (said,) = mouths(tmp_path / "lead.mp4")
    assert alike(hers, said) > 0.8 > 0.5 > alike(hers, said[::-1])
    assert alike(his, said[::-1]) > 0.8 > 0.5 > alike(his, said)


def test_two_seconds_without_a_face_are_bridged_at_full_length_and_told(studio: Studio, people: People, tmp_path: Path) -> None:
    rate = Fraction(6)
    nobody = [np.full_like(frame, 40) for frame in talking(0, 12)]
    driving = write_frames(tmp_path / "away.mp4", [*talking(0, 27), *nobody, *talking(27, 27)], rate)
    portrait = upload(studio, Asset.Kind.STILL, people.portrait)
    job = ask(studio, portrait, upload(studio, Asset.Kind.VIDEO, driving), enrol_both(studio, people))
    job = run_stages(job, before=Stage.PROVE)
    assert job.status == Status.SEALING, job.reasons
    assert (job.render_facts["frames"], job.render_facts["seconds"]) == (66, 11.0)
    (warning,) = job_answer(job)["warnings"]
    assert (warning["code"], warning["face"], warning["start_s"], warning["end_s"]) == ("bridged", "driver:1", 4.5, 6.5)


def test_a_recorded_performance_is_used_again_until_its_performer_withdraws(
    studio: Studio, people: People, tmp_path: Path
) -> None:
    consents = enrol_both(studio, people)
    portrait, driving = (
        upload(studio, Asset.Kind.STILL, people.portrait),
        upload(studio, Asset.Kind.VIDEO, people.driving),
    )
    filmed = run_stages(ask(studio, portrait, driving, consents))
    assert filmed.status == Status.RELEASED, filmed.reasons
    file = tmp_path / "his.motion"
    file.write_bytes(motion_templates.record(job=filmed, face="driver:1", actor="system:test").content)
    template = upload(studio, Asset.Kind.MOTION, file)

    again = run_stages(ask(studio, portrait, template, consents))
    assert again.status == Status.RELEASED, again.reasons
    assert verify_file(released_file(again))["verdict"] == "confirmed"
    first, second = (np.stack(frames_of(released_file(job))).astype(int) for job in (filmed, again))
    assert first.shape == second.shape
    assert np.abs(first - second).mean() < 4, "the same motion gives the same pictures, but for their marks"

    revocation.revoke(consent_id=consents["driver:1"].pk, reason="", actor="system:test")
    refused = run_stages(ask(studio, portrait, template, consents))
    assert (refused.status, [reason["code"] for reason in reasons_of(refused)]) == (Status.REFUSED, ["withdrawn"])
    again.refresh_from_db()
    assert again.status == Status.WITHDRAWN


def test_a_video_is_reperformed_released_and_verified(
    studio: Studio, people: People, tmp_path: Path, in_process: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, NAME, quick_entry())
    wide = picture_of(people.portrait)
    filmed = [wide[number : 320 + number, 60 + number : 380 + number] for number in range(12)]
    source = upload(studio, Asset.Kind.VIDEO, write_frames(tmp_path / "source.mp4", filmed, Fraction(25)))
    driving = upload(studio, Asset.Kind.VIDEO, people.driving)
    consents = enrol_both(studio, people)
    request = JobRequest("internal_test", NAME)
    performer_only = {**consents, "portrait:1": consents["driver:1"]}
    refused = run_stages(ask(studio, source, driving, performer_only, request=request))
    assert (refused.status, refused.reasons[0]["face"]) == (Status.REFUSED, "portrait:1")
    job = run_stages(ask(studio, source, driving, consents, request=request))
    assert job.status == Status.RELEASED, job.reasons
    assert (job.render_facts["frame_rate"], job.render_facts["frames"]) == ("25", 11)  # as long as the performance lasts
    assert verify_file(released_file(job))["verdict"] == "confirmed"


@pytest.mark.parametrize("shown", ["a cat", "a face of forty pixels"])
def test_a_still_without_a_usable_face_is_told_why_at_once(studio: Studio, people: People, tmp_path: Path, shown: str) -> None:
    small = resized(picture_of(people.portrait), 128, 128)
    cat = np.array(chelsea())
    picture = cat if shown == "a cat" else pasted(np.full((256, 256, 3), 96, np.uint8), small, 64, 64)
    portrait = upload(studio, Asset.Kind.STILL, write_picture(tmp_path / "portrait.png", picture))
    job = run_stages(ask(studio, portrait, upload(studio, Asset.Kind.VIDEO, people.driving), {}))
    assert (job.status, job.stage, job.reasons[0]["code"]) == (Status.FAILED, Stage.CLEAR, "bad_input")
    assert "64" in job.reasons[0]["message"]
