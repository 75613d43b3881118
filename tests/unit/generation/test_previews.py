"""Previews: of cleared jobs only, few moments, counted, and marked so that nothing made of them passes for a clip (A4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from django.utils import timezone
from numpy.typing import NDArray
from PIL import Image
from preview_material import CountingRenderer, as_frames, cleared, pixels, submitted_job, upload
from pytest_django.fixtures import Settings
from quick_engine import NAME, quick_entry
from stage_material import HER, HIM, PlaneEngine, Sight, agree, write_driver, write_portrait
from torch import Tensor

from audit.models import Event
from consent import gate
from consent.gate import ConsentRefused
from consent.models import Consent
from consent.policy import Role
from consent.services import withdraw_consent
from generation import dispatch, storage
from generation.engines import ENGINES
from generation.errors import ArtefactChanged, InvalidRequest
from generation.job_request import JobRequest
from generation.models import Asset, Job, Preview
from generation.previews import marking, placing, services
from generation.previews.errors import NotPreviewable, PreviewPairsUsed, PreviewQuotaUsed
from generation.previews.moments import moments
from generation.previews.services import moments_of, preview
from generation.revocation import revoke
from generation.services import approve, submit
from generation.stages import clear
from generation.states import Status
from generation.verification import verify_file
from media.frames import FrameBatch
from media.video import VideoWriter, read_frames, read_planes
from provenance.keys import detector
from provenance.models import Record, WatermarkKey
from users.models import Studio

pytestmark = pytest.mark.django_db
STILLS = 250
RATE = Fraction(25)
CELL_PX = 64  # the smallest face that is animated
CONTRAST = 30  # levels of 255: five times the watermark's own


Assemble = Callable[[int], tuple[Path, Tensor]]


@pytest.fixture(autouse=True)
def renderer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> CountingRenderer:
    settings.JOB_LEASE_SECONDS = 600
    sight, renderer = Sight(), CountingRenderer()
    monkeypatch.setattr(dispatch, "send", lambda job_id, stage: None)
    monkeypatch.setattr(gate, "face_engine", PlaneEngine)
    monkeypatch.setattr(clear, "survey_still", sight.survey_still)
    monkeypatch.setattr(clear, "survey_driver", sight.survey_driver)
    monkeypatch.setattr(services, "RENDERER", renderer)
    monkeypatch.setitem(ENGINES, NAME, quick_entry())
    return renderer


@pytest.fixture
def job(studio: Studio, tmp_path: Path) -> Job:
    """Cleared; six seconds long."""
    return cleared(submitted_job(studio, tmp_path, frames=150))


def look(job: Job, moment: int = 0, actor: str = "user:test", **options: Any) -> bytes:
    return preview(job=job, options=options, moment=moment, actor=actor).png


# the moments


def test_at_most_twelve_moments_are_shown_and_none_follow_each_other() -> None:
    shown = moments(12.0, b"k" * 32)
    assert len(shown) == 12
    assert min(np.diff(shown)) >= 0.25
    assert 0 < shown[0] < shown[-1] < 12
    assert shown != moments(12.0, b"x" * 32)  # nobody computes them without the key


def test_cutting_frames_off_the_end_shows_no_other_moments() -> None:
    grid = set(moments(6.0, b"k" * 32))
    assert all(set(moments(frames / 25, b"k" * 32)) <= grid for frames in range(13, 150))
    everything = sorted({at for frames in range(25, 2500) for at in moments(frames / 25, b"k" * 32)})
    assert min(np.diff(everything)) >= 0.25


@pytest.mark.parametrize(("duration_s", "count"), [(0.04, 1), (0.5, 1), (1.1, 2), (3.0, 6), (300.0, 12)])
def test_a_short_clip_has_fewer_moments(duration_s: float, count: int) -> None:
    shown = moments(duration_s, b"k" * 32)
    assert len(shown) == count
    assert all(0 <= at <= duration_s for at in shown)


def test_another_job_of_the_same_performance_shows_the_same_moments(studio: Studio, job: Job, tmp_path: Path) -> None:
    assert moments_of(cleared(submitted_job(studio, tmp_path, frames=150))) == moments_of(job)


@pytest.mark.parametrize("moment", [-1, 12, 10**9])
def test_no_other_moment_can_be_asked_for(job: Job, moment: int) -> None:
    with pytest.raises(InvalidRequest, match="from 0 to 11"):
        look(job, moment)
    assert not Preview.objects.exists()


# the gate


@pytest.mark.parametrize("status", sorted(set(Status) - services.PREVIEWABLE))
def test_a_job_that_is_not_cleared_has_no_previews(job: Job, status: Status, renderer: CountingRenderer) -> None:
    job.status = status
    with pytest.raises(NotPreviewable):
        look(job)
    assert not renderer.bare


def test_there_are_no_previews_before_the_faces_were_looked_at(
    studio: Studio, tmp_path: Path, renderer: CountingRenderer
) -> None:
    job = submitted_job(studio, tmp_path)
    assert moments_of(job) == ()
    with pytest.raises(NotPreviewable, match="wait until"):
        look(job)
    assert not renderer.bare


def test_a_job_in_review_has_no_previews(studio: Studio, tmp_path: Path, renderer: CountingRenderer) -> None:
    job = cleared(submitted_job(studio, tmp_path, fictional=True))
    assert job.status == Status.IN_REVIEW
    with pytest.raises(NotPreviewable):
        look(job)
    assert not renderer.bare


def test_a_job_that_a_moderator_approved_has_previews(studio: Studio, tmp_path: Path) -> None:
    job = cleared(submitted_job(studio, tmp_path, fictional=True))
    approve(job=job, reviewer=None)
    job.refresh_from_db()
    assert look(job)[:4] == b"\x89PNG"


def test_previews_stop_with_the_consent_even_before_the_job_is_told(job: Job, renderer: CountingRenderer) -> None:
    withdraw_consent(consent_id=Consent.objects.all()[0].pk, actor="person", reason="changed my mind")
    with pytest.raises(ConsentRefused):
        look(job)
    assert not renderer.bare
    assert not Preview.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_withdrawn_clip_keeps_no_motion(job: Job) -> None:
    motion = storage.resolve(job.render_facts["motion_path"])
    assert motion.is_file()
    revoke(consent_id=Consent.objects.all()[0].pk, reason="", actor="person")
    assert not motion.exists()


@pytest.mark.parametrize("changed", ["portrait", "driving", "motion"])
def test_files_that_are_not_those_decided_on_are_not_shown(job: Job, changed: str, renderer: CountingRenderer) -> None:
    stored = job.render_facts["motion_path"] if changed == "motion" else getattr(job, changed).normalised_path
    with storage.resolve(stored).open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtefactChanged):
        look(job)
    assert not renderer.bare


def test_unknown_options_are_refused_before_anything_is_counted(job: Job) -> None:
    with pytest.raises(InvalidRequest, match="strength"):
        look(job, strength=9)
    assert not Preview.objects.exists()


# counting


def test_every_preview_is_a_row_and_an_event(job: Job) -> None:
    look(job, 3, actor="user:ada", strength=0.5, gaze=1.0)
    row = Preview.objects.get()
    assert (row.job, row.studio, row.actor) == (job, job.studio, "user:ada")
    assert (row.options, row.at_s) == ({"strength": 0.5}, moments_of(job)[3])
    event = Event.objects.get(action="job.previewed")
    assert (event.actor, event.subject_id, event.studio_id) == ("user:ada", str(job.pk), job.studio_id)
    assert event.detail["watermark_id"] == row.watermark_id == Record.objects.get(kind="preview").watermark_id


def test_a_studio_has_so_many_previews_a_day(job: Job, settings: Settings) -> None:
    settings.REQUEST_LIMITS = replace(settings.REQUEST_LIMITS, previews_per_day=2)
    look(job)
    look(job)
    assert services.previews_left(job.studio) == 0
    with pytest.raises(PreviewQuotaUsed, match="its 2 previews of today") as refused:
        look(job)
    assert 0 < refused.value.retry_after_s <= 24 * 3600
    Preview.objects.update(created_at=timezone.now() - timedelta(days=1))
    look(job)


def test_nothing_of_a_preview_is_kept_on_disk(job: Job) -> None:
    root = storage.store_root()
    before = {path for path in root.rglob("*") if path.is_file()}
    look(job)
    assert {path for path in root.rglob("*") if path.is_file()} == before


def test_the_source_is_prepared_once_for_many_previews(job: Job, renderer: CountingRenderer) -> None:
    for strength in (0.2, 0.4, 0.6):
        look(job, strength=strength)
    assert renderer.scenes == 1
    look(job, framing="crop")
    assert renderer.scenes == 2


# the marks


@pytest.mark.parametrize(
    ("size", "expected"), [((64, 64), (96, 96)), ((3000, 2000), (256, 170)), ((200, 2001), (96, 256)), ((255, 255), (256, 256))]
)
def test_a_preview_is_small_whatever_the_engine_gives(size: tuple[int, int], expected: tuple[int, int]) -> None:
    small = marking.reduced(torch.full((*size, 3), 200, dtype=torch.uint8))
    assert tuple(small.shape) == (*expected, 3)
    assert int(small[small.shape[0] // 2, small.shape[1] // 2, 0]) == 200


def cells_marked(shown: NDArray[np.uint8], bare: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Of each face-sized cell of a frame, the share of pixels that the mark changed visibly."""
    visible = np.abs(shown.astype(float).mean(-1) - bare.astype(float).mean(-1)) > CONTRAST
    rows, columns = (side // CELL_PX * CELL_PX for side in visible.shape)
    grid = visible[:rows, :columns].reshape(rows // CELL_PX, CELL_PX, columns // CELL_PX, CELL_PX)
    return grid.mean(axis=(1, 3))


def face_of(size: int, height: float, seed: int = 0) -> Tensor:
    """Landmarks of a face somewhere in the middle of a picture: where the mark is laid, and noise elsewhere."""
    points = torch.full((478, 3), size / 2.0)
    unit = height / placing.FACE_HEIGHT
    for landmark, (across, down) in placing.PLACES.items():
        points[landmark, 0], points[landmark, 1] = size / 2 + 3 * seed + across * unit, size / 2.2 + down * unit
    return points


@pytest.mark.parametrize("level", [0, 90, 128, 200, 255])
def test_the_mark_is_seen_on_any_ground_and_in_every_part(level: int) -> None:
    ground = torch.full((256, 256, 3), level, dtype=torch.uint8)
    for number in range(12):
        mark = marking.visible_mark(256, 256, [face_of(256, 20 + 28 * number, number)] if number else ())
        shown = marking.burnt_in(ground, mark)
        assert cells_marked(shown.numpy(), ground.numpy()).min() > 0.08


def test_the_mark_lies_in_one_place_for_all_previews_of_the_same_portrait(studio: Studio, job: Job, tmp_path: Path) -> None:
    again = cleared(submitted_job(studio, tmp_path, frames=150))
    first, second = (pixels(look(one), tmp_path / "a.png").astype(int) for one in (job, again))
    # the watermarks differ, the text does not: were it moved, both together would show what is beneath
    assert np.abs(first - second).mean() < 20
    assert (np.abs(first - second) > 60).mean() < 0.01


@pytest.fixture
def assembled(job: Job, settings: Settings, tmp_path: Path, renderer: CountingRenderer) -> Assemble:
    """A function that collects previews of many settings and makes a clip of them, as somebody would who wants one."""
    settings.REQUEST_LIMITS = replace(settings.REQUEST_LIMITS, previews_per_day=STILLS)

    def assemble(count: int) -> tuple[Path, Tensor]:
        asked = ((number % 12, round(number / count, 3)) for number in range(count))
        stills = [pixels(look(job, moment, strength=strength), tmp_path / "still.png") for moment, strength in asked]
        clip = tmp_path / "assembled.mp4"
        height, width = stills[0].shape[:2]
        times = torch.arange(count, dtype=torch.float64) / float(RATE)
        with VideoWriter(clip, width=width, height=height, frame_rate=RATE, crf=23) as writer:
            writer.write(FrameBatch(as_frames(stills), times))
        return clip, torch.stack(renderer.bare)

    return assemble


def least_marked(clip: Path, bare: Tensor) -> float:
    shown = np.concatenate([batch.rgb.numpy() for batch in read_frames(clip)])
    assert len(shown) == len(bare)
    return min(float(cells_marked(frame, still).min()) for frame, still in zip(shown, bare.numpy(), strict=True))


def test_a_clip_assembled_of_250_previews_is_marked_in_every_frame_and_found(assembled: Assemble, job: Job) -> None:
    clip, bare = assembled(STILLS)
    assert len(bare) == STILLS
    assert least_marked(clip, bare) > 0.05
    record = Record.objects.get(kind="preview")
    detection = detector().detect(read_planes(clip))
    assert detection.found
    assert (f"{detection.payload:016x}", detection.strength) == (record.watermark_id, "strong")
    assert detection.segments == ((0.0, pytest.approx(STILLS / RATE, abs=0.2)),)

    answer = verify_file(clip)
    assert (answer["verdict"], answer["reasons"]) == ("altered", ["consent_ended", "preview_only"])
    assert answer["record"]["watermark_id"] == record.watermark_id
    assert answer["record"]["availability"] == "never_released"
    assert answer["record"]["consent"]["state"] == "ended"  # nobody consented to showing previews


def test_without_its_visible_mark_an_assembled_clip_would_be_told_apart(
    assembled: Assemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marking, "burnt_in", lambda frame, mark: frame)
    assert least_marked(*assembled(25)) < 0.01


def test_without_its_watermark_an_assembled_clip_would_not_be_found(assembled: Assemble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marking, "watermarked", lambda frame, embedder: frame)
    clip, _ = assembled(25)
    assert not detector().detect(read_planes(clip)).found


def test_a_single_saved_preview_is_found_too(job: Job, tmp_path: Path) -> None:
    for moment in range(12):
        still = pixels(look(job, moment), tmp_path / "still.png")
        detection = detector().detect([FrameBatch(as_frames([still]), torch.zeros(1, dtype=torch.float64))])
        assert detection.found
        assert f"{detection.payload:016x}" == Record.objects.get(kind="preview").watermark_id


def test_previews_are_marked_by_another_key_than_clips(job: Job) -> None:
    look(job)
    assert {key.kind for key in WatermarkKey.objects.filter(studio_id=job.studio_id)} == {"preview"}
    assert all("/preview/" in key.name for key in WatermarkKey.objects.all())
    assert not Record.objects.filter(job_id=job.pk).exists()


def test_previews_of_nearly_equal_portraits_keep_both_marks_when_averaged(
    studio: Studio, tmp_path: Path, renderer: CountingRenderer
) -> None:
    driving = upload(studio, Asset.Kind.VIDEO, write_driver(tmp_path / "driving.mp4", frames=50))
    consents = {"driver:1": agree(studio, HIM, Role.PERFORMER), "portrait:1": agree(studio, HER, Role.DEPICTED)}
    request = JobRequest("internal_test", NAME, named_consents={face: str(consent.pk) for face, consent in consents.items()})
    portrait = np.array(Image.open(write_portrait(tmp_path / "portrait.png")))
    stills = []
    for number in range(7):
        portrait[number, 0, 0] ^= 1  # by one level
        Image.fromarray(portrait).save(tmp_path / "nearly.png")
        still = upload(studio, Asset.Kind.STILL, tmp_path / "nearly.png")
        made = cleared(submit(studio=studio, portrait=still, driving=driving, request=request, actor="system:test"))
        stills.append(pixels(look(made), tmp_path / "still.png"))
    median = np.median(np.stack(stills), axis=0).astype(np.uint8)
    assert cells_marked(median, renderer.bare[0].numpy()).min() > 0.08
    detection = detector().detect([FrameBatch(as_frames([median]), torch.zeros(1, dtype=torch.float64))])
    assert f"{detection.payload or 0:016x}" == Record.objects.get(kind="preview").watermark_id


def test_a_consent_that_ends_while_the_frame_is_made_keeps_it_from_being_shown(
    job: Job, renderer: CountingRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = renderer.frame

    def slow(*given: Any) -> Tensor:
        withdraw_consent(consent_id=Consent.objects.all()[0].pk, actor="person", reason="changed my mind")
        return usual(*given)

    monkeypatch.setattr(renderer, "frame", slow)
    with pytest.raises(ConsentRefused):
        look(job)
    assert renderer.bare  # it was made, and not shown


def test_a_studio_previews_so_many_pairs_a_day(studio: Studio, job: Job, settings: Settings, tmp_path: Path) -> None:
    settings.REQUEST_LIMITS = replace(settings.REQUEST_LIMITS, preview_pairs_per_day=1)
    look(job)
    look(job)
    other = cleared(submitted_job(studio, tmp_path, frames=48))
    with pytest.raises(PreviewPairsUsed, match="1 pairs of portrait and performance"):
        look(other)
