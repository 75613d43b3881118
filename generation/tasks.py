"""Celery's shells around the pipeline: an id in, nothing out. Safe to deliver twice, late, or to a worker that then dies."""

from __future__ import annotations

import uuid

from celery import shared_task

from consent.services import destroy_due_templates, expire_consents
from generation import pipeline, revocation
from generation.states import Stage


@shared_task(name="generation.clear")
def clear(job_id: str) -> None:
    """Normalise the inputs and ask the consent gate."""
    pipeline.run_stage(stage=Stage.CLEAR, job_id=uuid.UUID(job_id))


@shared_task(name="generation.render")
def render(job_id: str) -> None:
    """Animate, watermark and encode in one stream."""
    pipeline.run_stage(stage=Stage.RENDER, job_id=uuid.UUID(job_id))


@shared_task(name="generation.prove")
def prove(job_id: str) -> None:
    """Read the watermark back and look at the rendered faces."""
    pipeline.run_stage(stage=Stage.PROVE, job_id=uuid.UUID(job_id))


@shared_task(name="generation.seal")
def seal(job_id: str) -> None:
    """Sign and release. Only the signer's worker listens to this queue."""
    pipeline.run_stage(stage=Stage.SEAL, job_id=uuid.UUID(job_id))


@shared_task(name="generation.sweep")
def sweep() -> None:
    """End consents and templates whose time is over, act on consents that ended, and resend overdue stages."""
    expire_consents()
    destroy_due_templates()
    revocation.consume_withdrawals()
    pipeline.sweep()
