"""Channel code of the payload: CRC-16, then a tail-biting convolutional code of rate 1/6 and constraint length 15.

The generators are those of the deep-space code of CCSDS heritage (Cassini, Mars Pathfinder). Decoding is a circular
Viterbi search (Cox and Sundberg 1994): the received ring is unrolled 48 steps each way and the middle turn is kept.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .schemes import CODED_BITS, PAYLOAD_BITS

GENERATORS = (0o46321, 0o51271, 0o70535, 0o63667, 0o73277, 0o76513)
MEMORY = 14
MESSAGE_BITS = PAYLOAD_BITS + 16
_UNROLL = 48
_HALF_STATES = 1 << (MEMORY - 1)

Floats = npt.NDArray[np.float32]
Bits = npt.NDArray[np.uint8]


def crc16(payload: int) -> int:
    """CRC-16/IBM-3740 (polynomial 1021, start FFFF) over the eight payload bytes, most significant first."""
    return binascii.crc_hqx(payload.to_bytes(PAYLOAD_BITS // 8, "big"), 0xFFFF)


def message_bits(payloads: Sequence[int]) -> Bits:
    """uint8 (N, 80): payload bits, then CRC bits, most significant first. Raises ValueError outside 0..2^64-1."""
    if any(not 0 <= payload < 1 << PAYLOAD_BITS for payload in payloads):
        raise ValueError("a watermark payload is an unsigned 64-bit number; give an id of 16 hex digits")
    packed = b"".join(p.to_bytes(8, "big") + crc16(p).to_bytes(2, "big") for p in payloads)
    return np.unpackbits(np.frombuffer(packed, dtype=np.uint8)).reshape(len(payloads), MESSAGE_BITS)


def payload_of(message: Bits) -> int | None:
    """Payload of one decoded message, uint8 (80,), or None when its CRC does not hold."""
    raw = np.packbits(message).tobytes()
    payload = int.from_bytes(raw[:8], "big")
    return payload if crc16(payload) == int.from_bytes(raw[8:], "big") else None


@lru_cache(maxsize=1)
def _generator_matrix() -> Floats:
    """float32 (80, 480): which code bits each message bit toggles; the code is linear and the ring closes on itself."""
    matrix = np.zeros((MESSAGE_BITS, MESSAGE_BITS, len(GENERATORS)), dtype=np.float32)
    for delay in range(MEMORY + 1):
        taps = [(generator >> (MEMORY - delay)) & 1 for generator in GENERATORS]
        for step in range(MESSAGE_BITS):
            matrix[step, (step + delay) % MESSAGE_BITS] = taps
    return matrix.reshape(MESSAGE_BITS, CODED_BITS)


def encode(messages: Bits) -> Floats:
    """Code words of uint8 (N, 80) messages: float32 (N, 480), +1 for a zero and -1 for a one."""
    counts = messages.astype(np.float32) @ _generator_matrix()
    signs: Floats = (1.0 - 2.0 * np.mod(counts, 2.0)).astype(np.float32)
    return signs


def codewords(payloads: Sequence[int]) -> Floats:
    """Code words of payloads: float32 (N, 480) of +1 and -1."""
    return encode(message_bits(payloads))


@lru_cache(maxsize=1)
def _trellis() -> tuple[Floats, npt.NDArray[np.int64]]:
    """Signs of the 64 output patterns, (6, 64), and the pattern of each butterfly, (8192,).

    Every generator taps the newest and the oldest bit, so the four branches of a butterfly share one pattern up to sign.
    """
    patterns = np.arange(64)
    signs = np.stack([1.0 - 2.0 * ((patterns >> j) & 1) for j in range(6)]).astype(np.float32)
    registers = np.arange(_HALF_STATES) << 1
    index = np.zeros(_HALF_STATES, dtype=np.int64)
    for j, generator in enumerate(GENERATORS):
        parity = np.array([bin(int(r) & generator).count("1") & 1 for r in registers])
        index |= parity << j
    return signs, index


def decode(soft: Floats) -> Bits:
    """Most likely messages of soft code bits.

    soft: float32 (N, 480), positive for a zero, any scale. Returns uint8 (N, 80). The CRC is not looked at.
    """
    signs, pattern = _trellis()
    count = soft.shape[0]
    metrics = soft.reshape(count, MESSAGE_BITS, 6) @ signs  # of the 64 output patterns
    steps = np.arange(-_UNROLL, MESSAGE_BITS + _UNROLL) % MESSAGE_BITS
    decisions = np.empty((len(steps), count, 2 * _HALF_STATES), dtype=bool)
    state_metric = np.zeros((count, 2 * _HALF_STATES), dtype=np.float32)
    merged, branch = np.empty_like(state_metric), np.empty((count, _HALF_STATES), dtype=np.float32)
    room = np.empty((4, count, _HALF_STATES), dtype=np.float32)
    for i, step in enumerate(steps):
        np.take(metrics[:, step], pattern, axis=1, out=branch, mode="clip")  # those of all steps at once leave the cache
        _forward(state_metric, branch, decisions[i], merged, room)
        state_metric, merged = merged, state_metric
    return _trace_back(decisions, state_metric.argmax(axis=1))[:, _UNROLL : _UNROLL + MESSAGE_BITS]


def _forward(
    state_metric: Floats, branch: Floats, decision: npt.NDArray[np.bool_], merged: Floats, room: npt.NDArray[np.float32]
) -> None:
    """One add-compare-select step over all states. branch: (N, 8192); writes `merged`, and which predecessor won in `decision`.

    room: (4, N, 8192) to work in; neighbours side by side are added four times as fast as every second one.
    """
    even, odd, from_even, from_odd = room
    np.copyto(even, state_metric[:, 0::2])
    np.copyto(odd, state_metric[:, 1::2])
    for half, toward, against in (
        (slice(0, _HALF_STATES), np.add, np.subtract),
        (slice(_HALF_STATES, None), np.subtract, np.add),
    ):
        toward(even, branch, out=from_even)
        against(odd, branch, out=from_odd)
        np.greater(from_odd, from_even, out=decision[:, half])
        np.maximum(from_even, from_odd, out=merged[:, half])


def _trace_back(decisions: npt.NDArray[np.bool_], state: npt.NDArray[np.int64]) -> Bits:
    """Input bits along the surviving path: uint8 (N, steps)."""
    rows = np.arange(decisions.shape[1])
    bits = np.empty((decisions.shape[1], decisions.shape[0]), dtype=np.uint8)
    for i in range(decisions.shape[0] - 1, -1, -1):
        bits[:, i] = state >> (MEMORY - 1)
        state = ((state & (_HALF_STATES - 1)) << 1) | decisions[i, rows, state]
    return bits
