"""The base of every command that scripts rely on: one JSON object as the last line, and fixed exit codes."""

from __future__ import annotations

import enum
import json
import sys
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser

from media.errors import CountersignError

ARGPARSE_USAGE = 2  # what argparse exits with, which here would read "refused"


class Exit(enum.IntEnum):
    """Exit codes of the command line."""

    DONE = 0
    FAILED = 1
    REFUSED = 2
    PARKED = 3
    BAD_USAGE = 64  # EX_USAGE of sysexits.h


class JsonCommand(BaseCommand):
    """A command whose `run` returns its result and exit code.

    With --json the last line of standard output is one JSON object, errors included; without, one line per field.
    `exit_codes` says which errors exit with what; errors with the code `bad_input` exit 64, all others 1.
    """

    exit_codes: ClassVar[Mapping[type[CountersignError], Exit]] = {}
    _parsed = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Add --json. Subclasses call this first."""
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    @abstractmethod
    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Do the work: return the result to print, and how to exit."""

    def run_from_argv(self, argv: list[str]) -> None:
        """Run from the command line; wrong arguments exit 64."""
        try:
            super().run_from_argv(argv)
        except SystemExit as stop:
            if stop.code == ARGPARSE_USAGE and not self._parsed:
                raise SystemExit(int(Exit.BAD_USAGE)) from stop
            raise

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run with arguments that were accepted."""
        self._parsed = True
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what `run` returns, or its error, and exit."""
        as_json = bool(options.pop("json", False))
        try:
            result, code = self.run(**options)
        except CountersignError as error:
            if as_json:
                self._print({"error": {"code": error.code, "message": error.message}}, as_json=True)
            raise CommandError(error.message, returncode=int(self.exit_for(error))) from error
        self._print(result, as_json=as_json)
        if code is not Exit.DONE:
            sys.exit(int(code))

    def exit_for(self, error: CountersignError) -> Exit:
        """Return the exit code of an error."""
        for kind, code in self.exit_codes.items():
            if isinstance(error, kind):
                return code
        return Exit.BAD_USAGE if error.code == "bad_input" else Exit.FAILED

    def _print(self, result: Mapping[str, Any], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(result, default=str))
            return
        for name, value in result.items():
            self.stdout.write(f"{name}: {value}")
