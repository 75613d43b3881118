"""`revoke`: withdraw a consent and stop everything that rests on it."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from consent.errors import TransitionRefused, UnknownConsent
from consent.selectors import consents_by_id
from generation.revocation import revoke
from media.errors import CountersignError
from users.commands import Exit, JsonCommand


class Command(JsonCommand):
    """Withdraw one consent."""

    help = "Withdraw a consent: new jobs are refused, running ones cancelled, released clips withdrawn."
    exit_codes: ClassVar[dict[type[CountersignError], Exit]] = {UnknownConsent: Exit.BAD_USAGE, TransitionRefused: Exit.REFUSED}

    def add_arguments(self, parser: CommandParser) -> None:
        """The consent, and why."""
        super().add_arguments(parser)
        parser.add_argument("consent", type=uuid.UUID)
        parser.add_argument("--reason", default="", metavar="TEXT")

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Withdraw and report what it reached."""
        reached = revoke(consent_id=options["consent"], reason=options["reason"], actor="system:command_line")
        consent = consents_by_id(ids=[options["consent"]])[options["consent"]]
        return {
            "consent": str(consent.pk),
            "state": consent.state,
            "jobs_cancelled": reached.jobs_cancelled,
            "outputs_withdrawn": reached.outputs_withdrawn,
        }, Exit.DONE
