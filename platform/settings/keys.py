"""Keys of the platform; on a development machine made on first use, and kept for the owner's eyes in `var/keys`."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

KEY_BYTES = 32


def template_master_key() -> bytes:
    """Return the 32 bytes under which the keys of face templates are wrapped."""
    return _key(settings.TEMPLATE_MASTER_KEY, "template", variable="TEMPLATE_MASTER_KEY")


def watermark_master_key() -> bytes:
    """Return the 32 bytes from which watermark keys are derived."""
    return _key(settings.WATERMARK_MASTER_KEY, "watermark", variable="WATERMARK_MASTER_KEY")


def motion_signing_key() -> Ed25519PrivateKey:
    """Return the private key (RFC 8032) that signs motion templates. Only for the process that records them.

    Raises: ImproperlyConfigured when readers would not accept what it signs.
    """
    key = Ed25519PrivateKey.from_private_bytes(_key(settings.MOTION_SIGNING_KEY, "motion", variable="MOTION_SIGNING_KEY"))
    if settings.MOTION_PUBLIC_KEYS and key.public_key().public_bytes_raw() not in settings.MOTION_PUBLIC_KEYS:
        raise ImproperlyConfigured(
            "MOTION_PUBLIC_KEYS lacks the public half of MOTION_SIGNING_KEY; put what `template key` prints first in it."
        )
    return key


def motion_public_key() -> str:
    """Return the public half of the signing key in base64, as MOTION_PUBLIC_KEYS takes it."""
    key = Ed25519PrivateKey.from_private_bytes(_key(settings.MOTION_SIGNING_KEY, "motion", variable="MOTION_SIGNING_KEY"))
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def motion_public_keys() -> tuple[Ed25519PublicKey, ...]:
    """Return the keys whose motion templates count. A reader that is configured holds no private key."""
    if settings.MOTION_PUBLIC_KEYS:
        return tuple(Ed25519PublicKey.from_public_bytes(key) for key in settings.MOTION_PUBLIC_KEYS)
    return (motion_signing_key().public_key(),)


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
