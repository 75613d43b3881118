"""What a job's page says of its people, of how it ended and of what to know, and what it shows once a consent ended."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from portal_material import World, make_job, page_of

from generation.models import Job
from generation.revocation import revoke
from generation.states import Status


def test_the_inputs_of_a_withdrawn_job_are_neither_linked_nor_handed_out(member: Client, world: World) -> None:
    inputs = [reverse("asset_media", args=[world.studio.slug, asset.pk]) for asset in (world.portrait, world.driving)]
    assert [member.get(address).status_code for address in inputs] == [200, 200]
    revoke(consent_id=world.consent.pk, reason="", actor="person")
    for page in (page_of("job", world.job), reverse("studio", args=[world.studio.slug])):
        shown = member.get(page).content.decode()
        assert not [address for address in inputs if address in shown], page
    refused = [member.get(address) for address in inputs]
    assert [answer.status_code for answer in refused] == [403, 403]
    assert "no longer shown" in refused[0].content.decode()


def test_the_inputs_of_a_withdrawn_job_come_back_with_another_that_stands(member: Client, world: World) -> None:
    revoke(consent_id=world.consent.pk, reason="", actor="person")
    make_job(world.studio, world.portrait, world.driving)  # under a new consent
    assert member.get(reverse("asset_media", args=[world.studio.slug, world.driving.pk])).status_code == 200


def test_people_are_named_where_their_consents_are_known_and_files_where_not(member: Client, world: World) -> None:
    make_job(world.studio, world.portrait, world.driving)
    shown = member.get(reverse("studio", args=[world.studio.slug])).content.decode()
    assert f"<strong>{world.person.display_name}</strong>" in shown
    assert f"performed by {world.person.display_name}" in shown
    assert f"<strong>{world.portrait.file_name}</strong>" in shown


def test_what_to_know_of_a_job_that_goes_on_is_on_its_page(member: Client, world: World) -> None:
    warning = {"code": "sound_left_out", "face": "driver:1", "message": "The clip will have no sound."}
    Job.objects.filter(pk=world.job.pk).update(render_facts={**world.job.render_facts, "warnings": [warning]})
    assert "The clip will have no sound." in member.get(page_of("job", world.job)).content.decode()


@pytest.mark.parametrize(
    ("status", "code", "label"),
    [
        (Status.FAILED, "bad_input", "Cannot be used"),
        (Status.FAILED, "internal_error", "Failed"),
        (Status.CANCELLED, "consent_ended", "Stopped"),
    ],
)
def test_the_headline_of_a_job_that_ended_says_what_kind_of_end_it_was(
    member: Client, world: World, status: Status, code: str, label: str
) -> None:
    reasons = [{"code": code, "message": "So it is.", "face": None}]
    shown = member.get(
        page_of("job", make_job(world.studio, world.portrait, world.driving, status, reasons=reasons))
    ).content.decode()
    assert f"</span>{label}</p>" in shown
    assert "once the clip is released" not in shown


def test_the_page_of_a_record_begins_with_what_ended(client: Client, world: World) -> None:
    address = reverse("record", args=[world.record.watermark_id])
    assert "Withdrawn" not in client.get(address).content.decode()
    revoke(consent_id=world.consent.pk, reason="", actor="person")
    shown = client.get(address).content.decode()
    assert shown.index("Withdrawn: consent was revoked") < shown.index("<h1")
