"""Bodies over the limit of their address never reach the site, whether their size is announced or not."""

from __future__ import annotations

import json
from typing import Any

import own_loop
import pytest

from portal.body_limits import BodyLimits, Message, body_limit_bytes


@pytest.fixture(autouse=True)
def _small_limits(settings: Any) -> None:
    settings.REQUEST_LIMITS = type(settings.REQUEST_LIMITS)(form_bytes=100)


def ask(path: str, chunks: list[bytes], *, announced: bool) -> tuple[int, bytes, int]:
    """Send a body in pieces; return status, answer and how many bytes the site saw."""
    seen = 0
    sent: list[Message] = []
    pieces = [{"type": "http.request", "body": chunk, "more_body": n + 1 < len(chunks)} for n, chunk in enumerate(chunks)]

    async def site(scope: Any, receive: Any, send: Any) -> None:
        nonlocal seen
        more = True
        while more:
            message = await receive()
            seen += len(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})

    async def receive() -> Message:
        return pieces.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    size = str(sum(map(len, chunks))).encode()
    headers = [(b"content-length", size)] if announced else []
    own_loop.run(BodyLimits(site)({"type": "http", "path": path, "headers": headers}, receive, send))
    return sent[0]["status"], sent[1]["body"], seen


def test_a_body_within_the_limit_passes() -> None:
    assert ask("/sign-in/", [b"x" * 60, b"x" * 40], announced=True) == (200, b"fine", 100)


def test_an_announced_size_over_the_limit_is_refused_unread() -> None:
    status, body, seen = ask("/sign-in/", [b"x" * 101], announced=True)
    assert (status, seen) == (413, 0)
    assert b"larger than the limit" in body


def test_a_size_that_was_not_announced_is_counted_as_it_comes() -> None:
    status, body, seen = ask("/api/v1/jobs/", [b"x" * 60, b"x" * 60, b"x" * 60], announced=False)
    assert (status, seen) == (413, 60)
    assert json.loads(body)["errors"][0]["code"] == "too_large"


def test_uploads_may_be_as_large_as_the_table_of_limits_says(settings: Any) -> None:
    media, requests = settings.MEDIA_LIMITS, settings.REQUEST_LIMITS
    assert body_limit_bytes("/verify/") - requests.verify_inline_bytes < 2**20
    assert body_limit_bytes("/api/v1/assets/") > media.video_bytes
    assert body_limit_bytes("/studios/north/new/") > media.video_bytes + media.still_bytes
    assert body_limit_bytes("/api/v1/jobs/") == requests.form_bytes
