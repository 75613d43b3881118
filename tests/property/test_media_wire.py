"""The parent survives whatever a captured decoder process may send."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from media.decoder.wire import WireError, receive, send


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_message_an_end_or_an_error(data: bytes) -> None:
    stream = io.BytesIO(data)
    try:
        message = receive(stream.read, 1000)
    except WireError:
        return
    assert message is None or isinstance(message[0], dict)


@given(
    header=st.dictionaries(st.text(max_size=5).filter(lambda key: key != "bytes"), st.integers() | st.text(max_size=5)),
    payload=st.binary(max_size=100),
)
def test_what_is_sent_is_received(header: dict[str, object], payload: bytes) -> None:
    stream = io.BytesIO()
    send(stream, header, payload)
    stream.seek(0)
    assert receive(stream.read, 100) == ({**header, "bytes": len(payload)}, payload)
    assert receive(stream.read, 100) is None
