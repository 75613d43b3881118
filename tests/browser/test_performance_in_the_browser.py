"""A studio's whole way in Chromium: sign in, upload, watch it being made, play it, verify it, lose it when consent goes."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest
import skimage.data
from django.utils import timezone
from PIL import Image
from playwright.sync_api import Page, expect

from consent.enrolment import Photo, enroll_person
from consent.models import Consent
from consent.policy import WORLD, Role
from consent.services import Scope, withdraw_consent
from generation.demo.material import talking_head_frames, write_talking_head
from generation.models import Job
from media.video import read_still
from users.models import Studio, User

FRAMES = 30
RELEASE_MS = 240_000  # two loaded cores


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    path = tmp_path / "portrait.png"
    Image.fromarray(skimage.data.astronaut()).save(path)
    return path


@pytest.fixture
def driving(tmp_path: Path) -> Path:
    return write_talking_head(tmp_path / "driving.mp4", frames=FRAMES)


@pytest.fixture
def performer_photo(tmp_path: Path) -> Path:
    path = tmp_path / "performer.png"
    next(islice(talking_head_frames(), FRAMES // 2, None)).save(path)
    return path


def _enrol(studio: Studio, role: Role, photo: Path) -> Consent:
    now = timezone.now()
    scope = Scope(role, frozenset({"internal_test"}), frozenset({WORLD}), now, now + timedelta(days=1))
    still = Photo(rgb=read_still(photo))
    return enroll_person(studio=studio, name=f"The {role}", photos=[still], scope=scope, actor="system").consent


def _sign_in(page: Page, site: str, user: User, password: str) -> None:
    page.goto(f"{site}/sign-in/")
    page.get_by_label("E-mail").fill(user.email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Performances")).to_be_visible()


def _watch_for_complaints(page: Page) -> list[str]:
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None)
    return complaints


def _seconds_played(page: Page) -> float:
    return float(
        page.locator(".result video").evaluate(
            "async video => { video.muted = true; await video.play();"
            " await new Promise(done => setTimeout(done, 400)); return video.currentTime; }"
        )
    )


@pytest.mark.usefixtures("workers")
def test_from_upload_to_a_playing_clip(
    page: Page, site: str, studio: Studio, member: User, password: str, portrait: Path, driving: Path, performer_photo: Path
) -> None:
    depicted = _enrol(studio, Role.DEPICTED, portrait)
    _enrol(studio, Role.PERFORMER, performer_photo)
    complaints = _watch_for_complaints(page)
    _sign_in(page, site, member, password)

    page.get_by_role("link", name="New performance").first.click()
    page.locator("input[name=portrait]").set_input_files(portrait)
    page.locator("input[name=driving]").set_input_files(driving)
    page.get_by_label("Purpose").select_option("internal_test")
    page.get_by_role("button", name="Submit").click()

    # the page follows the job by itself: no reload from here on
    expect(page.locator("#job")).to_be_visible(timeout=30_000)
    expect(page.locator("#job:not([hx-get])")).to_be_visible(timeout=RELEASE_MS)
    job = Job.objects.get()
    assert job.status == "released", job.reasons
    expect(page.get_by_role("link", name=job.watermark_id)).to_be_visible()
    expect(page.get_by_text("The depicted")).to_be_visible()

    video = page.locator(".result video")
    expect(video).to_have_js_property("videoWidth", job.render_facts["width"])
    assert video.evaluate("video => video.duration") == pytest.approx(job.render_facts["seconds"], abs=0.1)
    assert _seconds_played(page) > 0.1

    with page.expect_download() as started:
        page.get_by_role("link", name="Download").click()
    clip = driving.parent / "downloaded.mp4"
    started.value.save_as(clip)
    page.goto(f"{site}/verify/")
    page.locator("input[type=file]").set_input_files(clip)
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_role("heading", name="This file came from here and is unchanged.")).to_be_visible(timeout=60_000)

    withdraw_consent(consent_id=depicted.pk, actor="person")
    refused = page.request.get(f"{site}/studios/{studio.slug}/jobs/{job.pk}/play")
    assert refused.status == 403
    assert not complaints


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_pages_fit_the_screen_and_show_where_the_keyboard_is(
    page: Page, site: str, studio: Studio, member: User, password: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    _sign_in(page, site, member, password)
    for path in ("/", "/verify/", f"/studios/{studio.slug}/", f"/studios/{studio.slug}/new/", f"/studios/{studio.slug}/people/"):
        page.goto(site + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", path
