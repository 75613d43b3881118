"""Files over HTTP with byte ranges (RFC 9110, section 14), which browsers need to seek in a video."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import cast

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from whitenoise.middleware import WhiteNoiseMiddleware  # type: ignore[import-untyped]
from whitenoise.responders import StaticFile  # type: ignore[import-untyped]

CHUNK_BYTES = 1 << 18
ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte asked for by a Range header, or None to send all of it.

    A header that is malformed or asks for several ranges may be ignored (section 14.2). Raises ValueError when nothing of
    the range lies in the file.
    """
    match = ONE_RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:  # the last n bytes
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
        if last and int(last) < start:
            return None
    if start > end:
        raise ValueError("no byte of the range is in the file")
    return start, end


def file_response(
    request: HttpRequest, path: Path, *, content_type: str, etag: str, download_name: str | None = None
) -> HttpResponseBase:
    """Send a file or the asked part of it. Never stored by caches in between; `etag` is the digest of its bytes."""
    size = path.stat().st_size
    try:
        part = byte_range(_range_header(request, etag), size)
    except ValueError:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    start, end = part or (0, size - 1)
    response = _stream(request, path, start, end - start + 1)
    response.status_code = 206 if part else 200
    response.headers["Content-Type"] = content_type
    response.headers["Content-Length"] = str(end - start + 1)
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["ETag"] = f'"{etag}"'
    response.headers["Cache-Control"] = "private, no-store"
    if part:
        response.headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    disposition = content_disposition_header(download_name is not None, download_name or "")
    if disposition:
        response.headers["Content-Disposition"] = disposition
    return response


def _range_header(request: HttpRequest, etag: str) -> str:
    """The Range header, unless If-Range names another version of the file."""
    condition = request.headers.get("If-Range")
    return request.headers.get("Range", "") if condition in (None, f'"{etag}"') else ""


def _stream(request: HttpRequest, path: Path, start: int, length: int) -> StreamingHttpResponse:
    # under ASGI, Django would read a plain iterator into memory whole
    if isinstance(request, ASGIRequest):
        return StreamingHttpResponse(_from_thread(_chunks(path, start, length)))
    return StreamingHttpResponse(_chunks(path, start, length))


def _chunks(path: Path, start: int, length: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while length > 0 and (chunk := file.read(min(CHUNK_BYTES, length))):
            length -= len(chunk)
            yield chunk


async def _from_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]  # untyped there
    """Whitenoise, whose files an asynchronous server may stream as well."""

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> StreamingHttpResponse:
        """Answer with a file, or with the header alone."""
        response: StreamingHttpResponse = WhiteNoiseMiddleware.serve(static_file, request)
        if isinstance(request, ASGIRequest):
            response.streaming_content = _from_thread(iter(cast(Iterable[bytes], response.streaming_content)))
        return response
