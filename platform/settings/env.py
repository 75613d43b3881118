"""Typed readers of environment variables. Each error names the variable and says what to set it to."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


class EnvironmentProblem(ImproperlyConfigured):
    """A variable is missing or cannot be read. `name` is the variable."""

    def __init__(self, name: str, what_to_do: str) -> None:
        super().__init__(f"{name}: {what_to_do}")
        self.name = name


def text(name: str, default: str | None = None) -> str:
    """Return the variable, or the default when it is unset or empty; without a default it is required."""
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is None:
        raise EnvironmentProblem(name, "is not set; set it in the environment.")
    return default


def boolean(name: str, default: bool) -> bool:
    """Return true for 1, true, yes, on and false for 0, false, no, off, in any case."""
    value = text(name, "").lower()
    if not value:
        return default
    if value not in TRUE | FALSE:
        raise EnvironmentProblem(name, f"{value!r} is neither true nor false; set it to 1 or 0.")
    return value in TRUE


def integer(name: str, default: int) -> int:
    """Return the variable as a whole number."""
    return _convert(name, text(name, str(default)), int, "is not a whole number; set it to one.")


def number(name: str, default: float) -> float:
    """Return the variable as a number."""
    return _convert(name, text(name, str(default)), float, "is not a number; set it to one.")


def listing(name: str, default: list[str] | None = None) -> list[str]:
    """Return the comma-separated variable as a list without blanks; without a default it is required."""
    value = text(name, None if default is None else ",".join(default))
    return [part.strip() for part in value.split(",") if part.strip()]


def path(name: str, default: Path | None = None) -> Path:
    """Return the variable as an absolute path."""
    return Path(text(name, None if default is None else str(default))).expanduser().resolve()


def secret(name: str, default: str | None = None) -> str:
    """Return the variable, or what the file named by `<name>_FILE` holds. Setting both is an error."""
    file_name = os.environ.get(f"{name}_FILE", "").strip()
    if not file_name:
        return text(name, default)
    if os.environ.get(name, "").strip():
        raise EnvironmentProblem(name, f"is set, and {name}_FILE too; set only one of them.")
    try:
        value = Path(file_name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentProblem(f"{name}_FILE", f"{file_name} cannot be read ({error}); name a readable text file.") from error
    if not value:
        raise EnvironmentProblem(f"{name}_FILE", f"{file_name} is empty; put the secret into it.")
    return value


def master_key(name: str) -> bytes | None:
    """Return the 32 bytes that the variable (or its file) holds in base64, or None when neither is set."""
    value = secret(name, "")
    return _key_bytes(name, value, "set it to 32 random bytes in base64") if value else None


def public_keys(name: str) -> tuple[bytes, ...]:
    """Return the keys of 32 bytes that the variable lists in base64, with commas between them."""
    return tuple(_key_bytes(name, value, "list the public keys that `template key` prints") for value in listing(name, []))


def _key_bytes(name: str, value: str, what_to_do: str) -> bytes:
    try:
        key = base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise EnvironmentProblem(name, f"is not base64; {what_to_do}.") from error
    if len(key) != 32:
        raise EnvironmentProblem(name, f"holds {len(key)} bytes; {what_to_do}.")
    return key


def _convert(name: str, value: str, kind: Callable[[str], T], what_to_do: str) -> T:
    try:
        return kind(value)
    except ValueError as error:
        raise EnvironmentProblem(name, f"{value!r} {what_to_do}") from error
