"""Reads of assets and jobs. Everything a studio sees comes through here, so that none sees another's."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from pathlib import Path
from typing import Any

from django.db.models import Count, Q, QuerySet

from consent.selectors import names_by_consent
from generation import storage
from generation.errors import GenerationError
from generation.models import Asset, Job
from generation.release import require_releasable, require_unchanged
from generation.revocation import CONSENT_ENDED
from generation.states import FINAL, PARKED, Status
from users.models import Studio

UNAVAILABLE = {
    Status.WITHDRAWN: "This clip was withdrawn and is no longer handed out; ask the people in it for a new consent.",
    Status.REFUSED: "This job was refused, so there is no clip; read its reasons and submit it again.",
    Status.REJECTED: "A reviewer rejected this job, so there is no clip; read its reasons or appeal.",
    Status.FAILED: "This job failed, so there is no clip; read its reasons and submit it again.",
    Status.CANCELLED: "This job was cancelled, so there is no clip; submit it again.",
}
NOT_READY = "This clip is not released yet; wait for the job to finish."


class OutputUnavailable(GenerationError):
    """The job has ended without a clip, or its clip was withdrawn."""

    code = "output_unavailable"


class NotReleased(GenerationError):
    """The job has not come to its end yet."""

    code = "not_released"
    permanent = False


def assets_of(studio: Studio) -> QuerySet[Asset]:
    """A studio's uploads, newest first."""
    return Asset.objects.filter(studio=studio)


def asset_of(studio: Studio, asset_id: uuid.UUID) -> Asset | None:
    """One upload of a studio, or None; another studio's reads like one that does not exist."""
    return assets_of(studio).filter(pk=asset_id).first()


def jobs_of(studio: Studio) -> QuerySet[Job]:
    """A studio's jobs with their assets, newest first."""
    return Job.objects.filter(studio=studio).select_related("studio", "portrait", "driving")


def job_of(studio: Studio, job_id: uuid.UUID) -> Job | None:
    """One job of a studio, or None; another studio's reads like one that does not exist."""
    return jobs_of(studio).filter(pk=job_id).first()


def people_of(jobs: Collection[Job], *, studio: Studio) -> dict[uuid.UUID, dict[str, str]]:
    """By job, whose consent stands for each face: the names that `studio`, whose jobs they are, gave its people."""
    wanted = {uuid.UUID(consent) for job in jobs for consent in job.named_consents.values()}
    names = names_by_consent(ids=wanted, studio_id=studio.pk)
    return {
        job.pk: {
            face: names[uuid.UUID(consent)] for face, consent in sorted(job.named_consents.items()) if uuid.UUID(consent) in names
        }
        for job in jobs
    }


def is_waiting(job: Job) -> bool:
    """Whether a job is cleared and stays so until its studio starts it."""
    return job.status == Status.CLEARED and job.waits_for_start


def usage_of(studio: Studio) -> dict[str, Any]:
    """How many jobs of a studio stand in each status, and the seconds of clip released and not withdrawn."""
    counts = Job.objects.filter(studio=studio).order_by().values_list("status").annotate(count=Count("pk"))
    facts = Job.objects.filter(studio=studio, status=Status.RELEASED).values_list("render_facts", flat=True)
    return {"jobs": dict(counts), "released_seconds": round(sum(fact.get("seconds") or 0.0 for fact in facts), 3)}


def ended_by_consent(job: Job) -> bool:
    """Whether a job's clip was withdrawn, or a job stopped, because a consent behind it ended."""
    return job.status == Status.WITHDRAWN or any(reason["code"] == CONSENT_ENDED for reason in job.reasons)


def may_be_shown(asset: Asset) -> bool:
    """Whether an upload may be looked at: not once a consent behind it ended, unless a job that rests on it still stands."""
    jobs = Job.objects.filter(Q(portrait=asset) | Q(driving=asset) | Q(parts__driving=asset)).distinct()
    standing = [job for job in jobs if job.status == Status.RELEASED or job.status not in FINAL]
    return bool(standing) or not any(ended_by_consent(job) for job in jobs)


def reasons_of(job: Job) -> list[dict[str, str | None]]:
    """Why a job stands where it does; for a held one, why its sealed clip waits."""
    return list(job.reasons or job.hold_reasons) if job.status in PARKED else list(job.reasons)


def released_file(job: Job) -> Path:
    """The file of a released job, to be handed out now. The consents behind it and the file itself are checked first.

    Raises OutputUnavailable, NotReleased, ArtefactChanged or consent's ConsentRefused.
    """
    status = Status(job.status)
    if status in UNAVAILABLE:
        raise OutputUnavailable(UNAVAILABLE[status])
    if status is not Status.RELEASED:
        raise NotReleased(NOT_READY)
    require_releasable(job)
    require_unchanged(job.output_path, job.output_sha256, "released clip")
    return storage.resolve(job.output_path)
