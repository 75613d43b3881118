"""Encryption of face templates: a data key per person, wrapped by the master key. Destroying a data key destroys the templates.

AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces; each box is bound to its owner by the additional data.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consent.errors import TemplateUnreadable

KEY_BYTES = 32
NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class SealedBox:
    """nonce: 12 bytes, never used twice with one key. ciphertext: the plain bytes, encrypted, and a 16-byte tag."""

    nonce: bytes
    ciphertext: bytes


def new_data_key() -> bytes:
    """Return 32 random bytes."""
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, plain: bytes, *, bound_to: str) -> SealedBox:
    """Encrypt bytes so that they open only with the key and the same `bound_to`."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return SealedBox(nonce, AESGCM(key).encrypt(nonce, plain, bound_to.encode()))


def unseal(key: bytes, box: SealedBox, *, bound_to: str) -> bytes:
    """Decrypt a box. Raises TemplateUnreadable when key, owner or bytes are not those it was sealed with."""
    try:
        return AESGCM(key).decrypt(box.nonce, box.ciphertext, bound_to.encode())
    except (InvalidTag, ValueError) as error:
        raise TemplateUnreadable("A stored face template does not open; check TEMPLATE_MASTER_KEY.") from error


def wrapping_of(person_id: object) -> str:
    """What a wrapped data key is bound to."""
    return f"countersign data key v1 person {person_id}"


def template_of(person_id: object, engine_id: str) -> str:
    """What a face template is bound to: its person and the model that made it."""
    return f"countersign face template v1 person {person_id} engine {engine_id}"
