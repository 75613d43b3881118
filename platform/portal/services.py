"""The few writes that belong to the portal itself."""

from __future__ import annotations

from django.db import transaction

from audit.services import record_event
from generation.models import Job
from portal.acting import Acting


@transaction.atomic
def record_download(*, acting: Acting, job: Job) -> None:
    """Write down who took a copy of a released clip."""
    record_event(
        actor=acting.actor,
        action="output.downloaded",
        subject_type="job",
        subject_id=str(job.pk),
        studio_id=acting.studio.pk,
        detail={"sha256": job.output_sha256},
    )
