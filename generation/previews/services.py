"""A still of what a job would show with other settings: asked of the same gate as rendering, counted, and marked."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from audit.services import record_event
from generation.cleared import output_rate
from generation.errors import InvalidRequest
from generation.models import Job, Preview
from generation.options import option_values, parse_options
from generation.previews.errors import NotPreviewable, PreviewPairsUsed, PreviewQuotaUsed
from generation.previews.marking import STRENGTH, finished
from generation.previews.moments import moments
from generation.previews.process import RendererPool
from generation.previews.scene import scene_key, scene_of
from generation.stages.render import require_inputs_stand
from generation.states import Status
from provenance.keys import embedder_of, watermark_key
from provenance.models import Record
from provenance.services import reserve_preview_record
from users.models import Studio

# cleared by the gate or by a moderator, and neither doubted since nor ended; an ended job has no motion any more
PREVIEWABLE = frozenset({Status.CLEARED, Status.RENDERING, Status.SEALING, Status.RELEASED})
WHAT_INSTEAD = {
    Status.SUBMITTED: "wait until its faces were looked at",
    Status.IN_REVIEW: "wait for the reviewer",
    Status.HELD: "wait for the reviewer",
    Status.WITHDRAWN: "ask the people in it for a new consent, and submit its files again",
}
OF_ENDED = "read its reasons, and submit its files again"
LIMITS = settings.REQUEST_LIMITS
RENDERER = RendererPool(wait_s=LIMITS.preview_wait_seconds, deadline_s=LIMITS.preview_seconds)


@dataclass(frozen=True, slots=True)
class Picture:
    """A preview that may be shown: a marked PNG, and the row that says who asked for it."""

    png: bytes
    row: Preview


def is_previewable(job: Job) -> bool:
    """Whether the job's standing lets its settings be tried."""
    return job.status in PREVIEWABLE and bool(job.motion_sha256)


def moments_of(job: Job) -> tuple[float, ...]:
    """The moments of a job that may be previewed, in seconds; none before its inputs were looked at."""
    if not job.frames_total:
        return ()
    return moments(float(job.frames_total / output_rate(job)), _key(job.studio))


def preview(*, job: Job, options: Mapping[str, Any], moment: int, actor: str) -> Picture:
    """The job's frame at one of its moments (counted from 0), had it been made with these options.

    Raises InvalidRequest, NotPreviewable, PreviewQuotaUsed, PreviewPairsUsed, PreviewBusy, PreviewFailed, an engine's error, and
    what the gate raises: consent's ConsentRefused, ArtefactChanged.
    """
    asked = parse_options(options)
    _require_previewable(job)
    known = moments_of(job)
    if not 0 <= moment < len(known):
        raise InvalidRequest(f"There is no moment {moment}; choose one from 0 to {len(known) - 1}.")
    require_inputs_stand(job)
    row, record = _written_down(job, option_values(asked), known[moment], actor)
    frame = RENDERER.frame(scene_key(job, asked.shape), lambda: scene_of(job, asked.shape), asked.performance, known[moment])
    _require_still_standing(job.pk)
    return Picture(finished(frame, embedder_of(record, strength=STRENGTH)), row)


def previews_left(studio: Studio) -> int:
    """How many more previews a studio may have today (UTC)."""
    return max(0, settings.REQUEST_LIMITS.previews_per_day - _taken_today(studio, timezone.now()))


def _require_previewable(job: Job) -> None:
    if not is_previewable(job):
        raise NotPreviewable(f"A job that is {job.status} has no previews; {WHAT_INSTEAD.get(Status(job.status), OF_ENDED)}.")


def _require_still_standing(job_id: uuid.UUID) -> None:
    """Ask once more, of the rows as they are now: making the frame took time, and a consent may have ended meanwhile."""
    job = Job.objects.select_related("studio", "portrait", "driving").get(pk=job_id)
    _require_previewable(job)
    require_inputs_stand(job)


def _key(studio: Studio) -> bytes:
    """What chooses the moments: secret, and the same for all inputs."""
    return hmac.digest(watermark_key(f"{studio.pk}/previews"), b"moments", "sha256")


@transaction.atomic
def _written_down(job: Job, options: dict[str, Any], at_s: float, actor: str) -> tuple[Preview, Record]:
    """Count the preview, or raise PreviewQuotaUsed or PreviewPairsUsed. Before it is made: it is asking that costs."""
    # one request of a studio at a time: the quota cannot be passed twice
    Studio.objects.select_for_update(no_key=True).get(pk=job.studio_id)
    now = timezone.now()
    _require_quota(job, now)
    record = reserve_preview_record(
        studio_id=job.studio_id,
        system=settings.CLAIM_GENERATOR,
        system_version=settings.VERSION,
        studio_public_name=job.studio.public_name,
    )
    row = Preview.objects.create(
        studio=job.studio, job=job, actor=actor, options=options, at_s=at_s, watermark_id=record.watermark_id
    )
    record_event(
        actor=actor,
        action="job.previewed",
        subject_type="job",
        subject_id=str(job.pk),
        studio_id=job.studio_id,
        detail={"preview": str(row.pk), "options": options, "at_s": at_s, "watermark_id": record.watermark_id},
    )
    return row, record


def _require_quota(job: Job, now: datetime) -> None:
    """Raise PreviewQuotaUsed, or PreviewPairsUsed: many nearly equal inputs are how marks are averaged and frames collected."""
    limits = settings.REQUEST_LIMITS
    if _taken_today(job.studio, now) >= limits.previews_per_day:
        raise PreviewQuotaUsed(limits.previews_per_day, _seconds_to_midnight(now))
    digests = _of_today(job.studio, now).values_list("job__portrait__normalised_sha256", "job__motion_sha256")
    pairs = set(digests.distinct())
    if (job.portrait.normalised_sha256, job.motion_sha256) not in pairs and len(pairs) >= limits.preview_pairs_per_day:
        raise PreviewPairsUsed(limits.preview_pairs_per_day, _seconds_to_midnight(now))


def _of_today(studio: Studio, now: datetime) -> QuerySet[Preview]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return Preview.objects.filter(studio=studio, created_at__gte=midnight).order_by()


def _taken_today(studio: Studio, now: datetime) -> int:
    return _of_today(studio, now).count()


def _seconds_to_midnight(now: datetime) -> int:
    tomorrow = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(1, round((tomorrow - now).total_seconds()))
