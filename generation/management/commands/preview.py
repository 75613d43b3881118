"""`preview`: write a small, marked still of what a cleared job would show with other settings."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from generation.management.commands.generate import ACTOR, EXIT_CODES, named_job, pairs, require_writable
from generation.options import option_values, parse_options
from generation.previews.errors import NotPreviewable, PreviewQuotaUsed
from generation.previews.scene import is_zoomed
from generation.previews.services import LIMITS, moments_of, preview, previews_left
from media.errors import CountersignError
from users.commands import Exit, JsonCommand

SETTINGS_HELP = "settings to look at; those left out keep their defaults, not the job's"


class Command(JsonCommand):
    """Preview one moment of one job."""

    help = "Preview a cleared job with other settings: one of its moments, at most 256 pixels a side, marked."
    exit_codes: ClassVar[dict[type[CountersignError], Exit]] = {
        **EXIT_CODES,
        NotPreviewable: Exit.REFUSED,
        PreviewQuotaUsed: Exit.REFUSED,
    }

    def add_arguments(self, parser: CommandParser) -> None:
        """Arguments as scripts rely on them."""
        super().add_arguments(parser)
        parser.add_argument("job", type=uuid.UUID, metavar="JOB")
        parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help=SETTINGS_HELP)
        parser.add_argument("--moment", type=int, default=0, metavar="N", help="which of the job's moments, from 0")
        parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Render, mark, write."""
        job = named_job(options["job"])
        destination: Path = options["out"]
        require_writable(destination)
        settings = parse_options(pairs(options["option"], "--option head_motion=0.5"))
        picture = preview(job=job, options=option_values(settings), moment=options["moment"], actor=ACTOR)
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(picture.png)
        answer = {
            "job": str(job.pk),
            "output": str(destination),
            "shows": "the face from near" if is_zoomed(job, settings.shape) else "what the clip will show",
            "options": picture.row.options,
            "moment": options["moment"],
            "at_s": picture.row.at_s,
            "moments_s": list(moments_of(job)),
            "watermark_id": picture.row.watermark_id,
            "left_today": previews_left(job.studio),
            "studio": job.studio.slug,
        }
        return answer, Exit.DONE

    def for_people(self, result: Mapping[str, Any]) -> Mapping[str, Any]:
        """Which moment and which options in a line each, and of what something is left."""
        others = ", ".join(f"{at_s:g}" for at_s in result["moments_s"])
        left = f"{result['left_today']} of {LIMITS.previews_per_day} for studio {result['studio']}; a day ends at 00:00 UTC"
        return {
            **{name: result[name] for name in ("job", "output", "shows")},
            "options": _told(result["options"]),
            "moment": f"{result['moment']}, at {result['at_s']:g} s (they are at {others} s, counted from 0)",
            "watermark_id": result["watermark_id"],
            "previews_left_today": left,
        }


def _told(options: Mapping[str, Any]) -> str:
    changed = ", ".join(f"{name}={value}" for name, value in options.items())
    return f"{changed} (all others at their defaults)" if changed else "all at their defaults"
