"""The few writes that belong to the portal itself."""

from __future__ import annotations

from django.db import transaction

from audit.services import record_event
from generation.models import Job
from portal.acting import Acting


def record_download(*, acting: Acting, job: Job) -> None:
    """Write down who took a copy of a released clip."""
    _record(acting, job, "output.downloaded")


def record_poster(*, acting: Acting, job: Job) -> None:
    """Write down who took a still of a released clip."""
    _record(acting, job, "output.poster")


def record_play(*, acting: Acting, job: Job) -> None:
    """Write down who looked at a released clip; whoever plays a clip holds its bytes."""
    _record(acting, job, "output.played")


@transaction.atomic
def _record(acting: Acting, job: Job, action: str) -> None:
    record_event(
        actor=acting.actor,
        action=action,
        subject_type="job",
        subject_id=str(job.pk),
        studio_id=acting.studio.pk,
        detail={"sha256": job.output_sha256},
    )
