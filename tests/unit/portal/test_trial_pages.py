"""Every option on every surface, stills that follow the settings, and jobs that wait until somebody starts them."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from PIL import Image
from portal_material import GreyRenderer, World, make_cleared_job, make_job, page_of
from pytest_django.fixtures import Settings

import portal
from consent.services import withdraw_consent
from generation.engines.base import Options, OutputShape
from generation.models import Job, Preview
from generation.options import OPTION_RULES, Choice
from generation.previews import services
from generation.states import Status
from portal.option_form import OptionForm
from portal.public_answer import public_answer
from portal.verdict_view import verdict_view
from portal.wording import OPTION_GROUPS, OPTIONS
from users.models import Role, Studio
from users.services import create_api_key

ASKED = {"regions": "lips", "strength": "0.8", "eye_opening": "-0.5", "short_side": "1080", "codec": "hevc", "gaze": "1"}
KEPT = {"regions": "lips", "strength": 0.8, "eye_opening": -0.5, "short_side": 1080, "codec": "hevc"}


@pytest.fixture(autouse=True)
def renderer(monkeypatch: pytest.MonkeyPatch) -> GreyRenderer:
    renderer = GreyRenderer()
    monkeypatch.setattr(services, "RENDERER", renderer)
    return renderer


@pytest.fixture
def job(world: World) -> Job:
    return make_cleared_job(world)


@pytest.fixture
def api(studio: Studio) -> Client:
    _, secret = create_api_key(studio=studio, name="robot", scopes=["read", "submit"], created_by=None)
    return Client(headers={"Authorization": f"Bearer {secret}"})


def still(client: Client, job: Job, **settings: object) -> Any:
    return client.post(page_of("preview", job), {"moment": 0, **settings}, headers={"HX-Request": "true"})


def call(api: Client, name: str, job: Job, **body: object) -> Any:
    return api.post(reverse(name, args=[job.pk]), data=body, content_type="application/json")


# every option on every surface


def test_every_option_has_a_short_sentence_words_for_its_choices_and_a_place_on_the_page() -> None:
    placed = [name for names in OPTION_GROUPS.values() for name in names]
    assert sorted(placed) == sorted(OPTION_RULES) == sorted(OPTIONS)
    for name, rule in OPTION_RULES.items():
        assert 10 < len(OPTIONS[name].explanation) <= 90
        assert list(OPTIONS[name].words) == (list(rule.words) if isinstance(rule, Choice) else [])


def test_every_option_of_engine_and_picture_can_be_set() -> None:
    assert {item.name for part in (Options, OutputShape) for item in fields(part)} | {"codec"} == set(OPTION_RULES)


def test_the_form_shows_every_option_at_its_default_within_its_range(member: Client, studio: Studio) -> None:
    text = member.get(reverse("new_performance", args=[studio.slug])).content.decode()
    for name, rule in OPTION_RULES.items():
        tag = re.search(rf'<(input|select)[^>]*name="{name}"[^>]*>', text)
        assert tag is not None, name
        assert OPTIONS[name].label in text
        if not isinstance(rule, Choice):
            assert f'min="{rule.low}"' in tag[0] or f'min="{rule.low:g}"' in tag[0], tag[0]
    untouched = OptionForm({name: field.initial for name, field in OptionForm().fields.items() if field.initial is not None})
    assert untouched.is_valid()
    assert untouched.options() == {}


def test_what_is_chosen_in_the_form_is_what_the_job_gets(member: Client, studio: Studio) -> None:
    files = {"portrait": SimpleUploadedFile("p.png", b"still"), "driving": SimpleUploadedFile("d.mp4", b"video")}
    member.post(reverse("new_performance", args=[studio.slug]), {**files, "purpose": "internal_test", "engine": "mesh", **ASKED})
    job = Job.objects.get()
    assert job.options == KEPT
    assert not job.waits_for_start
    shown = member.get(page_of("job", job)).content.decode()
    assert "Lips only" in shown
    assert "HEVC (H.265)" in shown


@pytest.mark.parametrize(("name", "value"), [("strength", "9"), ("regions", "nose"), ("short_side", "100"), ("reference", "-1")])
def test_a_value_out_of_its_range_is_named(name: str, value: str, member: Client, studio: Studio) -> None:
    files = {"portrait": SimpleUploadedFile("p.png", b"still"), "driving": SimpleUploadedFile("d.mp4", b"video")}
    form = {**files, "purpose": "internal_test", "engine": "mesh", name: value}
    answer = member.post(reverse("new_performance", args=[studio.slug]), form, headers={"HX-Request": "true"})
    assert (answer.status_code, OPTIONS[name].label in answer.content.decode()) == (422, True)
    assert not Job.objects.exists()


def test_the_api_reference_gives_ranges_and_words(client: Client) -> None:
    schema = client.get(reverse("api_schema"), headers={"Accept": "application/vnd.oai.openapi+json"}).json()["components"][
        "schemas"
    ]
    options = schema["OptionsIn"]["properties"]
    assert set(options) == set(OPTION_RULES)
    assert (options["strength"]["minimum"], options["strength"]["maximum"]) == (0.0, 1.5)
    assert "Default: 1.0." in options["strength"]["description"]
    regions = options["regions"]
    words = regions.get("enum") or schema[regions["allOf"][0]["$ref"].rsplit("/", 1)[1]]["enum"]
    assert words == ["all", "face", "lips", "eyes", "pose"]


# stills


def test_a_still_follows_the_settings(member: Client, job: Job, renderer: GreyRenderer) -> None:
    answer = still(member, job, moment=2, **ASKED)
    encoded = re.search(r'data-png="([^"]+)"', answer.content.decode())
    assert encoded is not None
    picture = Image.open(io.BytesIO(base64.b64decode(encoded[1])))
    assert (picture.format, picture.size) == ("PNG", (256, 160))
    options, at_s = renderer.asked[0]
    assert (options.regions, options.strength, options.eye_opening) == ("lips", 0.8, -0.5)
    assert at_s == services.moments_of(job)[2] == Preview.objects.get().at_s
    assert "199 previews left today" in answer.content.decode()
    assert answer.headers["Cache-Control"] == "private, no-store"


def test_a_browser_without_scripts_gets_the_picture_itself(member: Client, job: Job) -> None:
    answer = member.post(page_of("preview", job), {"moment": 0})
    assert (answer.headers["Content-Type"], answer.content[:4]) == ("image/png", b"\x89PNG")


def test_a_setting_out_of_range_is_told_in_the_panel(member: Client, job: Job) -> None:
    answer = still(member, job, strength="7")
    assert (answer.status_code, "Expression" in answer.content.decode()) == (422, True)
    assert not Preview.objects.exists()


@pytest.mark.parametrize("status", [Status.SUBMITTED, Status.IN_REVIEW, Status.REFUSED, Status.WITHDRAWN, Status.HELD])
def test_no_still_without_clearance(status: Status, member: Client, api: Client, world: World, renderer: GreyRenderer) -> None:
    marked = {"watermark_id": world.record.watermark_id[::-1], "manifest_id": "urn:c2pa:other"}
    job = make_cleared_job(world, status=status, **marked)
    assert still(member, job).status_code == 409
    refused = call(api, "api_job_preview", job)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "not_previewable")
    assert api.get(reverse("api_job_preview", args=[job.pk])).json()["moments_s"] == []
    assert 'id="trial"' not in member.get(page_of("job", job)).content.decode().replace('<div id="trial"', "")
    assert not renderer.asked


def test_no_still_once_a_consent_ended(member: Client, api: Client, world: World, job: Job, renderer: GreyRenderer) -> None:
    withdraw_consent(consent_id=world.consent.pk, actor="person")
    assert still(member, job).status_code == 403
    assert call(api, "api_job_preview", job).status_code == 403
    assert not renderer.asked


def test_the_day_has_an_end(member: Client, api: Client, job: Job, settings: Settings) -> None:
    settings.REQUEST_LIMITS = replace(settings.REQUEST_LIMITS, previews_per_day=1)
    assert "0 previews left" in still(member, job).content.decode()
    for answer in (still(member, job), call(api, "api_job_preview", job)):
        assert answer.status_code == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 24 * 3600
    assert "its 1 previews of today" in still(member, job).content.decode()


def test_a_viewer_sees_no_panel_and_gets_no_still(make_member: Any, job: Job) -> None:
    viewer = Client()
    viewer.force_login(make_member(job.studio, Role.VIEWER).user)
    assert "trial" not in viewer.get(page_of("job", job)).content.decode()
    assert still(viewer, job).status_code == 403
    assert viewer.get(page_of("trial", job)).status_code == 403


def test_the_api_gives_moments_and_a_picture(api: Client, job: Job) -> None:
    told = api.get(reverse("api_job_preview", args=[job.pk])).json()
    assert (len(told["moments_s"]), told["left_today"]) == (8, 200)
    for accept in ("image/png", "*/*"):
        body = {"options": {"lip_opening": 0.5}, "moment": 7}
        answer = api.post(
            reverse("api_job_preview", args=[job.pk]), data=body, content_type="application/json", headers={"Accept": accept}
        )
        assert (answer.status_code, answer.headers["Content-Type"], answer.content[:4]) == (200, "image/png", b"\x89PNG")
    wrong = api.post(
        reverse("api_job_preview", args=[job.pk]),
        data={"moment": 8},
        content_type="application/json",
        headers={"Accept": "image/png"},
    )
    assert (wrong.status_code, wrong.headers["Content-Type"]) == (422, "application/json")
    assert "from 0 to 7" in wrong.json()["errors"][0]["detail"]


def test_the_page_learns_when_the_settings_can_be_tried(member: Client, world: World, job: Job) -> None:
    unseen = make_job(world.studio, world.portrait, world.driving)
    assert f'hx-get="{page_of("trial", unseen)}"' in member.get(page_of("job", unseen)).content.decode()
    assert "HX-Trigger" not in member.get(page_of("job_progress", unseen)).headers
    assert member.get(page_of("trial", unseen)).status_code == 404
    assert member.get(page_of("job_progress", job)).headers["HX-Trigger"] == "trial-ready"
    assert "Make a clip with these settings" in member.get(page_of("trial", job)).content.decode()


def test_the_pages_bind_their_scripts_to_what_the_templates_name() -> None:
    script = (Path(portal.__file__).parent / "static" / "portal" / "page.js").read_text()
    templates = "".join(path.read_text() for path in Path(portal.__file__).parent.rglob("*.html"))
    for name in ("data-trial", "data-still", "data-png"):
        assert f"[{name}]" in script
        assert name in templates


def test_a_preview_that_is_verified_is_called_one_and_has_no_page(client: Client, member: Client, job: Job) -> None:
    still(member, job)
    row = Preview.objects.get()
    assert client.get(reverse("record", args=[row.watermark_id])).status_code == 404
    record = {"created": None, "system": "Countersign 1", "studio": None, "watermark_id": row.watermark_id}
    answer = public_answer(
        {
            "verdict": "altered",
            "reasons": ["preview_only"],
            "record": {**record, "consent": {"state": "active", "since": None}, "availability": "never_released"},
        }
    )
    view = verdict_view(answer)
    assert (view.tone, view.headline, view.notes) == ("warn", "This carries the mark of previews made here.", ())
    assert view.facts is not None
    assert (view.facts.availability, view.facts.watermark_id) == ("Never released", "")


# waiting, starting, making again


def test_a_job_can_wait_for_its_previews(member: Client, api: Client, studio: Studio, world: World) -> None:
    files = {"portrait": SimpleUploadedFile("p.png", b"still"), "driving": SimpleUploadedFile("d.mp4", b"video")}
    form = {**files, "purpose": "internal_test", "engine": "mesh", "wait_for_start": "on"}
    member.post(reverse("new_performance", args=[studio.slug]), form)
    assert Job.objects.latest("created_at").waits_for_start
    request = {"portrait": str(world.portrait.pk), "driving": str(world.driving.pk), "purpose": "internal_test"}
    made = api.post(reverse("api_jobs"), data={**request, "wait_for_start": True}, content_type="application/json").json()
    assert made["waits_for_start"] is True


def test_a_waiting_job_says_so_and_is_started_with_the_settings_found(member: Client, world: World) -> None:
    job = make_cleared_job(world, waits_for_start=True)
    page = member.get(page_of("job", job)).content.decode()
    assert "Ready to preview" in page
    assert "Start with these settings" in page
    assert "every 1s" not in page  # nothing changes without a person
    answer = member.post(page_of("start_job", job), {"moment": 0, **ASKED})
    assert answer.headers["Location"] == page_of("job", job)
    job.refresh_from_db()
    assert (job.waits_for_start, job.options, job.status) == (False, KEPT, "cleared")
    assert "Ready to preview" not in member.get(page_of("job", job)).content.decode()


def test_the_api_starts_a_job_once(api: Client, world: World) -> None:
    job = make_cleared_job(world, waits_for_start=True, options={"strength": 0.5})
    for _ in range(2):
        started = call(api, "api_job_start", job)
        assert (started.status_code, started.json()["waits_for_start"]) == (200, False)
    job.refresh_from_db()
    assert job.options == {"strength": 0.5}
    assert job.events.filter(detail__started=True).count() == 1
    assert call(api, "api_job_start", world.job).status_code == 409


def test_the_same_settings_twice_make_one_more_clip(member: Client, api: Client, job: Job) -> None:
    first = member.post(page_of("make_again", job), {"moment": 3, **ASKED})
    second = call(api, "api_job_again", job, options=KEPT)
    made = Job.objects.exclude(pk=job.pk).get(options=KEPT)
    assert first.headers["Location"] == page_of("job", made)
    assert second.json()["job"] == str(made.pk)
    assert (made.portrait, made.driving, made.purpose, made.status) == (job.portrait, job.driving, job.purpose, "submitted")
    assert made.named_consents == job.named_consents
    other = call(api, "api_job_again", job, options={})
    assert other.json()["job"] != str(made.pk)
