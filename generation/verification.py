"""The one answer to "did this come from here?": provenance's verdict, with consent and availability as they stand now."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from consent.selectors import public_standing
from generation.models import Job
from generation.states import Status
from generation.verdict_words import NEVER_RELEASED, ORIGIN_IS_OURS, headline, standing_reasons
from provenance.examine import examine


def verify_file(path: Path) -> dict[str, Any]:
    """Examine a file of any origin. The shape is that of `verify` in the command line's JSON, without `file`.

    The reasons of a file of ours begin with what no longer stands: of the record behind the verdict, then of any other it holds.
    Raises BadInput when the file cannot be read as a video or a still, and provenance's ExaminationTooLong.
    """
    examination = examine(path, limits=settings.MEDIA_LIMITS, deadline_s=settings.REQUEST_LIMITS.verify_seconds)
    answer = examination.as_json()
    if examination.outcome.record is not None:
        record = examination.outcome.record
        answer["record"] |= standing(record.job_id, preview=record.preview)
    for entry, record in zip(answer["records"], examination.records, strict=True):
        entry |= standing(record.job_id, preview=record.preview)
    ours = (answer["record"], *answer["records"]) if answer["verdict"] in ORIGIN_IS_OURS else ()
    ended = [reason for record in ours for reason in standing_reasons(record)]
    answer["reasons"] = list(dict.fromkeys([*ended, *answer["reasons"]]))
    return {"summary": headline(answer["verdict"], answer["record"], answer["reasons"]), **answer}


def standing(job_id: uuid.UUID, *, preview: bool = False) -> dict[str, Any]:
    """Consent and availability of a job's output, or of previews, now: `released`, `withdrawn` or `never_released`.

    Without its job an output counts as withdrawn. Its consent then counts as ended, as that of previews does, which are no one
    job's: nobody consented to showing them.
    """
    job = Job.objects.filter(pk=job_id).first()
    if job is None or not job.decision:
        gone = NEVER_RELEASED if preview else "withdrawn"
        return {"consent": {"state": "ended", "since": None}, "availability": gone}
    state, since = public_standing(decision_snapshot=job.decision, now=timezone.now())
    released = "released" if job.status == Status.RELEASED else "withdrawn"
    availability = NEVER_RELEASED if preview else released
    return {"consent": {"state": state, "since": since.isoformat() if since else None}, "availability": availability}
