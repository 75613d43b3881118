"""Submitting jobs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.conf import settings

from generation import services
from generation.errors import IdempotencyConflict, InvalidRequest, TooManyJobs
from generation.job_request import JobRequest
from generation.models import Asset, Job
from generation.states import Status
from media.errors import BadInput
from users.models import Studio

pytestmark = pytest.mark.django_db
REQUEST = JobRequest(purpose="internal_test", engine="mesh")


def asset(studio: Studio, kind: str, content: bytes = b"x") -> Asset:
    return services.create_asset(studio=studio, kind=kind, file_name="x", chunks=[content], actor="system:test")


def submit(studio: Studio, key: str | None = None, request: JobRequest = REQUEST) -> Job:
    portrait, driving = asset(studio, Asset.Kind.STILL), asset(studio, Asset.Kind.VIDEO)
    return services.submit(
        studio=studio, portrait=portrait, driving=driving, request=request, actor="system:test", idempotency_key=key
    )


def test_the_same_key_and_request_answer_the_first_job_again(studio: Studio) -> None:
    assert submit(studio, "k").pk == submit(studio, "k").pk
    assert Job.objects.count() == 1


def test_the_same_key_with_another_request_is_a_conflict(studio: Studio) -> None:
    submit(studio, "k")
    with pytest.raises(IdempotencyConflict, match="new key"):
        submit(studio, "k", replace(REQUEST, purpose="film"))


def test_one_key_in_two_studios_makes_two_jobs(studio: Studio, other_studio: Studio) -> None:
    assert submit(studio, "k").pk != submit(other_studio, "k").pk


def test_a_studio_cannot_use_the_files_of_another(studio: Studio, other_studio: Studio) -> None:
    foreign = asset(other_studio, Asset.Kind.STILL)
    with pytest.raises(InvalidRequest, match="in this studio"):
        services.submit(
            studio=studio, portrait=foreign, driving=asset(studio, Asset.Kind.VIDEO), request=REQUEST, actor="system:test"
        )


def test_a_still_is_no_performance(studio: Studio) -> None:
    still = asset(studio, Asset.Kind.STILL)
    with pytest.raises(InvalidRequest, match="still"):
        services.submit(studio=studio, portrait=still, driving=still, request=REQUEST, actor="system:test")


def test_a_studio_cannot_have_more_unfinished_jobs_than_the_limit(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "REQUEST_LIMITS", replace(settings.REQUEST_LIMITS, jobs_active_per_studio=2))
    first = submit(studio)
    submit(studio, "second")
    with pytest.raises(TooManyJobs, match="2 unfinished"):
        submit(studio)
    assert submit(studio, "second").pk  # a repeated request is no new job
    Job.objects.filter(pk=first.pk).update(status=Status.CANCELLED)
    submit(studio)


@pytest.mark.parametrize("content", [b"", b"x" * 2000])
def test_an_empty_or_oversized_upload_leaves_nothing(studio: Studio, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(settings, "MEDIA_LIMITS", replace(settings.MEDIA_LIMITS, still_bytes=1000))
    with pytest.raises(BadInput):
        asset(studio, Asset.Kind.STILL, content)
    assert not Asset.objects.exists()
    assert not list((settings.STORE_DIR / "uploads" / str(studio.pk)).glob("*"))
