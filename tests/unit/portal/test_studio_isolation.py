"""Every route there is, seen by nobody, by its own studio and by another. A route without a row in the table fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from portal_material import GreyRenderer, World, make_cleared_job, make_job, make_world

from generation.previews import services as previews
from generation.selectors import released_file
from portal import outputs
from users.models import Studio, User
from users.services import create_api_key

READER_SCOPES = ["read", "upload", "submit", "download"]


@dataclass(frozen=True)
class Row:
    """How a route is called, and what each visitor is told. `other` is a signed-in member of another studio."""

    arguments: Callable[[World], dict[str, object]]
    anonymous: int
    own: int
    other: int
    method: str = "get"
    data: Callable[[World], object] | None = None
    json: bool = False


def _none(world: World) -> dict[str, object]:
    return {}


def _studio(world: World) -> dict[str, object]:
    return {"slug": world.studio.slug}


def _job(world: World) -> dict[str, object]:
    return {"slug": world.studio.slug, "job_id": world.job.pk}


def _waiting_job(world: World) -> dict[str, object]:
    return {"slug": world.studio.slug, "job_id": make_job(world.studio, world.portrait, world.driving).pk}


def _cleared_job(world: World) -> dict[str, object]:
    return {"slug": world.studio.slug, "job_id": make_cleared_job(world, waits_for_start=True).pk}


def _cleared_job_alone(world: World) -> dict[str, object]:
    return {"job_id": _cleared_job(world)["job_id"]}


def _moment(world: World) -> dict[str, object]:
    return {"moment": 0}


def _job_request(world: World) -> dict[str, object]:
    return {"portrait": str(world.portrait.pk), "driving": str(world.driving.pk), "purpose": "internal_test"}


def _upload(world: World) -> dict[str, object]:
    return {"file": SimpleUploadedFile("a.png", b"bytes"), "kind": "still"}


def _nothing_to_send(world: World) -> dict[str, object]:
    return {}


PAGE = {"anonymous": 302, "own": 200, "other": 404}
ONE = {"anonymous": 401, "own": 200, "other": 404}
LIST = {"anonymous": 401, "own": 200, "other": 200}
OPEN = {"anonymous": 200, "own": 200, "other": 200}

TABLE: dict[str, Row] = {
    "landing": Row(_none, **OPEN),
    "verify": Row(_none, **OPEN),
    "record": Row(lambda world: {"watermark_id": world.record.watermark_id}, **OPEN),
    "sign_in": Row(_none, anonymous=200, own=302, other=302),
    "sign_out": Row(_none, anonymous=302, own=302, other=302, method="post"),
    "my_studio": Row(_none, anonymous=302, own=302, other=302),
    "studio": Row(_studio, **PAGE),
    "new_performance": Row(_studio, **PAGE),
    "people": Row(_studio, **PAGE),
    "asset_media": Row(lambda world: {"slug": world.studio.slug, "asset_id": world.portrait.pk}, **PAGE),
    "job": Row(_job, **PAGE),
    "job_progress": Row(_job, anonymous=302, own=286, other=404),
    "cancel_job": Row(_waiting_job, anonymous=302, own=302, other=404, method="post"),
    "trial": Row(_cleared_job, **PAGE),
    "preview": Row(_cleared_job, **PAGE, method="post", data=_moment),
    "start_job": Row(_cleared_job, anonymous=302, own=302, other=404, method="post", data=_moment),
    "make_again": Row(_cleared_job, anonymous=302, own=302, other=404, method="post", data=_moment),
    "play": Row(_job, **PAGE),
    "download": Row(_job, **PAGE),
    "api_assets": Row(_none, anonymous=401, own=201, other=201, method="post", data=_upload),
    "api_asset": Row(lambda world: {"asset_id": world.portrait.pk}, **ONE),
    "api_jobs": Row(_none, anonymous=401, own=201, other=404, method="post", data=_job_request, json=True),
    "api_job": Row(lambda world: {"job_id": world.job.pk}, **ONE),
    "api_job_cancel": Row(lambda world: {"job_id": _waiting_job(world)["job_id"]}, **ONE, method="post"),
    "api_job_preview": Row(_cleared_job_alone, **ONE, method="post", data=_moment, json=True),
    "api_job_start": Row(_cleared_job_alone, **ONE, method="post", data=_nothing_to_send, json=True),
    "api_job_again": Row(_cleared_job_alone, anonymous=401, own=201, other=404, method="post", data=_nothing_to_send, json=True),
    "api_output_download": Row(lambda world: {"job_id": world.job.pk}, **ONE),
    "api_output_poster": Row(lambda world: {"job_id": world.job.pk}, **ONE),
    "api_people": Row(_none, **LIST),
    "api_person": Row(lambda world: {"person_id": world.person.pk}, **ONE),
    "api_consents": Row(_none, **LIST),
    "api_consent": Row(lambda world: {"consent_id": world.consent.pk}, **ONE),
    "api_usage": Row(_none, **LIST),
    "api_verify": Row(_none, anonymous=422, own=422, other=422, method="post", data=_nothing_to_send),
    "api_record": Row(lambda world: {"watermark_id": world.record.watermark_id}, **OPEN),
    "api_schema": Row(_none, **OPEN),
}
NAMED_AFTER_A_STUDIO = [name for name, row in TABLE.items() if row.arguments in (_studio, _job)]


def _routes(patterns: list[URLPattern | URLResolver]) -> Iterator[str | None]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns)
        else:
            yield pattern.name


@pytest.fixture(autouse=True)
def _quick_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "RENDERER", GreyRenderer())
    monkeypatch.setattr(outputs, "poster", lambda job, at_s: released_file(job).read_bytes())


@pytest.fixture
def other_world(other_studio: Studio) -> World:
    return make_world(other_studio)


def _call(client: Client, name: str, world: World, **headers: str) -> HttpResponse:
    row = TABLE[name]
    data = row.data(world) if row.data else {}
    call = getattr(client, row.method)
    options = {"content_type": "application/json"} if row.json else {}
    return call(reverse(name, kwargs=row.arguments(world)), data=data, headers=headers, **options)


def _body(response: HttpResponse) -> bytes:
    return response.getvalue() if response.streaming else response.content


def test_every_route_has_a_row_in_the_table() -> None:
    assert set(_routes(get_resolver().url_patterns)) == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_nobody_signed_in(name: str, world: World) -> None:
    response = _call(Client(), name, world)
    assert response.status_code == TABLE[name].anonymous
    if response.status_code == 302 and name != "sign_out":
        assert response.headers["Location"].startswith("/sign-in/")


@pytest.mark.parametrize("name", TABLE)
def test_a_member_of_the_studio(name: str, world: World, user: User) -> None:
    client = Client()
    client.force_login(user)
    assert _call(client, name, world).status_code == TABLE[name].own


@pytest.mark.parametrize("name", TABLE)
def test_a_member_of_another_studio(name: str, world: World, other_world: World, other_user: User) -> None:
    client = Client()
    client.force_login(other_user)
    response = _call(client, name, world)
    assert response.status_code == TABLE[name].other
    if name not in ("record", "api_record"):  # what these two say is public
        body = _body(response).decode(errors="replace")
        for thing in (world.portrait, world.driving, world.person, world.consent, world.job):
            assert str(thing.pk) not in body.replace(reverse(name, kwargs=TABLE[name].arguments(world)), "")


@pytest.mark.parametrize("name", [name for name in TABLE if name.startswith("api_") and TABLE[name].anonymous == 401])
def test_a_key_of_another_studio(name: str, world: World, other_world: World) -> None:
    _, secret = create_api_key(studio=other_world.studio, name="robot", scopes=READER_SCOPES, created_by=None)
    response = _call(Client(), name, world, Authorization=f"Bearer {secret}")
    assert response.status_code == TABLE[name].other


@pytest.mark.parametrize("name", [name for name in TABLE if name.startswith("api_") and TABLE[name].anonymous == 401])
def test_naming_a_studio_one_does_not_work_in_opens_nothing(name: str, world: World, other_user: User) -> None:
    client = Client()
    client.force_login(other_user)
    response = _call(client, name, world, **{"X-Studio": world.studio.slug})
    assert response.status_code == 403


def test_lists_show_only_what_is_the_studios_own(world: World, other_world: World, user: User) -> None:
    client = Client()
    client.force_login(user)
    own = {"api_assets": 2, "api_jobs": 1, "api_people": 1, "api_consents": 1}
    for name, count in own.items():
        assert client.get(reverse(name)).json()["count"] == count


def test_ids_of_another_studio_under_ones_own_address_are_not_found(world: World, other_world: World, user: User) -> None:
    client = Client()
    client.force_login(user)
    for name in ("job", "job_progress", "play", "download"):
        assert client.get(reverse(name, args=[world.studio.slug, other_world.job.pk])).status_code == 404
    assert client.get(reverse("asset_media", args=[world.studio.slug, other_world.portrait.pk])).status_code == 404


def test_a_job_cannot_be_made_of_another_studios_files(world: World, other_world: World, user: User) -> None:
    client = Client()
    client.force_login(user)
    for stolen in ("portrait", "driving"):
        request = {**_job_request(world), stolen: _job_request(other_world)[stolen]}
        assert client.post(reverse("api_jobs"), data=request, content_type="application/json").status_code == 404


def test_a_former_member_is_out_at_once(world: World, user: User) -> None:
    client = Client()
    client.force_login(user)
    user.memberships.all().delete()
    assert {_call(client, name, world).status_code for name in NAMED_AFTER_A_STUDIO} == {404}
