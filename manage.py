#!/usr/bin/env python3
"""Django's command line, with the embedded services up while a command runs. Usually called through `./dev manage`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

from django.core.management import execute_from_command_line  # noqa: E402

from settings import embedded, env  # noqa: E402
from settings.postgres import ServiceProblem  # noqa: E402


def main() -> None:
    """Run one management command; its exit code is ours."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.development")
    # by default SIGTERM skips every `finally`, and the database would stay behind
    signal.signal(signal.SIGTERM, _leave)
    try:
        with embedded.services(env.path("COUNTERSIGN_VAR", ROOT / "var"), os.environ) as addresses:
            os.environ.update(addresses)
            execute_from_command_line(sys.argv)
    except ServiceProblem as problem:
        sys.exit(f"manage.py: {problem}")


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
