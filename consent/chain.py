"""The hash chain of a consent's events: each hash covers the event and the hash before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping


def event_hash(previous_hash: str, fields: Mapping[str, object]) -> str:
    """Return the SHA-256, in hex, of an event's fields (strings, numbers and plain JSON) after `previous_hash`."""
    chained = {"previous": previous_hash, "event": dict(fields)}
    canonical = json.dumps(chained, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
