"""The base of every command that scripts rely on: one JSON object as the last line, and fixed exit codes."""

from __future__ import annotations

import enum
import json
import sys
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser

from media.errors import CountersignError

USAGE_ERROR = "bad_usage"


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

    def add_arguments(self, parser: CommandParser) -> None:
        """Add --json. Subclasses call this first."""
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    @abstractmethod
    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Do the work: return the result to print, and how to exit."""

    def run_from_argv(self, argv: list[str]) -> None:
        """Run from the command line; wrong arguments exit 64, where argparse's own 2 would read "refused"."""
        # a parser that is not told of the command line raises its errors instead of ending the process
        parser = self.create_parser(argv[0], argv[1])
        try:
            parser.parse_args(argv[2:])
        except CommandError as problem:
            message = sentence(str(problem).removeprefix("Error: "))
            self.stderr.write(f"{parser.format_usage()}{message}")
            if "--json" in argv:
                self._print_error(USAGE_ERROR, message)
            raise SystemExit(int(Exit.BAD_USAGE)) from problem
        super().run_from_argv(argv)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what `run` returns, or its error, and exit."""
        as_json = bool(options.pop("json", False))
        try:
            result, code = self.run(**options)
        except CountersignError as error:
            message = sentence(error.message)
            if as_json:
                self._print_error(error.code, message)
            raise CommandError(message, returncode=int(self.exit_for(error))) from error
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
        for line in self.lines_for_people(result):
            self.stdout.write(line)

    def lines_for_people(self, result: Mapping[str, Any]) -> Iterable[str]:
        """What is printed without --json."""
        return plain_lines(self.for_people(result))

    def for_people(self, result: Mapping[str, Any]) -> Mapping[str, Any]:
        """What is shown of a result without --json: all of it, unless a command knows what is too much to read."""
        return result

    def _print_error(self, code: str, message: str) -> None:
        self._print({"error": {"code": code, "message": message}}, as_json=True)


def sentence(message: str) -> str:
    """A message with its first letter in upper case."""
    return message[:1].upper() + message[1:]


def plain_lines(values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """A result for people: one line per field, lists and tables as indented blocks."""
    for name, value in values.items():
        label = f"{indent}{str(name).replace('_', ' ')}:"
        if isinstance(value, Mapping) and value:
            yield label
            yield from plain_lines(value, f"{indent}  ")
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            yield label
            for item in value:
                yield from _item_lines(item, f"{indent}  ")
        else:
            yield f"{label} {_words(value)}"


def _item_lines(item: Any, indent: str) -> Iterator[str]:
    lines = plain_lines(item, f"{indent}  ") if isinstance(item, Mapping) else iter([f"{indent}  {_words(item)}"])
    for number, line in enumerate(lines):
        yield line if number else f"{indent}- {line[len(indent) + 2 :]}"


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        # a pair, as in a list of stretches, reads as one word
        text = ", ".join("-".join(map(_words, item)) if isinstance(item, list | tuple) else _words(item) for item in value)
    else:
        text = "" if value in (None, {}) else str(value)
    return printable(text) or "-"


def printable(text: str) -> str:
    """Text for a terminal: what a file says of itself may hold control characters, which would move the cursor or hide lines."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
