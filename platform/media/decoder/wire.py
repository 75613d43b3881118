"""The messages between the decoder process and its parent: a length, a JSON header, then raw bytes. Nothing is ever unpickled.

4 bytes big-endian header length | header (JSON object) | `header["bytes"]` bytes of payload.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

HEADER_BYTES_MAX = 1 << 20
LENGTH = struct.Struct(">I")

Header = dict[str, Any]


class WireError(Exception):
    """The other side sent something that is not a message."""


def send(stream: BinaryIO, header: Header, payload: bytes | memoryview = b"") -> None:
    """Write one message and flush it."""
    encoded = json.dumps({**header, "bytes": len(payload)}).encode()
    stream.write(LENGTH.pack(len(encoded)))
    stream.write(encoded)
    stream.write(payload)
    stream.flush()


def receive(read: Callable[[int], bytes], payload_bytes_max: int) -> tuple[Header, bytes] | None:
    """Read one message by a `read` that returns exactly the bytes asked for, or fewer at the end. None at a clean end.

    Raises WireError for a message that is cut short, malformed or over `payload_bytes_max`.
    """
    prefix = read(LENGTH.size)
    if not prefix:
        return None
    if len(prefix) < LENGTH.size or LENGTH.unpack(prefix)[0] > HEADER_BYTES_MAX:
        raise WireError("broken message length")
    size = LENGTH.unpack(prefix)[0]
    encoded = read(size)
    try:
        header = json.loads(encoded)
    except ValueError as error:
        raise WireError("broken message header") from error
    if len(encoded) < size or not isinstance(header, dict):
        raise WireError("broken message header")
    count = header.get("bytes")
    if not isinstance(count, int) or not 0 <= count <= payload_bytes_max:
        raise WireError("message payload over its limit")
    payload = read(count)
    if len(payload) < count:
        raise WireError("message cut short")
    return header, payload
