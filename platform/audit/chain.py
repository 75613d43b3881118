"""The hash chain of the event log: pure functions over plain values.

Each hash is SHA-256 over the event's canonical JSON, which holds the hash before it. Canonical means: keys sorted, no blanks,
UTF-8, whole numbers without a fraction (the idea of RFC 8785, narrowed to what a jsonb column gives back unchanged).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from .errors import UnsuitableDetail

GENESIS_HASH = "0" * 64
EXACT_INTEGER_LIMIT = 2**53  # above it a float and the decimal that jsonb keeps differ

JSON_TYPES = "None, bool, int, float, str, list and dict with text keys"


@dataclass(frozen=True, slots=True)
class Link:
    """Everything of one event that its hash covers."""

    sequence: int
    uuid: str
    occurred_at: datetime
    actor: str
    action: str
    subject_type: str
    subject_id: str
    studio_id: str | None
    detail: dict[str, object]
    previous_hash: str

    def digest(self) -> str:
        """Return the event's hash as 64 hex digits."""
        content = asdict(self) | {"occurred_at": self.occurred_at.astimezone(UTC).isoformat(timespec="microseconds")}
        return hashlib.sha256(canonical_json(content)).hexdigest()


def canonical_json(value: object) -> bytes:
    """Return the one UTF-8 encoding of a JSON value.

    Raises: UnsuitableDetail when the value holds anything JSON and jsonb cannot carry unchanged.
    """
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def plain(value: object) -> object:
    """Return a JSON value in the form in which it comes back from a jsonb column.

    Raises: UnsuitableDetail for other types, infinite or huge floats, and text with a zero byte or half a surrogate pair.
    """
    if isinstance(value, str):
        return _plain_text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return _plain_float(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {_plain_key(key): plain(item) for key, item in value.items()}
    raise UnsuitableDetail(f"A {type(value).__name__} cannot be kept in the log; give only {JSON_TYPES}.")


def _plain_text(value: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnsuitableDetail("A text holds half a surrogate pair; give valid Unicode.") from error
    if "\0" in value:
        raise UnsuitableDetail("A text holds a zero byte; leave it out.")
    return value


def _plain_key(key: object) -> str:
    if not isinstance(key, str):
        raise UnsuitableDetail(f"A key is a {type(key).__name__}; give text.")
    return _plain_text(key)


def _plain_float(value: float) -> int | float:
    if not math.isfinite(value) or abs(value) >= EXACT_INTEGER_LIMIT:
        raise UnsuitableDetail(f"The number {value} is not finite or too large; give it as text.")
    return int(value) if value.is_integer() else value
