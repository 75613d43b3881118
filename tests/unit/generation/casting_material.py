"""What the tests of casting and of motion templates share: jobs over the stand-ins of `stage_material`, stage by stage."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.core.management import load_command_class
from pytest_django.fixtures import Settings
from quick_engine import NAME, Asked, quick_entry
from stage_material import PlaneEngine, Sight

from consent import gate
from consent.models import Consent
from generation import dispatch, selectors, services
from generation.casting import Casting
from generation.engines import ENGINES
from generation.job_request import JobRequest
from generation.models import Asset, Job
from generation.pipeline import run_stage
from generation.stages import clear, prove
from generation.states import FINAL, PARKED, Stage
from users.models import Studio


def stand_in(sight: Sight, asked: Asked, settings: Settings, patch: pytest.MonkeyPatch) -> None:
    """Stages run in this process, see what `sight` says and render with an engine that remembers what it was asked."""
    settings.ROLE = "signer"
    settings.JOB_LEASE_SECONDS = 600
    patch.setattr(dispatch, "send", lambda job_id, stage: None)
    patch.setattr(gate, "face_engine", PlaneEngine)
    patch.setattr(clear, "survey_still", sight.survey_still)
    for stage in (clear, prove):
        patch.setattr(stage, "survey_driver", sight.survey_driver)
    patch.setattr(prove, "_copies", lambda source, rate: {"as encoded": source})
    patch.setitem(ENGINES, NAME, quick_entry(asked=asked))


def upload(studio: Studio, kind: str, path: Path) -> Asset:
    chunks = services.read_chunks(path)
    return services.create_asset(studio=studio, kind=kind, file_name=path.name, chunks=chunks, actor="system:test")


def submit(
    studio: Studio,
    portrait: Asset,
    driving: Asset,
    consents: Mapping[str, Consent],
    *,
    cast: Sequence[Casting] = (),
    **request: Any,
) -> Job:
    """A job that commits to exactly these consents."""
    named = {face: str(consent.pk) for face, consent in consents.items()}
    purpose = request.pop("purpose", "internal_test")
    asked = JobRequest(purpose, NAME, named_consents=named, propose_consents=False, **request)
    return services.submit(studio=studio, portrait=portrait, driving=driving, request=asked, cast=cast, actor="system:test")


def run(job: Job, *, before: Stage | None = None) -> Job:
    """The job's stages in this process, to its end or its parking, or until `before` is next."""
    job.refresh_from_db()
    while job.status not in FINAL | PARKED and job.stage != before:
        run_stage(stage=Stage(job.stage), job_id=job.pk)
        job.refresh_from_db()
        assert job.attempt < 12, job.status
    return job


def codes(job: Job) -> list[tuple[str, str | None]]:
    """Why the job stands where it does: code and face."""
    return [(str(reason["code"]), reason["face"]) for reason in selectors.reasons_of(job)]


def both(lead: Asset, second: Asset) -> list[Casting]:
    """The larger face of the portrait performs as `second`, the other as `lead`."""
    return [Casting(lead, face=2), Casting(second, face=1)]


def unread_job(studio: Studio, **fields: Any) -> Job:
    """A submitted job whose files are never read, with these fields."""
    still, video = (
        Asset.objects.create(studio=studio, kind=kind, file_name="x", upload_path="x", upload_sha256="0" * 64, upload_bytes=1)
        for kind in (Asset.Kind.STILL, Asset.Kind.VIDEO)
    )
    given = {"purpose": "internal_test", "engine": "mesh", "idempotency_key": "k", "request_sha256": "r", **fields}
    return Job.objects.create(studio=studio, portrait=still, driving=video, **given)


def run_command(capsys: pytest.CaptureFixture[str], name: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON answer of a command of this room."""
    code = 0
    try:
        load_command_class("generation", name).run_from_argv(["manage.py", name, *arguments, "--json"])
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, json.loads(capsys.readouterr().out.strip().splitlines()[-1])
