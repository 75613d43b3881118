"""`job`: list a studio's jobs, show one, wait for one and copy its released file, or cut a poster from it."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from generation.answers import job_answer
from generation.errors import InvalidRequest
from generation.management.commands.generate import EXIT_CODES, finished, named_job, require_writable
from generation.management.told import JobCommand
from generation.models import Job
from generation.posters import poster
from generation.selectors import jobs_of, people_of
from users.commands import Exit
from users.selectors import studio_by_slug

LISTED = 50


class Command(JobCommand):
    """Look after jobs that `generate` no longer waits for: approved in review, interrupted, or made on the site."""

    help = "List a studio's jobs, show one, wait for one and copy its released file, or cut a poster from it."
    exit_codes = EXIT_CODES

    def add_arguments(self, parser: CommandParser) -> None:
        """Arguments as scripts rely on them."""
        super().add_arguments(parser)
        parser.add_argument("action", choices=["list", "show", "fetch", "poster"])
        parser.add_argument("job", nargs="?", type=uuid.UUID, metavar="JOB", help="of `show`, `fetch` and `poster`")
        parser.add_argument("--studio", metavar="SLUG", help="of `list`")
        parser.add_argument("--out", type=Path, metavar="FILE", help="of `fetch` and `poster`: where clip or JPEG goes")
        parser.add_argument(
            "--at", type=float, metavar="SECONDS", help="of `poster`: the moment, a quarter into the clip by default"
        )

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Do one of the four."""
        if options["action"] == "list":
            return {"results": _listed(options["studio"])}, Exit.DONE
        job = named_job(options["job"])
        if options["action"] == "show":
            return job_answer(job), Exit.DONE
        if not options["out"]:
            raise InvalidRequest("Say where it goes: job fetch JOB --out clip.mp4, or job poster JOB --out poster.jpg.")
        require_writable(options["out"])
        if options["action"] == "poster":
            return _poster(job, options["out"], options["at"]), Exit.DONE
        return finished(job, options["out"])


def _poster(job: Job, destination: Path, at_s: float | None) -> dict[str, Any]:
    still = poster(job, at_s=at_s)
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.write_bytes(still)
    return {**job_answer(job), "output": str(destination)}


def _listed(slug: str | None) -> list[dict[str, Any]]:
    studio = studio_by_slug(slug) if slug else None
    if studio is None:
        raise InvalidRequest("Name a studio that exists: job list --studio SLUG.")
    jobs = list(jobs_of(studio)[:LISTED])
    people = people_of(jobs, studio=studio)
    return [
        {
            "job": str(job.pk),
            "status": str(job.status),
            "created": job.created_at.isoformat(),
            "purpose": job.purpose,
            "people": people[job.pk],
        }
        for job in jobs
    ]
