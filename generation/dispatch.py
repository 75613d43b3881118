"""Puts a job's next stage on its queue once the transaction that made it ready has committed."""

from __future__ import annotations

import uuid
from functools import partial

from celery import current_app
from django.db import transaction

from generation.states import Stage

TASK_BY_STAGE = {
    Stage.CLEAR: "generation.clear",
    Stage.RENDER: "generation.render",
    Stage.PROVE: "generation.prove",
    Stage.SEAL: "generation.seal",
}


def send(job_id: uuid.UUID, stage: Stage) -> None:
    """Send the task of a stage now. It carries the job's id and nothing else; settings route it to its queue."""
    current_app.send_task(TASK_BY_STAGE[stage], args=[str(job_id)])


def enqueue_after_commit(job_id: uuid.UUID, stage: Stage) -> None:
    """Send the task when the surrounding transaction commits. A message that gets lost is resent by the sweeper."""
    transaction.on_commit(partial(send, job_id, stage), robust=True)
