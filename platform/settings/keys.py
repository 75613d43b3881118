"""Keys of the platform; on a development machine made on first use, and kept for the owner's eyes in `var/keys`."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

KEY_BYTES = 32


def template_master_key() -> bytes:
    """Return the 32 bytes under which the keys of face templates are wrapped."""
    return _key(settings.TEMPLATE_MASTER_KEY, "template", variable="TEMPLATE_MASTER_KEY")


def watermark_master_key() -> bytes:
    """Return the 32 bytes from which watermark keys are derived."""
    return _key(settings.WATERMARK_MASTER_KEY, "watermark", variable="WATERMARK_MASTER_KEY")


def motion_signing_key() -> bytes:
    """Return the 32 bytes that are the private key (RFC 8032, section 5.1.5) which signs motion templates."""
    return _key(settings.MOTION_SIGNING_KEY, "motion", variable="MOTION_SIGNING_KEY")


def _key(configured: bytes | None, name: str, *, variable: str) -> bytes:
    if configured is not None:
        return configured
    if not settings.DEVELOPMENT:
        raise ImproperlyConfigured(f"{variable} is not set; set it to 32 random bytes in base64.")
    return development_key(settings.VAR_DIR / "keys", name)


def development_key(folder: Path, name: str) -> bytes:
    """Return the key stored as `<name>.key` in a folder, made by the first process that asks (several may at once).

    Raises: ImproperlyConfigured when the file does not hold 32 bytes in base64.
    """
    path = folder / f"{name}.key"
    if not path.exists():
        _write_once(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)))
    try:
        key = base64.b64decode(path.read_bytes(), validate=True)
    except ValueError as error:
        raise ImproperlyConfigured(f"{path} does not hold base64; restore it from a copy.") from error
    if len(key) != KEY_BYTES:
        raise ImproperlyConfigured(f"{path} holds {len(key)} bytes instead of {KEY_BYTES}; restore it from a copy.")
    return key


def _write_once(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    try:
        # a link fails where a file is already: two processes end up with one key
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
