"""`verify`: what this system can say about the origin of any file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from generation.verification import verify_file
from media.errors import BadInput
from users.commands import Exit, JsonCommand


class Command(JsonCommand):
    """Verify files; the exit code is 0 whatever the verdicts."""

    help = "Check the origin of video files: signature, watermark, fingerprint and the consent behind them."

    def add_arguments(self, parser: CommandParser) -> None:
        """One or more files."""
        super().add_arguments(parser)
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Verify each file."""
        results = []
        for path in options["files"]:
            if not path.is_file():
                raise BadInput(f"There is no file {path}; check the path.")
            results.append({"file": str(path), **verify_file(path)})
        return {"results": results}, Exit.DONE
