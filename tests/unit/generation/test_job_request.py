"""What may be asked of a job."""

from __future__ import annotations

import dataclasses

import pytest

from generation.engines.base import Options
from generation.errors import InvalidRequest
from generation.job_request import OPTION_RANGES, JobRequest, check_request, parse_options, request_digest

ENGINES = ["mesh"]


def test_every_engine_option_has_a_range() -> None:
    assert set(OPTION_RANGES) == {field.name for field in dataclasses.fields(Options)}


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (JobRequest(purpose="fun", engine="mesh"), "purpose"),
        (JobRequest(purpose="film", engine="other"), "engine"),
        (JobRequest(purpose="film", engine="mesh", territories=("Germany",)), "territory"),
        (JobRequest(purpose="film", engine="mesh", options={"beauty": 1}), "option"),
        (JobRequest(purpose="film", engine="mesh", options={"gaze": 7}), "gaze"),
        (JobRequest(purpose="film", engine="mesh", options={"gaze": "much"}), "gaze"),
        (JobRequest(purpose="film", engine="mesh", options={"gaze": "nan"}), "gaze"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(request_: JobRequest, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        check_request(request_, ENGINES)


def test_options_come_as_text_and_become_numbers() -> None:
    assert parse_options({"gaze": "0.5", "reference_frame": "3"}) == Options(gaze=0.5, reference_frame=3)


def test_the_digest_tells_requests_apart() -> None:
    request = JobRequest(purpose="film", engine="mesh")
    other = JobRequest(purpose="news", engine="mesh")
    digests = {request_digest(request, "a", "b"), request_digest(other, "a", "b"), request_digest(request, "a", "c")}
    assert len(digests) == 3
    assert request_digest(request, "a", "b") in digests
