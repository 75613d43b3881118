"""Preview first: a job waits, its settings are tried on stills by keyboard and slider, and the clip is made with those found."""

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
from consent.policy import WORLD, Role
from consent.services import Scope
from generation.demo.material import talking_head_frames, write_talking_head
from generation.models import Job, Preview
from media.video import read_still
from users.models import Studio, User

FRAMES = 45
CLEARED_MS, STILL_MS = 180_000, 60_000  # two loaded cores

STICKING_OUT = """() => [...document.querySelectorAll('#trial *')].filter(
    element => element.getBoundingClientRect().right > element.parentElement.getBoundingClientRect().right + 0.6
).map(element => element.outerHTML.slice(0, 80))"""


def _enrol(studio: Studio, role: Role, photo: Path) -> None:
    now = timezone.now()
    scope = Scope(role, frozenset({"internal_test"}), frozenset({WORLD}), now, now + timedelta(days=1))
    enroll_person(studio=studio, name=f"The {role}", photos=[Photo(rgb=read_still(photo))], scope=scope, actor="system")


@pytest.fixture
def portrait(studio: Studio, tmp_path: Path) -> Path:
    path = tmp_path / "portrait.png"
    Image.fromarray(skimage.data.astronaut()).save(path)
    _enrol(studio, Role.DEPICTED, path)
    return path


@pytest.fixture
def driving(studio: Studio, tmp_path: Path) -> Path:
    photo = tmp_path / "performer.png"
    next(islice(talking_head_frames(), FRAMES // 2, None)).save(photo)
    _enrol(studio, Role.PERFORMER, photo)
    return write_talking_head(tmp_path / "driving.mp4", frames=FRAMES)


def _ink(page: Page) -> str:
    """What the canvas of the still shows."""
    return str(page.locator("[data-still]").evaluate("canvas => canvas.toDataURL()"))


def _await_still(page: Page, count: int) -> None:
    """Until as many previews were made and the last one has been drawn."""
    expect(page.get_by_text(f"{200 - count} previews left today")).to_be_visible(timeout=STILL_MS)
    expect(page.get_by_role("img", name="Preview at")).to_be_visible()


@pytest.mark.usefixtures("workers")
def test_settings_are_tried_on_stills_before_anything_is_rendered(
    page: Page, site: str, studio: Studio, member: User, password: str, portrait: Path, driving: Path
) -> None:
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None)
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{site}/sign-in/?next=/studios/{studio.slug}/new/")
    page.get_by_label("E-mail").fill(member.email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    page.locator("input[name=portrait]").set_input_files(portrait)
    page.locator("input[name=driving]").set_input_files(driving)
    page.get_by_label("Preview first").check()
    page.get_by_role("button", name="Submit").click()

    # the panel appears by itself once every face is cleared, with a first still
    expect(page.get_by_text("Ready to preview")).to_be_visible(timeout=CLEARED_MS)
    _await_still(page, 1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(STICKING_OUT) == []
    first = _ink(page)

    lips = page.get_by_label("Lips", exact=True)
    lips.focus()
    for _ in range(12):  # a burst of changes is one preview
        page.keyboard.press("ArrowRight")
    _await_still(page, 2)
    opened = _ink(page)
    assert opened != first
    expect(page.locator("output[for=id_lip_opening]")).to_have_text("0.60")

    page.get_by_label("Moment").focus()
    page.keyboard.press("ArrowLeft")
    _await_still(page, 3)
    assert _ink(page) != opened

    job = Job.objects.get()
    assert (job.status, job.frames_done) == ("cleared", 0)
    page.get_by_role("button", name="Start with these settings").click()
    expect(page.get_by_text("Ready to preview")).to_be_hidden()
    job.refresh_from_db()
    assert job.options == {"lip_opening": 0.6}
    assert not job.waits_for_start
    assert [row.options for row in Preview.objects.order_by("created_at")] == [{}, {"lip_opening": 0.6}, {"lip_opening": 0.6}]
    assert not complaints
