"""Keyed choices of the mark: chips, signs and permutations, from SHA-256 in counter mode so that every machine agrees."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32


def derive_key(master: bytes, context: str) -> bytes:
    """Watermark key (32 bytes) of one context, such as a studio and month: HKDF-SHA256 (RFC 5869).

    Raises ValueError when the master secret is shorter than 16 bytes or the context is empty.
    """
    if len(master) < 16:
        raise ValueError("the master secret needs at least 16 bytes; generate it with secrets.token_bytes(32)")
    if not context:
        raise ValueError("a watermark key needs a context; name the studio and the month")
    info = b"countersign/watermark/" + context.encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(master)


class KeyStream:
    """Independent streams of keyed numbers, one per label."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("a watermark key needs at least 16 bytes; make one with derive_key")
        self._seed = hashlib.sha256(key).digest()

    def _bytes(self, label: str, count: int) -> bytes:
        prefix = self._seed + label.encode() + b"\0"
        blocks = (hashlib.sha256(prefix + i.to_bytes(8, "big")).digest() for i in range(-(-count // 32)))
        return b"".join(blocks)[:count]

    def signs(self, label: str, count: int) -> npt.NDArray[np.float32]:
        """float32 (count,), each +1 or -1."""
        raw = np.frombuffer(self._bytes(label, -(-count // 8)), dtype=np.uint8)
        return (1.0 - 2.0 * np.unpackbits(raw)[:count]).astype(np.float32)

    def chips(self, label: str, count: int) -> npt.NDArray[np.complex64]:
        """complex64 (count,), QPSK symbols of unit magnitude."""
        pairs = self.signs(label, 2 * count).reshape(count, 2)
        chips: npt.NDArray[np.complex64] = ((pairs[:, 0] + 1j * pairs[:, 1]) / np.sqrt(2.0)).astype(np.complex64)
        return chips

    def permutation(self, label: str, count: int) -> npt.NDArray[np.int64]:
        """int64 (count,), a permutation of 0..count-1."""
        words = np.frombuffer(self._bytes(label, 8 * count), dtype=">u8")
        return np.argsort(words, kind="stable").astype(np.int64)
