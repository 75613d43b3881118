"""`review`: list what waits for a person, approve it or reject it."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.management.base import CommandParser

from generation import services
from generation.errors import InvalidRequest
from generation.management.commands.generate import EXIT_CODES
from generation.models import Job
from generation.states import PARKED
from users.commands import Exit, JsonCommand
from users.models import User
from users.selectors import user_by_email


class Command(JsonCommand):
    """Decide parked jobs from the command line, as the operator or a named member of staff."""

    help = "List, approve or reject the jobs that wait for a person."
    exit_codes = EXIT_CODES

    def add_arguments(self, parser: CommandParser) -> None:
        """One action, and the job it is about."""
        super().add_arguments(parser)
        parser.add_argument("action", choices=["list", "approve", "reject"])
        parser.add_argument("job", nargs="?", type=uuid.UUID)
        parser.add_argument("--reason", metavar="CODE")
        parser.add_argument("--by", metavar="EMAIL", help="the member of staff who decides; left out, the operator does")

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Do the action."""
        if options["action"] == "list":
            waiting = Job.objects.filter(status__in=PARKED).order_by("created_at")
            return {"results": [_row(job) for job in waiting]}, Exit.DONE
        job, reviewer = _job(options["job"]), _reviewer(options["by"])
        if options["action"] == "approve":
            decided = services.approve(job=job, reviewer=reviewer)
        else:
            decided = services.reject(job=job, reviewer=reviewer, reason=options["reason"] or "")
        return {"results": [_row(decided)]}, Exit.DONE


def _row(job: Job) -> dict[str, Any]:
    return {"job": str(job.pk), "status": job.status, "reasons": job.reasons or job.hold_reasons}


def _job(job_id: uuid.UUID | None) -> Job:
    job = Job.objects.filter(pk=job_id).first() if job_id else None
    if job is None:
        raise InvalidRequest("Name the job to decide; `review list` shows those that wait.")
    return job


def _reviewer(email: str | None) -> User | None:
    if email is None:
        return None
    user = user_by_email(email)
    if user is None:
        raise InvalidRequest("There is no such user; give the e-mail address of a member of staff with --by.")
    return user
