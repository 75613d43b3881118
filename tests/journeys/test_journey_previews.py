"""Preview first, with the real engine in its real process: try settings, start, try others, make another, lose the consent."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from builders import People, enrol_both, run_stages, submit
from numpy.typing import NDArray
from PIL import Image
from pytest_django.fixtures import Settings

from consent.gate import ConsentRefused
from consent.services import withdraw_consent
from generation.job_request import JobRequest
from generation.models import Job, Preview
from generation.previews import services
from generation.previews.errors import NotPreviewable
from generation.previews.process import RendererPool
from generation.previews.services import moments_of, preview
from generation.revocation import cascade
from generation.starting import make_again, start_job
from generation.states import Stage, Status
from media.frames import FrameBatch
from provenance.keys import detector
from provenance.models import Record
from users.models import Studio

pytestmark = pytest.mark.django_db
WIDE = {"lip_opening": 1.0, "head_motion": 0.0}


@pytest.fixture(autouse=True)
def _own_process(in_process: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    renderer = RendererPool(wait_s=5.0, deadline_s=120.0)
    monkeypatch.setattr(services, "RENDERER", renderer)
    yield
    renderer.stop()


def look(job: Job, **options: object) -> NDArray[np.uint8]:
    last = len(moments_of(job)) - 1
    return np.array(Image.open(io.BytesIO(preview(job=job, options=options, moment=last, actor="user:ada").png)))


def test_from_the_first_still_to_a_second_clip(studio: Studio, people: People) -> None:
    consents = enrol_both(studio, people)
    request = JobRequest(purpose="internal_test", engine="mesh", wait_for_start=True)
    job = submit(studio, portrait=people.portrait, driving=people.longer_driving, consents=consents, request=request)
    run_stages(job, before=Stage.RENDER)
    assert (job.status, job.waits_for_start) == (Status.CLEARED, True)

    usual, wide = look(job), look(job, **WIDE)
    assert usual.shape == (256, 256, 3)
    assert np.array_equal(usual, look(job))  # the same settings, the same still: nothing to average
    changed = np.abs(usual.astype(int) - wide.astype(int)).mean(-1) > 12
    assert changed.sum() > 20  # the face has changed, and the mark that lies on it
    detection = detector().detect([FrameBatch(torch.from_numpy(wide)[None], torch.zeros(1, dtype=torch.float64))])
    assert f"{detection.payload or 0:016x}" == Record.objects.get(kind="preview").watermark_id

    start_job(job=job, actor="user:ada", options=WIDE)
    run_stages(job)
    assert (job.status, job.options) == (Status.RELEASED, WIDE)
    assert np.array_equal(look(job, **WIDE), wide)

    second = make_again(job=job, options={}, actor="user:ada")
    assert second == make_again(job=job, options={}, actor="user:ada")
    run_stages(second, before=Stage.RENDER)
    assert second.status == Status.CLEARED
    assert moments_of(second) == moments_of(job)

    withdraw_consent(consent_id=consents["driver:1"].pk, actor="person")
    before = Preview.objects.count()
    with pytest.raises(ConsentRefused):
        look(job)
    cascade(consent_id=consents["driver:1"].pk, actor="person")
    job.refresh_from_db()
    with pytest.raises(NotPreviewable):
        look(job)
    assert Preview.objects.count() == before
