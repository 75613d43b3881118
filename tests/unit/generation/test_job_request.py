"""What may be asked of a job."""

from __future__ import annotations

import dataclasses

import pytest

from generation.engines.base import Framing, MotionMode, Options, OutputShape, Regions
from generation.errors import InvalidRequest
from generation.job_request import CONSENTS_MAX, JobRequest, check_request, request_digest
from generation.options import OPTION_RULES, Codec, JobOptions, option_values, parse_options

ENGINES = ["mesh"]


def test_every_engine_option_has_a_rule() -> None:
    parts = (Options, OutputShape)
    named = {field.name for part in parts for field in dataclasses.fields(part)} | {"codec"}
    assert set(OPTION_RULES) == named


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
        (JobRequest(purpose="film", engine="mesh", options={"short_side": "1e3"}), "short_side"),
        (JobRequest(purpose="film", engine="mesh", options={"regions": "nose"}), "face, lips"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(request_: JobRequest, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        check_request(request_, ENGINES)


def test_options_come_as_text_and_become_numbers() -> None:
    given = {"gaze": "0.5", "reference": "3", "regions": "lips", "framing": "crop", "short_side": "720", "codec": "hevc"}
    assert parse_options(given) == JobOptions(
        Options(gaze=0.5, reference=3, regions=Regions.LIPS), OutputShape(Framing.CROP, 720), Codec.HEVC
    )


@pytest.mark.parametrize(
    "value",
    [None, True, [1], {"a": 1}, "nan", float("nan"), float("inf"), 10**400, 10**5000, "9" * 6000, "0x1", "", -1],
    ids=lambda value: f"a {type(value).__name__}",
)
@pytest.mark.parametrize("name", ["seed", "strength", "regions"])
def test_a_hostile_value_of_an_option_is_refused_in_a_short_sentence(name: str, value: object) -> None:
    with pytest.raises(InvalidRequest, match=f"Option {name} must") as refused:
        parse_options({name: value})
    assert len(refused.value.message) < 120


def test_options_survive_being_written_down() -> None:
    options = JobOptions(Options(strength=0.5, motion=MotionMode.ABSOLUTE), OutputShape(Framing.CROP), Codec.HEVC)
    assert option_values(JobOptions()) == {}
    assert parse_options(option_values(options)) == options


def test_a_request_names_no_more_consents_than_faces_can_be_in_it() -> None:
    named = {f"portrait:{number}": str(number) for number in range(CONSENTS_MAX + 1)}
    with pytest.raises(InvalidRequest, match=f"{CONSENTS_MAX} consents"):
        check_request(JobRequest(purpose="film", engine="mesh", named_consents=named), ENGINES)


def test_the_digest_tells_requests_apart() -> None:
    request = JobRequest(purpose="film", engine="mesh")
    other = JobRequest(purpose="news", engine="mesh")
    digests = {request_digest(request, "a", "b"), request_digest(other, "a", "b"), request_digest(request, "a", "c")}
    assert len(digests) == 3
    assert request_digest(request, "a", "b") in digests
