"""`preview`: write a small, marked still of what a cleared job would show with other settings."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from generation.management.commands.generate import ACTOR, EXIT_CODES, named_job, pairs, require_writable
from generation.options import parse_options
from generation.previews.errors import NotPreviewable, PreviewQuotaUsed
from generation.previews.scene import is_zoomed
from generation.previews.services import moments_of, preview, previews_left
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
        settings = pairs(options["option"], "--option head_motion=0.5")
        picture = preview(job=job, options=settings, moment=options["moment"], actor=ACTOR)
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(picture.png)
        answer = {
            "job": str(job.pk),
            "output": str(destination),
            "shows": "the face from near" if is_zoomed(job, parse_options(settings).shape) else "what the clip will show",
            "at_s": picture.row.at_s,
            "moments_s": list(moments_of(job)),
            "watermark_id": picture.row.watermark_id,
            "left_today": previews_left(job.studio),
        }
        return answer, Exit.DONE
