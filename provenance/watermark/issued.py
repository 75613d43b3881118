"""The ids that exist, as code words: comparing with those few needs far less evidence than decoding freely."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from . import codec
from .codec import Bits, Floats

_AT_ONCE = 1 << 15


class IssuedWords:
    """Code words of N issued ids, packed to 60 bytes each: made once, compared many times.

    Raises ValueError for no ids and OverflowError for one that is not an unsigned 64-bit number.
    """

    def __init__(self, ids: Sequence[int]) -> None:
        if not ids:
            raise ValueError("no issued ids were given; leave issued_ids out to decode freely")
        self.ids = list(ids)
        self._packed = _packed_words(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def best(self, soft: Floats) -> tuple[int, int]:
        """The id and the column of soft code bits, float32 (480, M), that agree best; each column counts by its own norm."""
        scaled = soft / np.maximum(np.linalg.norm(soft, axis=0), 1e-9)
        highest, where = -np.inf, (0, 0)
        for start in range(0, len(self.ids), _AT_ONCE):
            bits = np.unpackbits(self._packed[start : start + _AT_ONCE], axis=1).astype(np.float32)
            # A code sign is 1 - 2 bit, so the agreement is the column sum less twice the sum over set bits.
            agreement = scaled.sum(axis=0) - 2.0 * (bits @ scaled)
            row, column = np.unravel_index(int(agreement.argmax()), agreement.shape)
            if agreement[row, column] > highest:
                highest, where = float(agreement[row, column]), (start + int(row), int(column))
        return self.ids[where[0]], where[1]


def _packed_words(ids: Sequence[int]) -> Bits:
    """Code words as packed bits, uint8 (N, 60). Payload to code word is affine over bits, so a table per byte is enough."""
    zero, tables = _byte_tables()
    words = np.repeat(zero[None], len(ids), axis=0)
    octets = np.frombuffer(b"".join(i.to_bytes(8, "big") for i in ids), dtype=np.uint8).reshape(-1, 8)
    for place, table in enumerate(tables):
        words ^= table[octets[:, place]]
    return words


@lru_cache(maxsize=1)
def _byte_tables() -> tuple[Bits, Bits]:
    """The word of payload zero, (60,), and what each value of each byte changes in it, (8, 256, 60)."""
    payloads = [value << (8 * (7 - place)) for place in range(8) for value in range(256)]
    words: Bits = np.packbits(codec.codewords(payloads) < 0.0, axis=1).reshape(8, 256, -1)
    zero: Bits = words[0, 0]
    return zero, words ^ zero
