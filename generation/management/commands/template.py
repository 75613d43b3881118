"""`template`: record a motion template from a cleared job, list a studio's templates, take one back."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from generation import motion_templates
from generation.answers import FACE_NAME
from generation.errors import InvalidRequest
from generation.management.commands.generate import ACTOR, EXIT_CODES, named_job, require_writable
from generation.models import MotionTemplate
from media.errors import BadInput
from settings.keys import motion_public_key
from users.commands import Exit, JsonCommand
from users.selectors import studio_by_slug


class Command(JsonCommand):
    """Motion templates at the command line."""

    help = "Record a cleared job's performance as a signed motion template, list templates, take one back, print the public key."
    exit_codes = EXIT_CODES

    def add_arguments(self, parser: CommandParser) -> None:
        """One action and what it is about."""
        super().add_arguments(parser)
        parser.add_argument("action", choices=["record", "list", "revoke", "key"])
        parser.add_argument("template", nargs="?", type=uuid.UUID, help="of `revoke`")
        parser.add_argument("--job", type=uuid.UUID, help="of `record`")
        parser.add_argument("--face", default="driver:1", metavar="FACE", help="of `record`: the performer, driver:1 by default")
        parser.add_argument("--out", type=Path, metavar="FILE", help="of `record`: where the signed file goes")
        parser.add_argument("--studio", metavar="SLUG", help="of `list`")
        parser.add_argument("--reason", default="", metavar="TEXT", help="of `revoke`")

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Do the action."""
        actions = {"record": _record, "list": _list, "revoke": _revoke, "key": _key}
        return actions[options["action"]](options), Exit.DONE


def _record(options: dict[str, Any]) -> dict[str, Any]:
    job = named_job(options["job"])
    if options["out"] is None:
        raise InvalidRequest("Name a job and a file: template record --job J --out FILE.motion.")
    if not FACE_NAME.fullmatch(options["face"]):
        raise InvalidRequest(f"{options['face']!r} is no name of a face; use driver:1, driver:2 and so on.")
    _require_replaceable(options["out"])
    recording = motion_templates.record(job=job, face=options["face"], actor=ACTOR)
    _write_private(options["out"], recording.content)
    return {**motion_templates.answer(recording.template), "output": str(options["out"])}


def _key(options: dict[str, Any]) -> dict[str, Any]:
    return {"public_key": motion_public_key()}


def _require_replaceable(destination: Path) -> None:
    """Raise BadInput unless a new file can take that place, before a template is recorded."""
    require_writable(destination)
    if destination.exists():
        require_writable(destination.absolute().parent / f".{destination.name}")
        if not destination.is_file():
            raise BadInput(f"{destination} is no ordinary file; choose another place.")


def _write_private(destination: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whoever could read the one before it: landmarks are personal data."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=destination.parent, prefix=f".{destination.name[:64]}.", delete=False) as file:
        beside = Path(file.name)  # made with mode 0600
        try:
            file.write(content)
            file.flush()
            beside.replace(destination)
        except OSError:
            beside.unlink(missing_ok=True)
            raise


def _list(options: dict[str, Any]) -> dict[str, Any]:
    studio = studio_by_slug(options["studio"] or "")
    if studio is None:
        raise InvalidRequest("Name the studio: template list --studio SLUG.")
    return {"results": [motion_templates.answer(row) for row in MotionTemplate.objects.filter(studio=studio)]}


def _revoke(options: dict[str, Any]) -> dict[str, Any]:
    template = MotionTemplate.objects.filter(pk=options["template"]).first()
    if template is None:
        raise InvalidRequest("Name the template to take back; `template list --studio SLUG` shows them.")
    return motion_templates.answer(motion_templates.revoke(template=template, reason=options["reason"], actor=ACTOR))
