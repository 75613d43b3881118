"""`start`: send a job on that was cleared to wait for its previews, and wait for its end."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from consent.gate import ConsentRefused
from generation.answers import job_answer
from generation.errors import IllegalMove, InvalidRequest
from generation.management.commands.generate import ACTOR, exit_code, hand_over, pairs, require_writable, wait_for
from generation.models import Job
from generation.selectors import OutputUnavailable
from generation.starting import start_job
from generation.states import Status
from media.errors import CountersignError
from users.commands import Exit, JsonCommand


class Command(JsonCommand):
    """Start one waiting job."""

    help = "Start a job that was submitted with --wait-for-start, with the settings that its previews led to."
    exit_codes: ClassVar[dict[type[CountersignError], Exit]] = {
        InvalidRequest: Exit.BAD_USAGE,
        IllegalMove: Exit.REFUSED,
        ConsentRefused: Exit.REFUSED,
        OutputUnavailable: Exit.REFUSED,
    }

    def add_arguments(self, parser: CommandParser) -> None:
        """Arguments as scripts rely on them."""
        super().add_arguments(parser)
        parser.add_argument("job", type=uuid.UUID, metavar="JOB")
        parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="in place of the job's settings")
        parser.add_argument("--out", type=Path, metavar="FILE")

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Start, wait, copy."""
        job = Job.objects.filter(pk=options["job"]).first()
        if job is None:
            raise InvalidRequest(f"There is no job {options['job']}; `generate` prints a job's id.")
        if options["out"]:
            require_writable(options["out"])
        settings = pairs(options["option"], "--option head_motion=0.5") or None
        job = wait_for(start_job(job=job, options=settings, actor=ACTOR))
        answer = job_answer(job)
        if job.status == Status.RELEASED and options["out"]:
            answer["output"] = str(hand_over(job, options["out"]))
        return answer, exit_code(job)
