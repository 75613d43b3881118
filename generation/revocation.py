"""What a withdrawn consent does to jobs and outputs, and a revoked motion template to jobs.

The gate alone already stops release; this makes it prompt and visible.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q

from audit.models import OutboxMessage
from audit.services import deliver
from consent.selectors import consents_by_id
from consent.services import withdraw_consent
from generation.models import Asset, Job, MotionTemplate
from generation.states import CANCELLABLE, Status
from generation.transitions import move

TOPICS = ("consent.withdrawn", "consent.suspended", "consent.expired", "consent.terminated")
CONSENT_ENDED = "consent_ended"
ENDED_REASON = {
    "code": CONSENT_ENDED,
    "message": "A consent behind this job has ended or is suspended; ask the person for a new one before submitting again.",
    "face": None,
}


@dataclass(frozen=True, slots=True)
class Cascade:
    """How many jobs and outputs a withdrawal reached."""

    jobs_cancelled: int
    outputs_withdrawn: int


def revoke(*, consent_id: uuid.UUID, reason: str, actor: str) -> Cascade:
    """Withdraw a consent and stop every job and output that rests on it, in one transaction."""
    with transaction.atomic():
        # the consent and the jobs are locked before the log is written, as every stage does: else the two could deadlock
        consents_by_id(ids=[consent_id], lock=True)
        _jobs_resting_on(consent_id)
        withdraw_consent(consent_id=consent_id, reason=reason, actor=actor)
        return cascade(consent_id=consent_id, actor=actor)


def cascade(*, consent_id: uuid.UUID, actor: str) -> Cascade:
    """Cancel the running and withdraw the released jobs that name this consent. Running it again changes nothing."""
    cancelled = withdrawn = 0
    with transaction.atomic():
        for job in _jobs_resting_on(consent_id):
            source = Status(job.status)
            target = Status.WITHDRAWN if source is Status.RELEASED else Status.CANCELLED
            move(
                job_id=job.pk,
                source=source,
                target=target,
                actor=actor,
                reasons=[ENDED_REASON],
                detail={"consent": str(consent_id)},
            )
            cancelled += target is Status.CANCELLED
            withdrawn += target is Status.WITHDRAWN
    return Cascade(jobs_cancelled=cancelled, outputs_withdrawn=withdrawn)


def cancel_jobs_driven_by(template: MotionTemplate, *, actor: str) -> int:
    """Cancel every job under way that performs a template; clips that were released stay. Call in the revoking transaction."""
    digest = template.sha256
    files = Asset.objects.filter(Q(upload_sha256=digest) | Q(normalised_sha256=digest), kind=Asset.Kind.MOTION)
    using = Job.objects.filter(Q(driving__in=files) | Q(parts__driving__in=files), status__in=CANCELLABLE)
    jobs = _locked([*using.values_list("pk", flat=True)], CANCELLABLE)
    message = f"The {template} was revoked; record the performance again before submitting again."
    for job in jobs:
        move(
            job_id=job.pk,
            source=Status(job.status),
            target=Status.CANCELLED,
            actor=actor,
            reasons=[{"code": "template_revoked", "message": message, "face": None}],
            detail={"template": str(template.pk)},
        )
    return len(jobs)


def _jobs_resting_on(consent_id: uuid.UUID) -> list[Job]:
    """The living jobs that name a consent, each locked until the transaction ends."""
    wanted = str(consent_id)
    alive = Job.objects.filter(status__in=[*CANCELLABLE, Status.RELEASED]).only("pk", "named_consents", "decision")
    named = [job.pk for job in alive if wanted in {*job.named_consents.values(), *_recorded_under(job)}]
    return _locked(named, {*CANCELLABLE, Status.RELEASED})


def _locked(job_ids: Collection[uuid.UUID], statuses: Collection[Status]) -> list[Job]:
    """Those of the jobs that still stand so once they are locked: they may have gone on meanwhile."""
    held = Job.objects.select_for_update().filter(pk__in=job_ids, status__in=statuses)
    return list(held.order_by("pk").only("pk", "status"))


def _recorded_under(job: Job) -> list[str | None]:
    """The consents that the motion templates of a decided job were recorded under."""
    return [face.get("recorded_under") for face in (job.decision or {}).get("faces", [])]


def consume_withdrawals() -> int:
    """Act on consents that ended elsewhere (the person's own page, expiry), read from the outbox."""
    return sum(deliver(topic=topic, handler=_on_ended) for topic in TOPICS)


def _on_ended(message: OutboxMessage) -> None:
    cascade(consent_id=uuid.UUID(str(message.payload["consent"])), actor="system:revocation")
