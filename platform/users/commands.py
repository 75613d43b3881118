"""The base of the command line, as the rooms above `users` import it; it lives in `audit`, the lowest room with a command."""

from __future__ import annotations

from audit.commands import Exit, JsonCommand, plain_lines, printable, sentence

__all__ = ["Exit", "JsonCommand", "plain_lines", "printable", "sentence"]
