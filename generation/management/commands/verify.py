"""`verify`: what this system can say about the origin of any file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from generation.management.verdict_lines import verdict_lines
from generation.verification import verify_file
from media.errors import BadInput, CountersignError
from users.commands import Exit, JsonCommand, plain_lines, sentence

MORE = "(verify --details shows what each layer found)"


class Command(JsonCommand):
    """Verify files; the exit code is 0 whatever the verdicts, and 64 when no file could be examined."""

    help = "Check the origin of videos and stills: signature, watermark, fingerprint and the consent behind them."
    _details = False

    def add_arguments(self, parser: CommandParser) -> None:
        """One or more files."""
        super().add_arguments(parser)
        parser.add_argument("--details", action="store_true", help="show what every layer found, not the answer alone")
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Verify each file."""
        self._details = options["details"]
        results = [_result(path) for path in options["files"]]
        problems = [result["error"] for result in results if "error" in result]
        if len(problems) < len(results):
            return {"results": results}, Exit.DONE
        return {"error": problems[0], "results": results}, Exit.BAD_USAGE

    def lines_for_people(self, result: Mapping[str, Any]) -> Iterator[str]:
        """A few lines for each file; with --details every layer, without the figures of every second."""
        entries = result["results"]
        if self._details:
            shown = [_brief(entry) for entry in entries]
            yield from plain_lines(shown[0] if len(shown) == 1 else {"results": shown})
            return
        for entry in entries:
            yield from verdict_lines(entry)
        if any("error" not in entry for entry in entries):
            yield MORE


def _brief(entry: Mapping[str, Any]) -> dict[str, Any]:
    signals = entry.get("signals", {})
    brief = {layer: {name: value for name, value in found.items() if name != "seconds"} for layer, found in signals.items()}
    first = {name: entry[name] for name in ("summary", "file") if name in entry}
    return {**first, **entry, **({"signals": brief} if signals else {})}


def _result(path: Path) -> dict[str, Any]:
    """The verdict on one file, or why there is none: one bad file takes no answer from the others."""
    try:
        if not path.is_file():
            raise BadInput(f"There is no file {path}; check the path.")
        return {"file": str(path), **verify_file(path)}
    except CountersignError as error:
        message = error.message if str(path) in error.message else f"{path}: {error.message}"
        return {"file": str(path), "error": {"code": error.code, "message": sentence(message)}}
