"""The one way a job changes its status: a conditional UPDATE, its JobEvent and its audit event in one transaction."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from audit.services import record_event
from generation import storage
from generation.errors import IllegalMove
from generation.models import Job, JobEvent
from generation.states import FINAL, Stage, Status, may_move

SYSTEM_ACTOR = "system:pipeline"


def move(
    *,
    job_id: uuid.UUID,
    source: Status,
    target: Status,
    actor: str,
    lease_token: uuid.UUID | None = None,
    detail: dict[str, Any] | None = None,
    **fields: Any,
) -> Job:
    """Move a job from `source` to `target`, writing `fields` with it and dropping its lease.

    With `lease_token` the move happens only while that lease still owns the row. Raises IllegalMove when the table of
    `states` forbids the move or another actor came first; then nothing was written. A cancelled job's files go with it;
    a worker still at it writes into files that have no name any more, and stops at its next batch. No job that ended without
    a clip, or whose clip was withdrawn, keeps its motion.
    """
    if not may_move(source, target):
        raise IllegalMove(f"A job cannot go from {source} to {target}; read its current status and try an allowed step.")
    now = timezone.now()
    if target in FINAL:
        fields["finished_at"] = now
    with transaction.atomic():
        row = Job.objects.filter(pk=job_id, status=source)
        if lease_token is not None:
            row = row.filter(lease_token=lease_token)
        changed = row.update(status=target, lease_token=None, lease_expires_at=None, updated_at=now, **fields)
        if not changed:
            raise IllegalMove("The job changed meanwhile; read its current status and try again.")
        job = Job.objects.get(pk=job_id)
        log_step(job=job, source=source, actor=actor, detail=detail or {})
        if target in FINAL and target is not Status.RELEASED:
            clear = storage.clear_job if target is Status.CANCELLED else storage.clear_motion
            transaction.on_commit(partial(clear, job_id), robust=True)
    return job


def advance(*, job_id: uuid.UUID, status: Status, stage: Stage, lease_token: uuid.UUID, **fields: Any) -> Job:
    """Go on to the next stage within one status, dropping the lease. Raises IllegalMove when the lease was lost."""
    with transaction.atomic():
        changed = Job.objects.filter(pk=job_id, status=status, lease_token=lease_token).update(
            stage=stage, lease_token=None, lease_expires_at=None, updated_at=timezone.now(), **fields
        )
        if not changed:
            raise IllegalMove("The job changed meanwhile; read its current status and try again.")
        job = Job.objects.get(pk=job_id)
        log_step(job=job, source=status, actor=SYSTEM_ACTOR, detail={"next_stage": stage.value})
    return job


def log_step(*, job: Job, source: str, actor: str, detail: dict[str, Any]) -> None:
    """Write the JobEvent and the audit event of a step that the caller has just made in this transaction."""
    JobEvent.objects.create(
        job=job,
        from_status=source,
        to_status=job.status,
        stage=job.stage,
        attempt=job.attempt,
        actor=actor,
        detail=detail,
    )
    record_event(
        actor=actor,
        action=f"job.{job.status}",
        subject_type="job",
        subject_id=str(job.pk),
        studio_id=job.studio_id,
        detail=detail,
    )
