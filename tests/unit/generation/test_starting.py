"""Jobs that wait for their previews: no worker takes them until they are started."""

from __future__ import annotations

from datetime import timedelta

import pytest
from casting_material import unread_job
from django.utils import timezone

from generation import claims, dispatch
from generation.errors import IllegalMove, InvalidRequest
from generation.models import Job
from generation.pipeline import sweep
from generation.revocation import cascade
from generation.selectors import is_waiting
from generation.services import cancel
from generation.starting import make_again, start_job
from generation.states import Stage, Status
from users.models import Studio

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(studio: Studio) -> Job:
    return unread_job(studio, status=Status.CLEARED, stage=Stage.RENDER, waits_for_start=True)


def test_no_worker_takes_a_waiting_job_and_no_sweep_sends_it(job: Job) -> None:
    Job.objects.update(updated_at=timezone.now() - timedelta(days=1))
    assert is_waiting(job)
    assert claims.claim(job_id=job.pk, stage=Stage.RENDER) is None
    assert claims.overdue() == []


def test_a_started_job_is_sent_on_once(
    job: Job, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object
) -> None:
    sent: list[object] = []
    monkeypatch.setattr(dispatch, "send", lambda job_id, stage: sent.append((job_id, stage)))
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        start_job(job=job, actor="user:ada", options={"strength": 0.4, "gaze": 1.0})
        start_job(job=job, actor="user:ada")
        start_job(job=job, actor="user:ada", options={"strength": 0.4})
        with pytest.raises(IllegalMove, match="other settings"):
            start_job(job=job, actor="user:ada", options={"strength": 0.9})
    assert sent == [(job.pk, Stage.RENDER)]
    job.refresh_from_db()
    assert job.options == {"strength": 0.4}  # what was started is what is rendered
    held = claims.claim(job_id=job.pk, stage=Stage.RENDER)
    assert held is not None
    assert held.job.status == Status.RENDERING


def test_a_job_still_being_looked_at_can_be_started_ahead(job: Job) -> None:
    Job.objects.update(status=Status.SUBMITTED, stage=Stage.CLEAR)
    assert claims.claim(job_id=job.pk, stage=Stage.CLEAR) is not None  # waiting is for rendering alone
    assert not start_job(job=job, actor="user:ada").waits_for_start


def test_wrong_settings_start_nothing(job: Job) -> None:
    with pytest.raises(InvalidRequest):
        start_job(job=job, actor="user:ada", options={"strength": 9})
    job.refresh_from_db()
    assert job.waits_for_start


@pytest.mark.parametrize("status", [Status.REFUSED, Status.CANCELLED, Status.RELEASED, Status.WITHDRAWN])
def test_a_job_that_ended_is_not_started(job: Job, status: Status) -> None:
    job.status = status
    Job.objects.update(status=status, output_path="x", manifest_id="x", watermark_id="0" * 16)
    with pytest.raises(IllegalMove):
        start_job(job=job, actor="user:ada")


def test_a_waiting_job_ends_with_its_consent(job: Job) -> None:
    Job.objects.update(named_consents={"portrait:1": str(job.pk)})
    assert cascade(consent_id=job.pk, actor="person").jobs_cancelled == 1


@pytest.mark.parametrize("status", [Status.SEALING, Status.HELD, Status.RELEASED])
def test_starting_twice_is_starting_once_however_far_it_has_come(job: Job, status: Status) -> None:
    start_job(job=job, actor="user:ada")
    Job.objects.update(status=status, output_path="x", manifest_id="x", watermark_id="0" * 16)
    assert start_job(job=job, actor="user:ada").status == status


def test_a_job_that_nobody_starts_is_cancelled_after_some_days(job: Job) -> None:
    now = timezone.now()
    Job.objects.update(updated_at=now - timedelta(days=13))
    sweep()
    assert Job.objects.get().status == Status.CLEARED
    Job.objects.update(updated_at=now - timedelta(days=15))
    sweep()
    ended = Job.objects.get()
    assert (ended.status, ended.reasons[0]["code"]) == (Status.CANCELLED, "never_started")
    assert ended.events.get().detail == {"reason": "never_started"}


def test_a_clip_made_again_is_one_job_until_that_ended_without_a_clip(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "send", lambda job_id, stage: None)
    Job.objects.update(motion_sha256="m")
    job.refresh_from_db()
    first = make_again(job=job, options={"strength": 0.5}, actor="user:ada")
    assert make_again(job=job, options={"strength": 0.5}, actor="user:ada") == first
    cancel(job=first, actor="user:ada")
    second = make_again(job=job, options={"strength": 0.5}, actor="user:ada")
    assert (second != first, second.status) == (True, Status.SUBMITTED)
    assert make_again(job=job, options={"strength": 0.5}, actor="user:ada") == second
