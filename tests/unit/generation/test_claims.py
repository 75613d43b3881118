"""Leases and moves of jobs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from casting_material import unread_job
from django.utils import timezone

from audit.models import Event
from generation import claims
from generation.errors import IllegalMove, LeaseLost
from generation.models import Job, JobEvent
from generation.states import Stage, Status
from generation.transitions import move
from users.models import Studio

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(studio: Studio) -> Job:
    return unread_job(studio)


def test_a_stage_is_claimed_once(job: Job) -> None:
    held = claims.claim(job_id=job.pk, stage=Stage.CLEAR)
    assert held is not None
    assert claims.claim(job_id=job.pk, stage=Stage.CLEAR) is None


def test_a_stage_that_is_not_due_cannot_be_claimed(job: Job) -> None:
    assert claims.claim(job_id=job.pk, stage=Stage.SEAL) is None
    assert claims.claim(job_id=job.pk, stage=Stage.RENDER) is None


def test_a_dead_workers_job_is_taken_over_and_its_late_word_does_not_count(job: Job) -> None:
    dead = claims.claim(job_id=job.pk, stage=Stage.CLEAR)
    assert dead is not None
    Job.objects.filter(pk=job.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert (job.pk, Stage.CLEAR) in claims.overdue()
    alive = claims.claim(job_id=job.pk, stage=Stage.CLEAR)
    assert alive is not None
    assert alive.job.attempt == dead.job.attempt + 1
    assert not claims.renew(dead)
    with pytest.raises(IllegalMove):
        move(job_id=job.pk, source=Status.SUBMITTED, target=Status.CLEARED, actor="x", lease_token=dead.token)
    move(job_id=job.pk, source=Status.SUBMITTED, target=Status.CLEARED, actor="x", lease_token=alive.token)


def test_claiming_the_render_stage_starts_rendering(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(status=Status.CLEARED, stage=Stage.RENDER)
    held = claims.claim(job_id=job.pk, stage=Stage.RENDER)
    assert held is not None
    assert held.job.status == Status.RENDERING


def test_a_worker_whose_lease_is_lost_stops_at_its_next_batch(job: Job) -> None:
    held = claims.claim(job_id=job.pk, stage=Stage.CLEAR)
    assert held is not None
    held.check()
    held.lost.set()
    with pytest.raises(LeaseLost):
        held.check()


def test_every_move_leaves_an_event_and_an_audit_row(job: Job) -> None:
    move(job_id=job.pk, source=Status.SUBMITTED, target=Status.CANCELLED, actor="user:1")
    event = JobEvent.objects.get(job=job)
    assert (event.from_status, event.to_status, event.actor) == ("submitted", "cancelled", "user:1")
    assert Event.objects.filter(action="job.cancelled", subject_id=str(job.pk)).count() == 1


def test_a_forbidden_move_writes_nothing(job: Job) -> None:
    with pytest.raises(IllegalMove):
        move(job_id=job.pk, source=Status.SUBMITTED, target=Status.RELEASED, actor="user:1")
    job.refresh_from_db()
    assert job.status == Status.SUBMITTED
    assert not JobEvent.objects.exists()


def test_a_job_that_nobody_took_is_overdue_after_a_lease(job: Job) -> None:
    assert claims.overdue() == []
    Job.objects.filter(pk=job.pk).update(updated_at=timezone.now() - timedelta(hours=1))
    assert claims.overdue() == [(job.pk, Stage.CLEAR)]
