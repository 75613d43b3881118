"""`job` on the command line: what became of a job that nobody waits for any more."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import casting_material
import pytest
from django.db import connections
from preview_material import submitted_job
from quick_engine import NAME, quick_entry
from stage_material import HIM, agree

from consent.policy import Role
from generation import services
from generation.engines import ENGINES
from generation.errors import RefusedByRule
from generation.management.commands import generate
from generation.management.commands import job as job_command
from generation.models import Job
from generation.states import Status
from users.models import Studio

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, NAME, quick_entry())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "released.mp4"
    path.write_bytes(b"a clip")
    return path


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str, name: str = "job"
) -> tuple[int, dict[str, Any]]:
    monkeypatch.setattr(connections, "close_all", lambda: None)  # the test's transaction has to outlive the command
    return casting_material.run_command(capsys, name, *arguments)


def test_a_studios_jobs_are_listed(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = submitted_job(studio, tmp_path)
    code, answer = run(monkeypatch, capsys, "list", "--studio", studio.slug)
    assert (code, [row["job"] for row in answer["results"]]) == (0, [str(job.pk)])


def test_a_list_says_whose_consent_each_job_uses_by_the_names_of_its_own_studio_only(
    studio: Studio, other_studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = submitted_job(studio, tmp_path)
    theirs = agree(other_studio, HIM, Role.PERFORMER)
    Job.objects.filter(pk=job.pk).update(named_consents={**job.named_consents, "driver:2": str(theirs.pk)})
    _, answer = run(monkeypatch, capsys, "list", "--studio", studio.slug)
    assert answer["results"][0]["people"] == {"driver:1": "Ada", "portrait:1": "Ada"}


def test_a_clip_that_a_reviewer_let_through_can_be_fetched(
    studio: Studio, tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = submitted_job(studio, tmp_path)

    def ended(waited_for: Job) -> Job:
        waited_for.status = Status.RELEASED
        return waited_for

    monkeypatch.setattr(generate, "wait_for", ended)
    monkeypatch.setattr(generate, "released_file", lambda job: clip)
    code, answer = run(monkeypatch, capsys, "fetch", str(job.pk), "--out", str(tmp_path / "mine.mp4"))
    assert (code, (tmp_path / "mine.mp4").read_bytes()) == (0, b"a clip")
    assert answer["output"] == str(tmp_path / "mine.mp4")


def test_a_poster_is_cut_from_a_clip_at_the_moment_asked_for(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job, still = submitted_job(studio, tmp_path), tmp_path / "stills" / "poster.jpg"
    monkeypatch.setattr(job_command, "poster", lambda of, at_s: f"{of.pk} at {at_s}".encode())
    code, answer = run(monkeypatch, capsys, "poster", str(job.pk), "--out", str(still), "--at", "1.5")
    assert (code, answer["output"], still.read_text()) == (0, str(still), f"{job.pk} at 1.5")


def test_a_clip_that_is_not_released_has_no_poster(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    still = tmp_path / "poster.jpg"
    code, answer = run(monkeypatch, capsys, "poster", str(submitted_job(studio, tmp_path).pk), "--out", str(still))
    assert (code, answer["error"]["code"], still.exists()) == (1, "not_released", False)


@pytest.mark.parametrize(
    "arguments", [["show"], ["show", str(uuid.uuid4())], ["list"], ["list", "--studio", "nobody"], ["fetch"]]
)
def test_what_is_missing_is_said(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, answer = run(monkeypatch, capsys, *arguments)
    assert code == 64
    assert "job list" in json.dumps(answer) or "--out" in json.dumps(answer)


def test_an_approval_that_a_rule_forbids_ends_as_a_refusal(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forbidden(**_: object) -> Job:
        raise RefusedByRule("The template was revoked; record it anew.", code="template_revoked")

    monkeypatch.setattr(services, "approve", forbidden)
    code, answer = run(monkeypatch, capsys, "approve", str(submitted_job(studio, tmp_path).pk), name="review")
    assert (code, answer["error"]["message"]) == (2, "The template was revoked; record it anew.")
