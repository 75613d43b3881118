"""How large the body of a request may be, by its address. Larger ones are refused before they are stored or read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.template.loader import render_to_string

from media.errors import CountersignError

ENVELOPE_BYTES = 64 * 2**10  # the other fields and the boundaries of a form with files
VERIFY_PATHS = frozenset({"/verify/", "/api/v1/verify/"})
ASSETS_PATH = "/api/v1/assets/"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


class TooLarge(CountersignError):
    """A body or file over the limit of what one request may bring."""

    code = "too_large"


def body_limit_bytes(path: str) -> int:
    """The most bytes that a request to an address may carry."""
    media, requests = settings.MEDIA_LIMITS, settings.REQUEST_LIMITS
    if path in VERIFY_PATHS:
        return int(requests.verify_inline_bytes + ENVELOPE_BYTES)
    if path == ASSETS_PATH:
        return int(max(media.still_bytes, media.video_bytes) + ENVELOPE_BYTES)
    if path.startswith("/studios/") and path.endswith("/new/"):
        return int(max(media.still_bytes, media.video_bytes) + media.video_bytes + ENVELOPE_BYTES)
    return int(requests.form_bytes)


def too_large_message(path: str) -> str:
    """What is said of a body over the limit of its address."""
    limit = f"This is larger than the limit of {body_limit_bytes(path) // 2**20} MB"
    if path in VERIFY_PATHS:
        return f"{limit}; cut out the part in question, or use the command line, which takes larger files."
    return f"{limit}; send a smaller one."


def require_small_body(request: HttpRequest) -> None:
    """Raise TooLarge when a request announces more than its address may bring."""
    announced = str(request.META.get("CONTENT_LENGTH") or "0")
    if announced.isdigit() and int(announced) > body_limit_bytes(request.path):
        raise TooLarge(too_large_message(request.path))


class BodyLimits:
    """ASGI middleware around the whole site: Django's own handler would first write the body to disk.

    What a request announces is refused unread; what it sends without announcing is counted, and cut off at the limit.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Pass a request on while its body fits, else answer 413 in its place."""
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        limit = body_limit_bytes(scope["path"])
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > limit:
            await _refuse(scope, send)
            return
        try:
            await self.application(scope, _counted(receive, limit), send)
        except _Overflow:
            await _refuse(scope, send)


class _Overflow(Exception):
    """The body went over the limit while it came in; Django has answered nothing by then."""


def _counted(receive: Receive, limit: int) -> Receive:
    received = 0

    async def count() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise _Overflow
        return message

    return count


async def _refuse(scope: Any, send: Send) -> None:
    kind, body = _answer(scope["path"])
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _answer(path: str) -> tuple[bytes, bytes]:
    message = too_large_message(path)
    if path.startswith("/api/"):
        error = {"code": TooLarge.code, "detail": message, "attr": None}
        return b"application/json", JsonResponse({"type": "client_error", "errors": [error]}).content
    fragment = render_to_string("portal/fragments/problem.html", {"title": "That file is too large", "message": message})
    return b"text/html; charset=utf-8", fragment.encode()
