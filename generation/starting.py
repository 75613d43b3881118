"""What follows previews: the waiting job is sent on with the settings that were found, or a job is made once more with others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from generation import dispatch
from generation.casting import cast_of
from generation.errors import IllegalMove
from generation.job_request import JobRequest
from generation.models import Job
from generation.options import option_values, parse_options
from generation.previews.errors import NotPreviewable
from generation.previews.services import OF_ENDED, WHAT_INSTEAD, is_previewable
from generation.services import submit
from generation.states import FINAL, Stage, Status
from generation.transitions import log_step
from users.models import User

STARTABLE = frozenset({Status.SUBMITTED, Status.IN_REVIEW, Status.CLEARED})
ENDED_WITHOUT_CLIP = FINAL - {Status.RELEASED}


def start_job(*, job: Job, actor: str, options: Mapping[str, Any] | None = None) -> Job:
    """Send a waiting job on, with other options if any are given; one that is not cleared yet goes on once it is.

    Whom it shows and what for was decided and stays; options move only what was cleared. Starting it twice is starting it
    once, with the same options or none. Raises InvalidRequest, or IllegalMove for a job that ended without a clip or was
    started with other options.
    """
    changes: dict[str, Any] = {} if options is None else {"options": option_values(parse_options(options))}
    with transaction.atomic():
        waiting = Job.objects.filter(pk=job.pk, waits_for_start=True, status__in=STARTABLE)
        started = waiting.update(waits_for_start=False, updated_at=timezone.now(), **changes)
        current = Job.objects.select_related("studio", "portrait", "driving").get(pk=job.pk)
        if started:
            log_step(job=current, source=current.status, actor=actor, detail={"started": True, **changes})
            if current.status == Status.CLEARED:
                dispatch.enqueue_after_commit(job.pk, Stage.RENDER)
        else:
            _require_started_so(current, changes)
    return current


def _require_started_so(job: Job, changes: Mapping[str, Any]) -> None:
    going = job.status in STARTABLE | {Status.RENDERING}
    was_started = job.status not in ENDED_WITHOUT_CLIP and job.events.filter(detail__started=True).exists()
    if job.waits_for_start or not (going or was_started):
        raise IllegalMove(f"A job that is {job.status} cannot be started; submit it again.")
    if changes.get("options", job.options) != job.options:
        raise IllegalMove("This job was started with other settings; make another clip with these.")


def make_again(*, job: Job, options: Mapping[str, Any], actor: str, user: User | None = None) -> Job:
    """A new job of the same inputs, people and purpose with other options; the gate is asked anew.

    Twice makes one job, unless the first ended without a clip: then it is tried again.

    Raises NotPreviewable for a job whose settings cannot be tried, and what `submit` raises.
    """
    if not is_previewable(job):
        instead = WHAT_INSTEAD.get(Status(job.status), OF_ENDED)
        raise NotPreviewable(f"A job that is {job.status} has no settings to try; {instead}.")
    values = option_values(parse_options(options))
    return submit(
        studio=job.studio,
        portrait=job.portrait,
        driving=job.driving,
        request=JobRequest(
            purpose=job.purpose,
            engine=job.engine,
            territories=tuple(job.territories),
            declared_fictional=job.declared_fictional,
            options=values,
            named_consents=job.named_consents,
            propose_consents=job.propose_consents,
        ),
        cast=cast_of(job),
        actor=actor,
        user=user,
        idempotency_key=_key_of_again(job, values),
    )


def _key_of_again(job: Job, values: Mapping[str, Any]) -> str:
    """The same for the same settings, and another once a job made with them ended without a clip."""
    digest = hashlib.sha256(json.dumps([str(job.pk), values], sort_keys=True).encode()).hexdigest()
    earlier = Job.objects.filter(studio=job.studio, idempotency_key__startswith=f"again-{digest}")
    return f"again-{digest}-{earlier.filter(status__in=ENDED_WITHOUT_CLIP).count()}"
