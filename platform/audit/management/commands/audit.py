"""`manage.py audit verify`: is the event log complete and unchanged?"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from audit.commands import Exit, JsonCommand
from audit.selectors import verify_chain


class Command(JsonCommand):
    """Checks the hash chain of the event log; exits with 1 when it is broken."""

    help = "Check the hash chain of the event log."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what can be done with the log."""
        super().add_arguments(parser)
        parser.add_argument("operation", choices=["verify"])

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Walk the chain and say what was found."""
        report = verify_chain()
        found = {"events": report.events, "ok": report.ok, "first_bad": report.first_bad, "head": report.head_hash}
        return found, Exit.DONE if report.ok else Exit.FAILED
