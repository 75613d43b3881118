"""The base of the command line, as the rooms above `users` import it; it lives in `audit`, the lowest room with a command."""

from __future__ import annotations

from audit.commands import Exit, JsonCommand, sentence

__all__ = ["Exit", "JsonCommand", "sentence"]
