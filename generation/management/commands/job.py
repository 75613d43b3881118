"""`job`: list a studio's jobs, show one, or wait for one and copy its released file."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from generation.answers import job_answer
from generation.errors import InvalidRequest
from generation.management.commands.generate import EXIT_CODES, finished, named_job, require_writable
from generation.management.told import JobCommand
from generation.selectors import jobs_of
from users.commands import Exit
from users.selectors import studio_by_slug

LISTED = 50


class Command(JobCommand):
    """Look after jobs that `generate` no longer waits for: approved in review, interrupted, or made on the site."""

    help = "List a studio's jobs, show one, or wait for one and copy its released file."
    exit_codes = EXIT_CODES

    def add_arguments(self, parser: CommandParser) -> None:
        """Arguments as scripts rely on them."""
        super().add_arguments(parser)
        parser.add_argument("action", choices=["list", "show", "fetch"])
        parser.add_argument("job", nargs="?", type=uuid.UUID, metavar="JOB", help="of `show` and `fetch`")
        parser.add_argument("--studio", metavar="SLUG", help="of `list`")
        parser.add_argument("--out", type=Path, metavar="FILE", help="of `fetch`: where the clip goes")

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Do one of the three."""
        if options["action"] == "list":
            return {"results": _listed(options["studio"])}, Exit.DONE
        job = named_job(options["job"])
        if options["action"] == "show":
            return job_answer(job), Exit.DONE
        if not options["out"]:
            raise InvalidRequest("Say where the clip goes: job fetch JOB --out clip.mp4.")
        require_writable(options["out"])
        return finished(job, options["out"])


def _listed(slug: str | None) -> list[dict[str, Any]]:
    studio = studio_by_slug(slug) if slug else None
    if studio is None:
        raise InvalidRequest("Name a studio that exists: job list --studio SLUG.")
    return [
        {"job": str(job.pk), "status": str(job.status), "created": job.created_at.isoformat(), "purpose": job.purpose}
        for job in jobs_of(studio)[:LISTED]
    ]
