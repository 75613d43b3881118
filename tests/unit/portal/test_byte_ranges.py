"""Files over HTTP, whole and in parts (RFC 9110, section 14)."""

from __future__ import annotations

from pathlib import Path

import own_loop
import pytest
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from portal.streaming import StaticFiles, byte_range, file_response

CONTENT = bytes(range(256)) * 4096  # 1 MiB, several chunks


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-", (0, 99)),
        ("bytes=0-0", (0, 0)),
        ("bytes=10-19", (10, 19)),
        ("bytes=90-400", (90, 99)),
        ("bytes=-5", (95, 99)),
        ("bytes=-500", (0, 99)),
        ("", None),
        ("bytes=-", None),
        ("bytes=0-1,5-6", None),
        ("bytes=9-3", None),
        ("lines=1-2", None),
    ],
)
def test_what_a_range_header_asks_for(header: str, expected: tuple[int, int] | None) -> None:
    assert byte_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=-0"])
def test_a_range_outside_the_file_is_refused(header: str, clip: Path) -> None:
    with pytest.raises(ValueError):
        byte_range(header, 100)
    request = RequestFactory().get("/", headers={"Range": f"bytes={len(CONTENT)}-"})
    response = file_response(request, clip, content_type="video/mp4", etag="e")
    assert (response.status_code, response.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")


def test_a_part_of_a_file_arrives_exactly(clip: Path) -> None:
    request = RequestFactory().get("/", headers={"Range": "bytes=1000-600000"})
    response = file_response(request, clip, content_type="video/mp4", etag="e")
    assert response.status_code == 206
    assert response.headers["Content-Range"] == f"bytes 1000-600000/{len(CONTENT)}"
    assert response.getvalue() == CONTENT[1000:600001]


def test_a_part_of_another_version_is_answered_by_the_whole_file(clip: Path) -> None:
    request = RequestFactory().get("/", headers={"Range": "bytes=0-9", "If-Range": '"old"'})
    response = file_response(request, clip, content_type="video/mp4", etag="new")
    assert response.status_code == 200
    assert response.getvalue() == CONTENT


def test_an_asynchronous_server_gets_pieces_and_not_the_whole_file_at_once(clip: Path) -> None:
    request = AsyncRequestFactory().get("/")
    response = file_response(request, clip, content_type="video/mp4", etag="e")

    async def read() -> list[bytes]:
        return [piece async for piece in response.streaming_content]

    pieces = own_loop.run(read())
    assert b"".join(pieces) == CONTENT
    assert max(map(len, pieces)) < len(CONTENT)


def test_nothing_in_between_keeps_a_copy(clip: Path) -> None:
    response = file_response(RequestFactory().get("/"), clip, content_type="video/mp4", etag="e", download_name="a.mp4")
    assert response.headers["Cache-Control"] == "private, no-store"
    assert response.headers["Content-Disposition"] == 'attachment; filename="a.mp4"'


@pytest.mark.django_db  # the end of a request is told to the database
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("method", "sent"), [("GET", CONTENT), ("HEAD", b"")])
def test_a_static_file_streams_from_an_asynchronous_server_without_a_complaint(method: str, sent: bytes, clip: Path) -> None:
    site = StaticFiles(lambda request: HttpResponse(status=404))
    site.add_file_to_dictionary("/static/clip.mp4", str(clip))
    request = AsyncRequestFactory().generic(method, "/static/clip.mp4")

    async def body() -> bytes:
        return b"".join([part async for part in response])

    response = site.serve(site.files["/static/clip.mp4"], request)
    assert (response.status_code, own_loop.run(body())) == (200, sent)
    response.close()
