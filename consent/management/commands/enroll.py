"""`enroll`: a studio attests that a person consented to internal tests."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import CommandParser
from django.utils import timezone

from consent.enrolment import ATTESTED_FOR, Photo, enroll_person
from consent.errors import EnrolmentRefused
from consent.policy import PURPOSES, WORLD, Role
from consent.services import Scope
from consent.territories import COUNTRIES
from media.errors import BadInput, CountersignError
from media.video import normalise_still, read_still
from users.commands import Exit, JsonCommand
from users.models import Studio
from users.selectors import studio_by_slug
from users.services import create_studio

NAME_CHARACTERS = 120
ONE_VIEW = (
    "one photo is one view; if a performance is not surely recognised, enrol again with several --photo from different angles"
)
ROLE_HELP = "shown in a portrait, performing, or both (default)"
PHOTO_HELP = "repeat for several views of the face: front, both sides, talking; a performer needs more than one"


class Command(JsonCommand):
    """Enrol a person from photos."""

    help = "Enrol a person whose consent to internal tests the studio attests."
    exit_codes: ClassVar[Mapping[type[CountersignError], Exit]] = {EnrolmentRefused: Exit.REFUSED}

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        super().add_arguments(parser)
        parser.add_argument("--studio", required=True, type=_slug, metavar="SLUG", help="made when there is none of this name")
        parser.add_argument("--person", required=True, type=_name, metavar="NAME")
        parser.add_argument("--photo", required=True, action="append", type=Path, metavar="FILE", help=PHOTO_HELP)
        parser.add_argument("--role", choices=[role.value for role in Role], default=Role.BOTH.value, help=ROLE_HELP)
        parser.add_argument("--purpose", action="append", choices=sorted(PURPOSES), help="only internal_test is accepted")
        parser.add_argument("--territory", action="append", type=_territory, metavar="CC", help="ISO 3166-1; else the world")
        parser.add_argument("--voice", action="store_true", help="the consent covers the person's voice")
        parser.add_argument("--until", type=date.fromisoformat, metavar="YYYY-MM-DD", help="the last day (UTC); else 90 days")

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Enrol, and return the ids."""
        scope = _scope(options)
        photos = _photos(options["photo"])
        enrolment = enroll_person(
            studio=_studio(options["studio"]), name=options["person"], photos=photos, scope=scope, actor="system"
        )
        advice = {"advice": ONE_VIEW} if len(photos) == 1 and scope.role is not Role.DEPICTED else {}
        return {
            "person": str(enrolment.person.id),
            "consent": str(enrolment.consent.id),
            "template_quality": round(enrolment.template_quality, 3),
            **advice,
        }, Exit.DONE


def _territory(text: str) -> str:
    code = text.strip().upper()
    if code != WORLD and code not in COUNTRIES:
        raise argparse.ArgumentTypeError(f"{text!r} is no country; give its two letters (ISO 3166-1), or {WORLD} for the world")
    return code


def _slug(text: str) -> str:
    try:
        return str(Studio._meta.get_field("slug").clean(text, None))
    except ValidationError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a studio. {' '.join(error.messages)}") from None


def _name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > NAME_CHARACTERS or not name.isprintable():
        raise argparse.ArgumentTypeError(f"give the person's name, in 1 to {NAME_CHARACTERS} characters")
    return name


def _scope(options: Mapping[str, Any]) -> Scope:
    now = timezone.now()
    until: date | None = options["until"]
    # the last day counts whole
    end = now + ATTESTED_FOR if until is None else datetime.combine(until, time(), UTC) + timedelta(days=1)
    return Scope(
        role=Role(options["role"]),
        purposes=frozenset(options["purpose"] or ["internal_test"]),
        territories=frozenset(options["territory"] or [WORLD]),
        # a release that ended already can be written down too; the gate then says that it expired
        valid_from=min(now, end - timedelta(days=1)),
        valid_until=end,
        voice=options["voice"],
    )


def _photos(paths: Sequence[Path]) -> list[Photo]:
    with TemporaryDirectory(prefix="countersign-enrol-") as folder:
        return [_photo(path, Path(folder) / f"{number}.png") for number, path in enumerate(paths)]


def _photo(path: Path, normalised: Path) -> Photo:
    if not path.is_file():
        raise BadInput(f"There is no photo {path}; check the path.")
    try:
        still = normalise_still(path, normalised, limits=settings.MEDIA_LIMITS)
    except BadInput as error:
        raise BadInput(f"{path}: {error.message}") from error
    under_alpha = read_still(still.under_alpha_path) if still.under_alpha_path else None
    return Photo(read_still(still.path), under_alpha)


def _studio(slug: str) -> Studio:
    return studio_by_slug(slug) or create_studio(slug=slug, name=slug)
