"""`start`: send a job on that was cleared to wait for its previews, and wait for its end."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from generation.management.commands.generate import ACTOR, EXIT_CODES, finished, named_job, pairs, require_writable
from generation.management.told import JobCommand
from generation.starting import start_job
from users.commands import Exit

SETTINGS_HELP = "settings to go on with; any given here replace all that the job was submitted with"


class Command(JobCommand):
    """Start one waiting job."""

    help = "Start a job that was submitted with --wait-for-start, with the settings that its previews led to."
    exit_codes = EXIT_CODES

    def add_arguments(self, parser: CommandParser) -> None:
        """Arguments as scripts rely on them."""
        super().add_arguments(parser)
        parser.add_argument("job", type=uuid.UUID, metavar="JOB")
        parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help=SETTINGS_HELP)
        parser.add_argument("--out", type=Path, metavar="FILE", help="where the released clip goes")

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Start, wait, copy."""
        job = named_job(options["job"])
        if options["out"]:
            require_writable(options["out"])
        settings = pairs(options["option"], "--option head_motion=0.5") or None
        return finished(start_job(job=job, options=settings, actor=ACTOR), options["out"])
