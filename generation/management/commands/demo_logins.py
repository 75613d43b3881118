"""`demo_logins`: accounts for a look around on a development machine.

A new password ends the sessions of the account (Django's session hash), so only `./dev up` asks for one.
"""

from __future__ import annotations

import secrets
from typing import Any, ClassVar

from django.conf import settings
from django.core.management.base import CommandParser

from generation.errors import GenerationError
from media.errors import CountersignError
from users.commands import Exit, JsonCommand
from users.models import Role, User
from users.selectors import studio_by_slug, user_by_email
from users.services import create_studio, create_user, set_member

PRODUCER = "producer@demo.example"
REVIEWER = "reviewer@demo.example"


class NotInProduction(GenerationError):
    """Demo accounts were asked for on a production system."""

    code = "not_in_production"


class Command(JsonCommand):
    """A producer of the demo studio and a reviewer of staff."""

    help = "Make the demo accounts that are missing and print the passwords made. Refused in production."
    exit_codes: ClassVar[dict[type[CountersignError], Exit]] = {NotInProduction: Exit.REFUSED}

    def add_arguments(self, parser: CommandParser) -> None:
        """Whether accounts that exist are touched."""
        super().add_arguments(parser)
        parser.add_argument("--renew", action="store_true", help="new passwords for all; ends the sessions of these accounts")

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Make the accounts."""
        if not settings.DEVELOPMENT:
            raise NotInProduction("Demo accounts are for development machines; invite real people instead.")
        studio = studio_by_slug("demo") or create_studio(slug="demo", name="Demo studio")
        producer, producer_password = _account(PRODUCER, "Demo producer", is_staff=False, renew=options["renew"])
        set_member(studio=studio, user=producer, role=Role.PRODUCER)
        _, reviewer_password = _account(REVIEWER, "Demo reviewer", is_staff=True, renew=options["renew"])
        return {
            "results": [
                {"role": "producer of the demo studio", "email": PRODUCER, "password": producer_password},
                {"role": "reviewer (`./dev manage review`)", "email": REVIEWER, "password": reviewer_password},
            ]
        }, Exit.DONE


def _account(email: str, name: str, *, is_staff: bool, renew: bool) -> tuple[User, str | None]:
    """An account, and its password when it was made or renewed now."""
    known = user_by_email(email)
    if known and not renew:
        return known, None
    password = secrets.token_urlsafe(9)
    user = known or create_user(email=email, password=password, name=name)
    user.set_password(password)
    user.is_staff = is_staff
    user.save(update_fields=["password", "is_staff"])
    return user, password
