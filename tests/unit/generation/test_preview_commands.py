"""`generate --wait-for-start`, `preview` and `start` on the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import casting_material
import pytest
from django.core.management import load_command_class
from django.db import connections
from PIL import Image
from preview_material import CountingRenderer, cleared, submitted_job
from pytest_django.fixtures import Settings
from quick_engine import NAME, quick_entry
from stage_material import PlaneEngine, Sight

from consent import gate
from consent.gate import ConsentRefused
from generation import dispatch
from generation.engines import ENGINES
from generation.errors import RefusedByRule
from generation.management.commands import generate, start
from generation.models import Job, Preview
from generation.previews import services
from generation.previews.errors import PreviewQuotaUsed
from generation.selectors import OutputUnavailable
from generation.stages import clear
from generation.states import Status
from media.errors import CountersignError
from users.commands import Exit, JsonCommand
from users.models import Studio

pytestmark = pytest.mark.django_db
Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command as the shell does: its exit code and its JSON."""
    settings.JOB_LEASE_SECONDS = 600
    sight = Sight()
    monkeypatch.setattr(dispatch, "send", lambda job_id, stage: None)
    monkeypatch.setattr(gate, "face_engine", PlaneEngine)
    monkeypatch.setattr(clear, "survey_still", sight.survey_still)
    monkeypatch.setattr(clear, "survey_driver", sight.survey_driver)
    monkeypatch.setattr(services, "RENDERER", CountingRenderer())
    monkeypatch.setitem(ENGINES, NAME, quick_entry())
    monkeypatch.setattr(connections, "close_all", lambda: None)  # the test's transaction has to outlive the command

    def run_command(name: str, *arguments: str) -> tuple[int, dict[str, Any]]:
        return casting_material.run_command(capsys, name, *arguments)

    return run_command


@pytest.fixture
def job(run: Run, studio: Studio, tmp_path: Path) -> Job:
    return cleared(submitted_job(studio, tmp_path, frames=48, wait=True))


def test_a_preview_is_written_where_it_is_wanted(run: Run, job: Job, tmp_path: Path) -> None:
    out = tmp_path / "stills" / "one.png"
    code, told = run("preview", str(job.pk), "--option", "strength=0.5", "--moment", "1", "--out", str(out))
    assert (code, told["output"], told["left_today"]) == (0, str(out), 199)
    assert told["at_s"] == told["moments_s"][told["moment"]]
    assert told["options"] == {"strength": 0.5}
    assert Image.open(out).size == (256, 256)
    assert Preview.objects.get().options == {"strength": 0.5}


@pytest.mark.parametrize(
    ("options", "echoed"),
    [([], "all at their defaults"), (["--option", "strength=0.50"], "strength=0.5 (all others at their defaults)")],
)
def test_a_preview_says_with_which_settings_it_was_made_and_what_is_left_of_what(
    run: Run, job: Job, tmp_path: Path, options: list[str], echoed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["manage.py", "preview", str(job.pk), *options, "--out", str(tmp_path / "one.png")]
    load_command_class("generation", "preview").run_from_argv(argv)
    shown = capsys.readouterr().out.splitlines()
    assert f"options: {echoed}" in shown
    assert any(line.startswith("moment: 0, at ") and line.endswith(" s, counted from 0)") for line in shown)
    assert f"previews left today: 199 of 200 for studio {job.studio.slug}; a day ends at 00:00 UTC" in shown


def test_what_cannot_be_previewed_says_why_and_writes_nothing(run: Run, job: Job, tmp_path: Path) -> None:
    out = tmp_path / "one.png"
    assert run("preview", str(job.pk), "--moment", "9", "--out", str(out))[0] == 64
    assert run("preview", str(job.pk), "--option", "strength=9", "--out", str(out))[0] == 64
    Job.objects.update(status=Status.IN_REVIEW)
    code, told = run("preview", str(job.pk), "--out", str(out))
    assert (code, told["error"]["code"]) == (2, "not_previewable")
    assert not out.exists()


@pytest.mark.parametrize(
    ("status", "advice"),
    [(Status.IN_REVIEW, "wait for the reviewer"), (Status.WITHDRAWN, "a new consent"), (Status.FAILED, "read its reasons")],
)
def test_what_to_do_instead_of_a_preview_depends_on_how_the_job_stands(
    run: Run, job: Job, tmp_path: Path, status: Status, advice: str
) -> None:
    Job.objects.update(status=status)
    code, told = run("preview", str(job.pk), "--out", str(tmp_path / "one.png"))
    assert (code, advice in told["error"]["message"]) == (2, True)


@pytest.mark.parametrize("refusal", [RefusedByRule("It was revoked.", code="template_revoked"), PreviewQuotaUsed(200, 60)])
def test_a_rule_that_says_no_is_told_from_a_fault(
    run: Run, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: CountersignError
) -> None:
    def refuse(job: Job) -> None:
        raise refusal

    monkeypatch.setattr(services, "require_inputs_stand", refuse)
    assert run("preview", str(job.pk), "--out", str(tmp_path / "one.png"))[0] == 2


@pytest.mark.parametrize("refusal", [ConsentRefused, OutputUnavailable])
@pytest.mark.parametrize("command", [generate.Command, start.Command])
def test_a_clip_that_may_not_be_handed_over_any_more_was_refused(
    command: type[JsonCommand], refusal: type[CountersignError]
) -> None:
    assert command.exit_codes[refusal] == Exit.REFUSED


def test_waiting_stops_the_command_and_start_goes_on(run: Run, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def nobody() -> Iterator[None]:
        yield

    monkeypatch.setattr(generate, "workers_running", nobody)
    assert generate.wait_for(job).status == Status.CLEARED  # it would go on for ever otherwise
    assert generate.exit_code(job) == 0

    def work(seconds: float) -> None:
        Job.objects.update(status=Status.CANCELLED)  # what a worker would do, in short

    monkeypatch.setattr(generate.time, "sleep", work)
    code, told = run("start", str(job.pk), "--option", "gaze=0.5")
    assert (code, told["status"], told["waits_for_start"]) == (2, "cancelled", False)
    job.refresh_from_db()
    assert job.options == {"gaze": 0.5}
    assert run("start", str(job.pk))[0] == 2
