"""Leases: a stage of a job belongs to one worker at a time, for as long as that worker shows it is alive.

The row in PostgreSQL is the truth. A task delivered twice finds the lease taken or the status gone on, and does nothing.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from generation import states
from generation.errors import LeaseLost
from generation.models import Job
from generation.transitions import SYSTEM_ACTOR, log_step

logger = logging.getLogger(__name__)
PROGRESS_SECONDS = 1.0
# cleared, but its studio tries its settings first: no worker takes it before `starting.start_job`
WAITING = Q(status=states.Status.CLEARED, waits_for_start=True)


@dataclass(slots=True)
class Claim:
    """One worker's hold on one stage of one job."""

    job: Job
    stage: states.Stage
    token: uuid.UUID
    lost: threading.Event = field(default_factory=threading.Event)
    frames_done: int = 0
    reported_at: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raise LeaseLost as soon as the row is known to belong to somebody else. Call it between batches."""
        if self.lost.is_set():
            raise LeaseLost("This job was cancelled or taken over; nothing to do.")

    def progress(self, frames: int) -> None:
        """Count finished frames and show them in the row about once a second; a lost lease is noticed on the way."""
        self.frames_done += frames
        if time.monotonic() - self.reported_at > PROGRESS_SECONDS:
            self.reported_at = time.monotonic()
            if not renew(self):
                self.lost.set()
        self.check()


def _lease() -> timedelta:
    return timedelta(seconds=settings.JOB_LEASE_SECONDS)


def claim(*, job_id: uuid.UUID, stage: states.Stage) -> Claim | None:
    """Take the lease of a stage by one conditional UPDATE, or None when there is nothing to take."""
    now, token = timezone.now(), uuid.uuid4()
    free = Q(lease_token=None) | Q(lease_expires_at__lt=now)
    claimable = Job.objects.filter(free, pk=job_id, stage=stage, status__in=states.CLAIMABLE[stage]).exclude(WAITING)
    source = claimable.values_list("status", flat=True).first()
    if source is None:
        return None
    target = states.Status.RENDERING if stage is states.Stage.RENDER else source
    with transaction.atomic():
        taken = claimable.filter(status=source).update(
            lease_token=token,
            lease_expires_at=now + _lease(),
            attempt=F("attempt") + 1,
            status=target,
            updated_at=now,
        )
        if not taken:  # another process got there first
            return None
        job = Job.objects.select_related("studio", "portrait", "driving").get(pk=job_id)
        log_step(job=job, source=source, actor=SYSTEM_ACTOR, detail={"claimed": stage.value})
    return Claim(job=job, stage=stage, token=token)


def put_back(held: Claim) -> Job:
    """Give a stage back after a passing fault; the sweeper sends it again after a lease's time."""
    Job.objects.filter(pk=held.job.pk, lease_token=held.token).update(
        lease_token=None, lease_expires_at=None, updated_at=timezone.now()
    )
    return Job.objects.get(pk=held.job.pk)


def renew(held: Claim) -> bool:
    """Extend the lease and report progress. False when the row is no longer ours."""
    fields: dict[str, object] = {"lease_expires_at": timezone.now() + _lease()}
    if held.stage is states.Stage.RENDER:
        fields["frames_done"] = held.frames_done
    return bool(Job.objects.filter(pk=held.job.pk, lease_token=held.token).update(**fields))


def _beat(held: Claim, stop: threading.Event) -> None:
    period_s = settings.JOB_LEASE_SECONDS / 3
    deadline = timezone.now() + _lease()
    while not stop.wait(period_s):
        try:
            if not renew(held):
                held.lost.set()
                return
            deadline = timezone.now() + _lease()
        except DatabaseError:
            logger.warning("lease of job %s could not be renewed", held.job.pk, exc_info=True)
            if timezone.now() > deadline:  # another worker may own it by now
                held.lost.set()
                return
            connection.close()


@contextmanager
def heartbeat(held: Claim) -> Iterator[Claim]:
    """Keep the lease alive from a thread with its own database connection while the stage works."""
    stop = threading.Event()

    def run() -> None:
        try:
            _beat(held, stop)
        finally:
            connection.close()

    thread = threading.Thread(target=run, name=f"lease-{held.job.pk}", daemon=True)
    thread.start()
    try:
        yield held
    finally:
        stop.set()
        thread.join(timeout=5)


def forgotten() -> QuerySet[Job]:
    """Jobs that were left waiting for their start longer than `WAITING_JOB_DAYS`."""
    return Job.objects.filter(WAITING, updated_at__lt=timezone.now() - timedelta(days=settings.WAITING_JOB_DAYS))


def overdue() -> list[tuple[uuid.UUID, states.Stage]]:
    """Jobs that wait for a worker: their lease ran out, or nobody took them for a whole lease (a lost message)."""
    now = timezone.now()
    waiting = Job.objects.filter(
        Q(lease_expires_at__lt=now) | Q(lease_token=None, updated_at__lt=now - _lease()),
        status__in=[s for claimable in states.CLAIMABLE.values() for s in claimable],
    ).exclude(WAITING)
    return [(pk, states.Stage(stage)) for pk, stage in waiting.values_list("pk", "stage")]
