"""Casting and motion templates through the REST API."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from portal_material import World, make_asset

from generation.casting import CAST_MAX
from generation.models import Asset, Job
from users.models import Studio
from users.services import create_api_key


@pytest.fixture
def api(world: World) -> Client:
    _, secret = create_api_key(studio=world.studio, name="robot", scopes=["upload", "submit", "read"], created_by=None)
    return Client(headers={"Authorization": f"Bearer {secret}"})


def post(api: Client, world: World, **changes: object) -> Any:
    request = {"portrait": str(world.portrait.pk), "driving": str(world.driving.pk), "purpose": "internal_test", **changes}
    return api.post(reverse("api_jobs"), data=request, content_type="application/json")


def test_a_job_says_who_moves_whom(api: Client, world: World) -> None:
    second = make_asset(world.studio, Asset.Kind.VIDEO, b"another performance")
    answer = post(api, world, cast=[{"face": 2}, {"driving": str(second.pk), "driver_face": 3, "face": 1}])
    assert answer.status_code == 201, answer.json()
    parts = Job.objects.get(pk=answer.json()["job"]).parts.all()
    assert [(part.driving_id, part.driver_face, part.face) for part in parts] == [(world.driving.pk, 1, 2), (second.pk, 3, 1)]
    assert (answer.json()["cast"], answer.json()["warnings"]) == ([], [])  # told once the faces were looked at


def test_the_files_of_another_studio_cannot_be_cast(api: Client, world: World, other_studio: Studio) -> None:
    foreign = make_asset(other_studio, Asset.Kind.VIDEO)
    assert post(api, world, cast=[{"face": 1}, {"driving": str(foreign.pk), "face": 2}]).status_code == 404


@pytest.mark.parametrize(
    ("cast", "status"),
    [([{"face": 0}], 400), ([{"driver_face": 1}], 400), ([{"face": 1}, {"face": 1}], 422), ("everybody", 400)],
    ids=["counted from zero", "without a face", "twice", "no list"],
)
def test_a_cast_that_makes_no_sense_is_refused(api: Client, world: World, cast: object, status: int) -> None:
    assert post(api, world, cast=cast).status_code == status


def test_a_long_cast_is_refused_and_a_whole_one_is_looked_up_at_once(
    api: Client, world: World, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(12):
        assert post(api, world, cast=[{"face": face} for face in range(1, CAST_MAX + 2)]).status_code == 400
    unknown = [{"driving": str(uuid.uuid4()), "face": face} for face in range(1, CAST_MAX + 1)]
    with django_assert_max_num_queries(12):
        assert post(api, world, cast=unknown).status_code == 404


def test_consents_are_named_for_the_faces_of_further_drivers(api: Client, world: World) -> None:
    assert post(api, world, consents={"driver2:1": str(world.consent.pk)}).status_code == 201
    assert post(api, world, consents={"driver1:1": str(world.consent.pk)}).status_code == 400


def test_a_motion_template_is_uploaded_like_any_other_file_and_drives(api: Client, world: World) -> None:
    upload = {"file": SimpleUploadedFile("his.motion", b"looked at by the job"), "kind": "motion"}
    asset = api.post(reverse("api_assets"), upload).json()
    assert asset["kind"] == "motion"
    assert post(api, world, driving=asset["id"]).status_code == 201
    assert post(api, world, portrait=asset["id"]).status_code == 422
