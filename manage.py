#!/usr/bin/env python3
"""Django's command line, with the embedded services up while a command runs. Usually called through `./dev manage`."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent
BAD_USAGE = 64  # EX_USAGE of sysexits.h
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

from django.core.management import ManagementUtility  # noqa: E402
from django.core.management.base import BaseCommand  # noqa: E402

from settings import embedded, env, streams  # noqa: E402
from settings.postgres import ServiceProblem  # noqa: E402


class CommandLine(ManagementUtility):
    """Django's, where a command that does not exist is wrong usage."""

    def fetch_command(self, subcommand: str) -> BaseCommand:
        """Find a command; an unknown one exits 64, with --json after one JSON object like any other error."""
        try:
            return super().fetch_command(subcommand)
        except SystemExit:
            if "--json" in sys.argv:
                message = f"There is no command {subcommand!r}; `help` lists those that exist."
                print(json.dumps({"error": {"code": "bad_usage", "message": message}}))
            sys.exit(BAD_USAGE)


def main() -> None:
    """Run one management command; its exit code is ours."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.development")
    streams.outlive_readers()
    # by default SIGTERM skips every `finally`, and the database would stay behind
    signal.signal(signal.SIGTERM, _leave)
    try:
        with embedded.services(env.path("COUNTERSIGN_VAR", ROOT / "var"), os.environ) as addresses:
            os.environ.update(addresses)
            CommandLine(sys.argv).execute()
    except ServiceProblem as problem:
        sys.exit(f"manage.py: {problem}")


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
