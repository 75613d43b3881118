"""What the services let one studio see and use of another's: nothing."""

from __future__ import annotations

import uuid

import pytest
from builders import People, submit, upload

from generation import selectors, services
from generation.errors import InvalidRequest
from generation.job_request import JobRequest
from generation.models import Asset, Job
from users.models import Studio

pytestmark = pytest.mark.usefixtures("in_process")
REQUEST = JobRequest(purpose="internal_test", engine="mesh")


def test_another_studios_asset_cannot_be_used_and_reads_like_one_that_does_not_exist(
    studio: Studio, other_studio: Studio, people: People
) -> None:
    theirs = upload(other_studio, Asset.Kind.STILL, people.portrait)
    ours = upload(studio, Asset.Kind.VIDEO, people.driving)
    with pytest.raises(InvalidRequest, match="No such asset in this studio"):
        services.submit(studio=studio, portrait=theirs, driving=ours, request=REQUEST, actor="system:test")
    assert selectors.asset_of(studio, theirs.pk) is selectors.asset_of(studio, uuid.uuid4()) is None
    assert list(selectors.assets_of(studio)) == [ours]
    assert not Job.objects.exists()


def test_another_studios_job_is_neither_listed_nor_found_nor_counted(
    studio: Studio, other_studio: Studio, people: People
) -> None:
    theirs = submit(other_studio, portrait=people.portrait, driving=people.driving)
    assert list(selectors.jobs_of(studio)) == []
    assert selectors.job_of(studio, theirs.pk) is None
    assert selectors.usage_of(studio)["jobs"] == {}
    assert selectors.job_of(other_studio, theirs.pk) == theirs


def test_two_studios_may_use_one_idempotency_key(studio: Studio, other_studio: Studio, people: People) -> None:
    files = {"portrait": people.portrait, "driving": people.driving, "idempotency_key": "monday"}
    first, second = submit(studio, **files), submit(other_studio, **files)
    assert first.pk != second.pk
    assert submit(studio, **files) == first
