"""The secrets of API keys: how one is made, and what is kept of it."""

from __future__ import annotations

import hashlib
import secrets

MARK = "cs_"  # lets secret scanners and people recognise a key
SECRET_BYTES = 32
PREFIX_LENGTH = 9


def new_secret() -> str:
    """Return a new key of 256 random bits."""
    return MARK + secrets.token_urlsafe(SECRET_BYTES)


def hash_api_key(secret: str) -> str:
    """Return the SHA-256 of a key as 64 hex digits."""
    return hashlib.sha256(secret.encode("utf-8")).hexdigest()
