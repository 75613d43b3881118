"""`watermark_keys`: list the keys of the mark, rotate a studio's, or declare some compromised."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from media.errors import BadInput
from provenance.models import WatermarkKey
from provenance.services import end_keys
from users.commands import Exit, JsonCommand
from users.selectors import studio_by_slug

ACTOR = "system:command_line"
ENDS = {"rotate": WatermarkKey.State.RETIRED, "compromised": WatermarkKey.State.COMPROMISED}


class Command(JsonCommand):
    """The next output of a studio gets a new key; marks of every earlier one go on being looked for."""

    help = (
        "List the keys of the watermark with their states; rotate those in use (old outputs stay recognised); or declare keys "
        "compromised (old outputs are still found, but only their signature and picture vouch for them)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """One action, and which keys."""
        super().add_arguments(parser)
        parser.add_argument("action", choices=["list", *ENDS])
        parser.add_argument("names", nargs="*", metavar="KEY", help="by default, for `rotate`, every key in use")
        parser.add_argument("--studio", metavar="SLUG", help="only keys of this studio")
        parser.add_argument("--reason", default="", metavar="TEXT")

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Do the action."""
        keys = WatermarkKey.objects.order_by("-created_at", "name")
        if options["studio"]:
            studio = studio_by_slug(options["studio"])
            if studio is None:
                raise BadInput(f"There is no studio {options['studio']!r}; check its short name.")
            keys = keys.filter(studio_id=studio.pk)
        if options["action"] == "list":
            return {"results": [_shown(key) for key in keys]}, Exit.DONE
        names = options["names"]
        if not names and options["action"] == "compromised":
            raise BadInput("Name the keys that are compromised; `watermark_keys list` shows them.")
        names = names or list(keys.filter(state=WatermarkKey.State.LIVE).values_list("name", flat=True))
        ended = end_keys(names=names, state=ENDS[options["action"]], actor=ACTOR, reason=options["reason"])
        return {"results": [_shown(key) for key in ended]}, Exit.DONE


def _shown(key: WatermarkKey) -> dict[str, Any]:
    changed = key.changed_at.isoformat() if key.changed_at else None
    return {"key": key.name, "scheme": key.scheme, "state": key.state, "created": key.created_at.isoformat(), "changed": changed}
