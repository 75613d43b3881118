"""What people see on the pages: progress that ends, reasons with their fix, clips that stop when a consent does."""

from __future__ import annotations

import hashlib
import re
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from portal_material import CLIP, World, make_job, page_of

import portal
from audit.models import Event
from consent.services import withdraw_consent
from generation import storage
from generation.models import Asset, Job
from generation.revocation import revoke
from generation.states import Stage, Status
from media.errors import BadInput
from portal import examination
from portal.job_view import SENTENCES, view_of
from portal.security import CONTENT_SECURITY_POLICY
from users.models import Role, Studio, User

PORTAL = Path(portal.__file__).parent
NOTHING_FOUND: dict[str, Any] = {
    "verdict": "unknown",
    "reasons": [],
    "record": None,
    "signals": {},
    "timeline": [],
    "manifest_id": None,
}


@pytest.fixture(autouse=True)
def _small_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is uploaded here is no video; to the examination it looks like a short one."""
    monkeypatch.setattr(examination, "probe", lambda path, **_: clip_of(frames=24))


def clip_of(*, frames: int, side: int = 512) -> SimpleNamespace:
    return SimpleNamespace(
        width=side, height=side, coded_width=side, coded_height=side, frame_count=frames, duration_s=0.0, frame_rate=Fraction(24)
    )


def test_a_member_signs_in_by_e_mail_and_lands_in_the_studio(user: User, password: str) -> None:
    client = Client()
    response = client.post(reverse("sign_in"), {"username": user.email.upper(), "password": password}, follow=True)
    assert response.redirect_chain[-1][0] == "/studios/north-light/"


def test_a_wrong_password_says_so_without_naming_the_wrong_half(user: User) -> None:
    response = Client().post(reverse("sign_in"), {"username": user.email, "password": "wrong"})
    assert "do not belong together" in response.content.decode()


def test_guessing_passwords_is_slowed_down(user: User) -> None:
    client = Client()
    codes = [client.post(reverse("sign_in"), {"username": user.email, "password": "wrong"}).status_code for _ in range(21)]
    assert codes == [200] * 20 + [429]


def test_a_viewer_may_look_but_not_submit(world: World, make_member: Any) -> None:
    client = Client()
    client.force_login(make_member(world.studio, Role.VIEWER).user)
    assert client.get(page_of("job", world.job)).status_code == 200
    assert client.get(reverse("new_performance", args=[world.studio.slug])).status_code == 403
    assert client.post(page_of("cancel_job", make_job(world.studio, world.portrait, world.driving))).status_code == 403


def test_progress_is_silent_while_nothing_changes_and_stops_at_the_end(member: Client, world: World) -> None:
    job = make_job(world.studio, world.portrait, world.driving, Status.RENDERING, stage=Stage.RENDER, frames_total=24)
    address = page_of("job_progress", job)
    first = member.get(address)
    assert (first.status_code, "0 of 24 frames" in first.content.decode()) == (200, True)
    seen = re.search(r"\?seen=([\w-]+)", first.content.decode())
    assert seen is not None
    assert member.get(address, {"seen": seen[1]}).status_code == 204
    Job.objects.filter(pk=job.pk).update(frames_done=12)
    assert "12 of 24 frames" in member.get(address, {"seen": seen[1]}).content.decode()
    Job.objects.filter(pk=job.pk).update(status=Status.FAILED)
    last = member.get(address)
    assert (last.status_code, "hx-get" in last.content.decode()) == (286, False)


@pytest.mark.parametrize("status", Status)
def test_every_status_has_words_and_steps(status: Status, world: World) -> None:
    view = view_of(make_job(world.studio, world.portrait, world.driving, Status.SUBMITTED))
    view.job.status = status
    shown = view_of(view.job)
    assert shown.label == SENTENCES[status][0]
    assert len(shown.steps) == 4


def test_a_reason_is_shown_with_its_face_and_its_fix(member: Client, world: World) -> None:
    reasons = [{"code": "unknown", "message": "Nobody matches; ask this person for consent.", "face": "portrait:2"}]
    job = make_job(world.studio, world.portrait, world.driving, Status.REFUSED, reasons=reasons)
    text = member.get(page_of("job", job)).content.decode()
    assert "Face 2 in the portrait" in text
    assert "ask this person for consent" in text


def test_what_a_studio_typed_cannot_become_markup(member: Client, world: World) -> None:
    Asset.objects.filter(pk=world.portrait.pk).update(file_name="<script>alert(1)</script>.png")
    for address in (page_of("job", world.job), reverse("studio", args=[world.studio.slug])):
        text = member.get(address).content.decode()
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text


def test_a_released_clip_plays_in_parts_and_downloads_whole(member: Client, world: World) -> None:
    part = member.get(page_of("play", world.job), headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.getvalue()) == (206, CLIP[10:20])
    whole = member.get(page_of("download", world.job))
    assert whole.getvalue() == CLIP
    assert world.job.watermark_id in whole.headers["Content-Disposition"]


def test_a_download_is_written_down(member: Client, world: World, user: User) -> None:
    member.get(page_of("download", world.job))
    event = Event.objects.get(action="output.downloaded")
    assert (event.actor, event.subject_id) == (f"user:{user.pk}", str(world.job.pk))


def test_playing_a_clip_is_written_down_once_per_session(member: Client, world: World, user: User) -> None:
    for start in (0, 10, 20):
        member.get(page_of("play", world.job), headers={"Range": f"bytes={start}-"})
    event = Event.objects.get(action="output.played")
    assert (event.actor, event.subject_id) == (f"user:{user.pk}", str(world.job.pk))
    another = Client()
    another.force_login(user)
    another.get(page_of("play", world.job))
    assert Event.objects.filter(action="output.played").count() == 2


@pytest.mark.parametrize("name", ["play", "download"])
def test_a_clip_stops_when_consent_is_withdrawn_even_before_the_job_is_told(name: str, member: Client, world: World) -> None:
    withdraw_consent(consent_id=world.consent.pk, actor="person", reason="changed my mind")
    response = member.get(page_of(name, world.job))
    assert response.status_code == 403
    assert "withdr" in response.content.decode().lower()
    assert not Event.objects.filter(action="output.downloaded").exists()


def test_a_withdrawn_job_says_why_and_shows_no_player(member: Client, world: World) -> None:
    revoke(consent_id=world.consent.pk, reason="", actor="person")
    shown = member.get(page_of("job", world.job)).content.decode()
    assert "Withdrawn" in shown
    assert page_of("play", world.job) not in shown
    assert world.job.watermark_id in shown
    assert world.job.manifest_id in shown
    refused = member.get(page_of("play", world.job))
    assert (refused.status_code, "ask the people in it" in refused.content.decode()) == (403, True)


def test_a_clip_that_changed_on_disk_is_not_handed_out(member: Client, world: World) -> None:
    storage.resolve(world.job.output_path).write_bytes(b"something else")
    assert member.get(page_of("play", world.job)).status_code == 409


def test_cancelling_ends_the_job(member: Client, world: World) -> None:
    job = make_job(world.studio, world.portrait, world.driving)
    member.post(page_of("cancel_job", job))
    job.refresh_from_db()
    assert job.status == Status.CANCELLED


def _form(**changes: object) -> dict[str, object]:
    files = {"portrait": SimpleUploadedFile("p.png", b"still"), "driving": SimpleUploadedFile("d.mp4", b"video")}
    return {**files, "purpose": "internal_test", "engine": "mesh", "idempotency_key": "key-1", "head_motion": "0.5", **changes}


def test_the_form_makes_one_job_even_when_it_is_sent_twice(member: Client, studio: Studio) -> None:
    address = reverse("new_performance", args=[studio.slug])
    first, second = member.post(address, _form(territories="de, us")), member.post(address, _form(territories="de, us"))
    job = Job.objects.get()
    assert first.headers["Location"] == second.headers["Location"] == page_of("job", job)
    assert (job.territories, job.options) == (["DE", "US"], {"head_motion": 0.5})


def test_a_wrong_choice_is_named_before_any_file_is_kept(member: Client, studio: Studio) -> None:
    response = member.post(
        reverse("new_performance", args=[studio.slug]), _form(territories="Germany"), headers={"HX-Request": "true"}
    )
    assert (response.status_code, "GERMANY" in response.content.decode()) == (422, True)
    assert not Asset.objects.exists()


def test_verify_works_without_scripts_and_answers_a_fragment_with_them(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "verify_file", lambda path: NOTHING_FOUND)
    for headers, whole in (({}, True), ({"HX-Request": "true"}, False)):
        response = client.post(reverse("verify"), {"file": SimpleUploadedFile("a.mp4", b"data")}, headers=headers)
        text = response.content.decode()
        assert "Nothing of ours was found." in text
        assert ("<html" in text) is whole


def test_an_examined_file_is_gone_after_the_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Path, bytes]] = []

    def look(path: Path) -> dict[str, Any]:
        seen.append((path, path.read_bytes()))
        return NOTHING_FOUND

    monkeypatch.setattr(examination, "verify_file", look)
    client.post(reverse("api_verify"), {"file": SimpleUploadedFile("../evil.mp4", b"the bytes")})
    path, content = seen[0]
    assert content == b"the bytes"
    assert not path.exists()
    assert "evil" not in str(path)


def test_an_examined_file_is_gone_after_a_failure_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []

    def fail(path: Path) -> dict[str, Any]:
        seen.append(path)
        raise BadInput("This is no video; choose a video file.")

    monkeypatch.setattr(examination, "verify_file", fail)
    response = client.post(reverse("verify"), {"file": SimpleUploadedFile("a.mp4", b"text")})
    assert (response.status_code, "choose a video file" in response.content.decode()) == (422, True)
    assert not seen[0].exists()


def test_a_file_over_the_limit_is_refused_unseen(client: Client, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(examination, "verify_file", lambda path: pytest.fail("it was examined"))
    limits = type(settings.REQUEST_LIMITS)(verify_inline_bytes=10)
    settings.REQUEST_LIMITS = limits
    assert client.post(reverse("verify"), {"file": SimpleUploadedFile("a.mp4", b"x" * 11)}).status_code == 413


def test_a_file_that_takes_too_much_work_is_refused_before_it_is_decoded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "verify_file", lambda path: pytest.fail("it was examined"))
    monkeypatch.setattr(examination, "probe", lambda path, **_: clip_of(frames=1000, side=4096))
    answer = client.post(reverse("verify"), {"file": SimpleUploadedFile("a.mp4", b"data")})
    assert answer.status_code == 413
    assert "at most 111 frames" in answer.content.decode()


def test_an_announced_size_over_the_limit_is_refused_unread_but_counted(client: Client, settings: Any) -> None:
    settings.REQUEST_LIMITS = type(settings.REQUEST_LIMITS)(verify_inline_bytes=10, verify_per_hour=2)
    codes = []
    for name in ("verify", "api_verify", "verify"):
        codes.append(client.post(reverse(name), {"file": SimpleUploadedFile("a.mp4", b"x" * 2**17)}).status_code)
    assert codes == [413, 413, 429]


def test_more_files_at_once_than_allowed_are_asked_to_come_back(
    client: Client, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.REQUEST_LIMITS = type(settings.REQUEST_LIMITS)(verify_at_once=1)
    monkeypatch.setattr(examination, "verify_file", lambda path: NOTHING_FOUND)
    for name in ("verify", "api_verify"):
        with examination.SEATS.one():
            busy = client.post(reverse(name), {"file": SimpleUploadedFile("a.mp4", b"data")})
        assert (busy.status_code, busy.headers["Retry-After"]) == (503, "30")
        assert client.post(reverse(name), {"file": SimpleUploadedFile("a.mp4", b"data")}).status_code == 200


def test_the_page_takes_no_file_without_the_csrf_token() -> None:
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(reverse("verify"), {"file": SimpleUploadedFile("a.mp4", b"data")}).status_code == 403


def test_asking_too_often_is_answered_by_429_on_page_and_api_together(client: Client, settings: Any) -> None:
    settings.REQUEST_LIMITS = type(settings.REQUEST_LIMITS)(verify_per_hour=3)
    codes = [client.post(reverse(name)).status_code for name in ("verify", "api_verify", "verify", "api_verify", "verify")]
    assert codes == [422, 422, 422, 429, 429]


def test_a_record_never_released_reads_like_none(client: Client, world: World) -> None:
    Job.objects.filter(pk=world.job.pk).update(status=Status.HELD)
    assert client.get(reverse("record", args=[world.record.watermark_id])).status_code == 404


def test_a_record_page_names_no_person_and_no_studio_that_did_not_agree(client: Client, world: World) -> None:
    text = client.get(reverse("record", args=[world.record.watermark_id])).content.decode()
    assert "A studio that is not named" in text
    assert world.person.display_name not in text
    assert world.studio.name not in text


def test_every_page_forbids_scripts_of_others(client: Client) -> None:
    for name in ("landing", "verify", "sign_in", "api_schema"):
        assert client.get(reverse(name)).headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY


def test_templates_hold_nothing_inline_and_nothing_from_elsewhere() -> None:
    for template in PORTAL.rglob("*.html"):
        text = template.read_text()
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)|(src|href)=\"https?:", text), template


def test_vendored_files_are_those_whose_digest_is_kept() -> None:
    folder = PORTAL / "static" / "vendor" / "htmx"
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_limits_come_from_the_one_table() -> None:
    assert settings.REQUEST_LIMITS.verify_inline_bytes <= settings.REQUEST_LIMITS.verify_bytes


def test_an_address_that_does_not_exist_is_answered_in_the_callers_language(client: Client) -> None:
    assert "There is nothing here" in client.get("/nowhere/").content.decode()
    answer = client.get("/api/v1/nowhere/")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "not_found")


def test_a_fault_tells_nothing_of_the_inside(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(path: Path) -> dict[str, Any]:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(examination, "verify_file", break_down)
    client.raise_request_exception = False
    for name in ("verify", "api_verify"):
        answer = client.post(reverse(name), {"file": SimpleUploadedFile("a.mp4", b"data")})
        assert answer.status_code == 500
        assert b"secret" not in answer.content
    assert answer.json()["type"] == "server_error"
