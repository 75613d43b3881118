"""A reader that leaves after the first line, as `head -1` does."""

from __future__ import annotations

import subprocess


def leave_after_one_line(process: subprocess.Popen[str], *, wait_s: float) -> tuple[str, int, str]:
    """The line that was read, the exit code, and all that came on standard error."""
    assert process.stdout is not None
    line = process.stdout.readline()
    process.stdout.close()
    errors = ""
    if process.stderr is not None:
        errors = process.stderr.read()
        process.stderr.close()
    return line, process.wait(wait_s), errors
