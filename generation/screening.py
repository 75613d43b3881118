"""What has to be seen by a person although every consent is in order. No content classifier is bundled; one can be added here."""

from __future__ import annotations

from consent.policy import Reason
from generation.models import Job
from generation.states import Status

FIRST_JOBS_REVIEWED = 3  # a studio's first real uses; internal tests carry a burnt-in TEST label instead


def reasons_for_review(job: Job) -> list[Reason]:
    """Why this job goes to review before rendering, or nothing."""
    if job.purpose == "internal_test":
        return []
    released = Job.objects.filter(studio_id=job.studio_id, status=Status.RELEASED).exclude(purpose="internal_test").count()
    if released >= FIRST_JOBS_REVIEWED:
        return []
    message = "The first uses of a studio are looked at by a person; no action is needed."
    return [Reason("first_uses_of_studio", message)]


def reasons_to_hold(job: Job) -> list[Reason]:
    """Why the sealed clip of this job waits for a look before release, or nothing."""
    if not job.declared_fictional:
        return []
    message = "A clip of a face declared fictional is looked at before release; no action is needed."
    return [Reason("declared_fictional_output", message)]
