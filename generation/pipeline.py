"""The way through: the stages in order, and what becomes of a job when a stage ends, refuses or breaks.

    CLEAR   probe, normalise, look at every face, ask the consent gate      SUBMITTED -> CLEARED | IN_REVIEW | REFUSED
    RENDER  ask again; read -> animate -> label -> watermark -> encode      CLEARED -> RENDERING -> SEALING
    PROVE   read the mark back from the file and its copies, look at the rendered faces   SEALING
    SEAL    in the signer: re-check everything, sign, read back, release    SEALING -> RELEASED | HELD

There is no other way, and no flag that leaves a step out.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable

from django.conf import settings
from django.db import transaction

from consent.gate import ConsentRefused
from generation import dispatch, storage
from generation.claims import Claim, claim, forgotten, heartbeat, overdue, put_back
from generation.errors import IllegalMove, LeaseLost, RefusedByRule
from generation.models import Job
from generation.services import cancel
from generation.stages import clear, prove, render, seal
from generation.states import FINAL, Stage, Status
from generation.transitions import SYSTEM_ACTOR, move
from media.errors import CountersignError

logger = logging.getLogger(__name__)

STAGES: dict[Stage, Callable[[Claim], Job]] = {
    Stage.CLEAR: clear.run,
    Stage.RENDER: render.run,
    Stage.PROVE: prove.run,
    Stage.SEAL: seal.run,
}
Reason = dict[str, str | None]


def run_stage(*, stage: Stage, job_id: uuid.UUID) -> None:
    """Do one stage of one job, once: a second delivery, a cancelled job or a finished one is left alone."""
    held = claim(job_id=job_id, stage=stage)
    if held is None:
        return
    if held.job.attempt > settings.JOB_MAX_ATTEMPTS:
        end(held, Status.FAILED, [_reason("gave_up", "Its worker died again and again; submit it again or ask the operator.")])
        return
    storage.clear_other_attempts(job_id, stage, held.job.attempt)
    with heartbeat(held):
        job = _attempt(held)
    if job.status in FINAL and job.status != Status.RELEASED:
        storage.clear_job(job_id)


def _attempt(held: Claim) -> Job:
    try:
        return STAGES[held.stage](held)
    except (LeaseLost, IllegalMove):
        logger.info("job %s went on without this worker", held.job.pk)
        return Job.objects.get(pk=held.job.pk)
    except ConsentRefused as refusal:
        return end(held, Status.REFUSED, [reason.as_dict() for reason in refusal.decision.reasons])
    except RefusedByRule as refusal:
        return end(held, Status.REFUSED, [refusal.reason])
    except CountersignError as error:
        logger.warning("job %s stopped in %s: %s", held.job.pk, held.stage, error)
        if not error.permanent:
            return put_back(held)
        return end(held, Status.FAILED, [_reason(error.code, error.message)])
    except Exception:
        # the process boundary: whatever broke is logged and recorded, and nothing is released
        logger.exception("job %s broke in %s", held.job.pk, held.stage)
        return end(held, Status.FAILED, [_reason("internal_error", "Something broke on our side; submit it again.")])


def _reason(code: str, message: str) -> Reason:
    return {"code": code, "message": message, "face": None}


def end(held: Claim, target: Status, reasons: list[Reason]) -> Job:
    """End a claimed job without an output. When the lease was lost meanwhile, the other owner's word stands."""
    source = Status(held.job.status)
    try:
        return move(
            job_id=held.job.pk,
            source=source,
            target=target,
            actor=SYSTEM_ACTOR,
            lease_token=held.token,
            reasons=reasons,
            detail={"stage": held.stage.value, "codes": [reason["code"] for reason in reasons]},
        )
    except IllegalMove:
        return Job.objects.get(pk=held.job.pk)


def sweep() -> int:
    """Send every overdue stage again: workers die and messages get lost. Safe to run at any time, anywhere."""
    waiting = overdue()
    for job_id, stage in waiting:
        dispatch.send(job_id, stage)
    _end_forgotten()
    _clear_leftovers()
    return len(waiting)


@transaction.atomic
def _end_forgotten() -> None:
    """Cancel what nobody started in days: it counts among its studio's unfinished jobs, and keeps files of faces."""
    # locked, so that whoever starts one right now comes either before or after
    for job in forgotten().select_for_update(skip_locked=True):
        cancel(job=job, actor=SYSTEM_ACTOR, reason="never_started", message="It was not started in time; submit its files again.")


def _clear_leftovers() -> None:
    """Delete what a worker that died after its job's end, but before tidying up, left on disk."""
    done = Job.objects.filter(pk__in=storage.jobs_with_work(), status__in=[*FINAL, Status.HELD])
    for job in done.only("pk", "status", "output_path"):
        if job.status not in (Status.RELEASED, Status.HELD):
            storage.clear_motion(job.pk)
        storage.clear_work(job.pk)
        storage.clear_other_outputs(job.pk, keep=storage.resolve(job.output_path) if job.output_path else None)
