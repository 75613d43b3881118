"""The REST API as a program of a studio uses it."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from portal_material import CLIP, World, make_job

from consent.services import withdraw_consent
from generation.models import Job
from generation.states import Status
from users.models import Studio, User
from users.services import create_api_key, revoke_api_key, set_member

SCOPES = ["read", "upload", "submit", "download"]


def _client(studio: Studio, scopes: list[str]) -> Client:
    _, secret = create_api_key(studio=studio, name="robot", scopes=scopes, created_by=None)
    return Client(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def api(world: World) -> Client:
    return _client(world.studio, SCOPES)


def _submit(api: Client, world: World, key: str, **changes: object) -> Any:
    request = {"portrait": str(world.portrait.pk), "driving": str(world.driving.pk), "purpose": "internal_test", **changes}
    return api.post(reverse("api_jobs"), data=request, content_type="application/json", headers={"Idempotency-Key": key})


def test_from_upload_to_job(api: Client) -> None:
    ids = {}
    for name, kind in (("portrait", "still"), ("driving", "video")):
        answer = api.post(reverse("api_assets"), {"file": SimpleUploadedFile("f", b"bytes"), "kind": kind})
        assert (answer.status_code, answer.json()["bytes"]) == (201, 5)
        ids[name] = answer.json()["id"]
    job = api.post(reverse("api_jobs"), data={**ids, "purpose": "internal_test"}, content_type="application/json").json()
    assert (job["status"], job["reasons"], job["output"], job["engine"]) == ("submitted", [], None, "mesh")
    assert api.get(reverse("api_job", args=[job["job"]])).json() == job


def test_a_released_job_says_where_its_clip_is(api: Client, world: World) -> None:
    job = api.get(reverse("api_job", args=[world.job.pk])).json()
    assert job["watermark_id"] == world.record.watermark_id
    assert api.get(job["output"]).getvalue() == CLIP


def test_the_same_key_makes_one_job_and_another_request_under_it_conflicts(api: Client, world: World) -> None:
    first, second = _submit(api, world, "k1"), _submit(api, world, "k1")
    assert first.json()["job"] == second.json()["job"]
    conflict = _submit(api, world, "k1", territories=["DE"])
    assert (conflict.status_code, conflict.json()["errors"][0]["code"]) == (409, "idempotency_conflict")


@pytest.mark.parametrize(
    ("changes", "attr"),
    [
        ({"purpose": "mischief"}, "purpose"),
        ({"territories": ["Germany"]}, "territories.0"),
        ({"territories": ["QQ"]}, "territories"),
        ({"consents": {"driver:1\n": "4dbb3c5c-6a3a-4f1e-8a4e-1c7f9f6f7b11"}}, "consents"),
        ({"consents": {"somebody": "4dbb3c5c-6a3a-4f1e-8a4e-1c7f9f6f7b11"}}, "consents"),
        ({"options": {"head_motion": 9}}, "options.head_motion"),
        ({"options": {"warp": 1}}, "options.warp"),
        ({"portrait": "not-an-id"}, "portrait"),
    ],
)
def test_a_wrong_field_is_named(api: Client, world: World, changes: dict[str, object], attr: str) -> None:
    answer = _submit(api, world, "k2", **changes)
    assert answer.status_code == 400
    assert answer.json()["type"] == "validation_error"
    assert [error["attr"] for error in answer.json()["errors"]] == [attr]


@pytest.mark.parametrize(
    "body",
    [
        '{"options": ' + "[" * 20_000 + "]" * 20_000 + "}",
        r'{"purpose": "\ud800"}',
        r'{"options": {"\ud800": 1}}',
        r'{"consents": {"\u0000": "x"}}',
    ],
    ids=["endless nesting", "half a surrogate pair", "half a surrogate pair in a name", "NUL"],
)
def test_json_that_no_database_holds_is_a_wrong_request(api: Client, body: str) -> None:
    answer = api.post(reverse("api_jobs"), data=body, content_type="application/json")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "parse_error")


def test_a_key_that_is_too_long_is_refused_instead_of_cut(api: Client, world: World) -> None:
    assert _submit(api, world, "k" * 128).status_code == 201
    assert _submit(api, world, "k" * 129).status_code == 422
    assert Job.objects.filter(idempotency_key="k" * 128).count() == 1


def test_a_withdrawn_job_keeps_its_marks_and_offers_no_clip(api: Client, world: World) -> None:
    Job.objects.filter(pk=world.job.pk).update(status=Status.WITHDRAWN)
    job = api.get(reverse("api_job", args=[world.job.pk])).json()
    assert (job["watermark_id"], job["manifest_id"], job["output"]) == (world.record.watermark_id, "urn:c2pa:test", None)


def test_rules_of_the_services_are_told_in_the_same_shape(api: Client, world: World) -> None:
    answer = _submit(api, world, "k3", engine="dream")
    assert (answer.status_code, set(answer.json()["errors"][0])) == (422, {"code", "detail", "attr"})
    released = api.post(reverse("api_job_cancel", args=[world.job.pk]))
    assert (released.status_code, released.json()["errors"][0]["code"]) == (409, "illegal_move")


def test_cancelling(api: Client, world: World) -> None:
    job = make_job(world.studio, world.portrait, world.driving)
    assert api.post(reverse("api_job_cancel", args=[job.pk])).json()["status"] == "cancelled"


def test_a_clip_is_refused_once_a_consent_ended_and_too_early_before_release(api: Client, world: World) -> None:
    early = make_job(world.studio, world.portrait, world.driving, Status.RENDERING)
    assert api.get(reverse("api_output_download", args=[early.pk])).status_code == 409
    withdraw_consent(consent_id=world.consent.pk, actor="person")
    refused = api.get(reverse("api_output_download", args=[world.job.pk]))
    assert (refused.status_code, refused.json()["type"]) == (403, "client_error")


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [("read", {"api_jobs"}), ("download", {"api_output_download"}), ("upload", set()), ("submit", {"api_job_cancel"})],
)
def test_a_key_does_what_its_scopes_say_and_no_more(world: World, scope: str, allowed: set[str]) -> None:
    api = _client(world.studio, [scope])
    waiting = make_job(world.studio, world.portrait, world.driving)
    answers = {
        "api_jobs": api.get(reverse("api_jobs")),
        "api_output_download": api.get(reverse("api_output_download", args=[world.job.pk])),
        "api_job_cancel": api.post(reverse("api_job_cancel", args=[waiting.pk])),
    }
    assert {name for name, answer in answers.items() if answer.status_code == 200} == allowed


def test_a_revoked_key_is_answered_401(world: World) -> None:
    key, secret = create_api_key(studio=world.studio, name="robot", scopes=SCOPES, created_by=None)
    revoke_api_key(key=key)
    answer = Client(headers={"Authorization": f"Bearer {secret}"}).get(reverse("api_jobs"))
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_a_member_of_several_studios_names_one(world: World, other_studio: Studio, user: User) -> None:
    set_member(studio=other_studio, user=user, role="producer")
    client = Client()
    client.force_login(user)
    assert client.get(reverse("api_jobs")).status_code == 400
    for slug, count in ((world.studio.slug, 1), (other_studio.slug, 0)):
        assert client.get(reverse("api_jobs"), headers={"X-Studio": slug}).json()["count"] == count


def test_a_session_without_a_csrf_token_changes_nothing(world: World, user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    job = make_job(world.studio, world.portrait, world.driving)
    assert client.post(reverse("api_job_cancel", args=[job.pk])).status_code == 403
    assert Job.objects.get(pk=job.pk).status == Status.SUBMITTED


def test_people_and_consents_tell_what_was_agreed(api: Client, world: World) -> None:
    person = api.get(reverse("api_people")).json()["results"][0]
    assert person["consents"] == [str(world.consent.pk)]
    consent = api.get(reverse("api_consent", args=[world.consent.pk])).json()
    assert (consent["state"], consent["assurance"], consent["purposes"]) == ("given", "attested", ["internal_test"])


def test_usage_counts_jobs_and_released_seconds(api: Client) -> None:
    assert api.get(reverse("api_usage")).json() == {"jobs": {"released": 1}, "released_seconds": 0.8}


def test_the_schema_names_every_door(client: Client) -> None:
    schema = client.get(reverse("api_schema"), headers={"Accept": "application/vnd.oai.openapi+json"}).json()
    for path in ("assets/", "jobs/", "jobs/{job_id}/cancel/", "outputs/{job_id}/download", "verify/", "records/{watermark_id}"):
        assert f"/api/v1/{path}" in schema["paths"]
