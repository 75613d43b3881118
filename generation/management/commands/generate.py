"""`generate`: submit a portrait and a driving video, wait for the workers, and copy the released file."""

from __future__ import annotations

import mimetypes
import shutil
import time
import uuid
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from generation import pipeline, services
from generation.answers import job_answer
from generation.errors import IllegalMove, InvalidRequest
from generation.job_request import JobRequest, option_values, parse_options
from generation.models import Asset, Job
from generation.selectors import released_file
from generation.states import FINAL, PARKED, Status
from generation.workers import workers_running
from media.errors import BadInput, CountersignError
from users.commands import Exit, JsonCommand
from users.models import Studio
from users.selectors import studio_by_slug

ACTOR = "system:command_line"
POLL_SECONDS = 0.25
SWEEP_EVERY_SECONDS = 5.0
EXIT_BY_STATUS = {
    Status.RELEASED: Exit.DONE,
    Status.IN_REVIEW: Exit.PARKED,
    Status.HELD: Exit.PARKED,
    Status.FAILED: Exit.FAILED,
}


class Command(JsonCommand):
    """Submit one job and wait for its end."""

    help = "Animate a portrait from a driving video. The job takes the one way through: consent, render, mark, sign, verify."
    exit_codes: ClassVar[dict[type[CountersignError], Exit]] = {InvalidRequest: Exit.BAD_USAGE, IllegalMove: Exit.REFUSED}

    def add_arguments(self, parser: CommandParser) -> None:
        """Arguments as scripts rely on them."""
        super().add_arguments(parser)
        parser.add_argument("--studio", required=True, metavar="SLUG")
        parser.add_argument("--portrait", required=True, type=Path, metavar="FILE")
        parser.add_argument("--driving", required=True, type=Path, metavar="FILE")
        parser.add_argument("--purpose", required=True, metavar="P")
        parser.add_argument("--consent", action="append", default=[], metavar="FACE=ID")
        parser.add_argument("--territory", action="append", default=[], metavar="CC")
        parser.add_argument("--declare", choices=["fictional"])
        parser.add_argument("--engine", default="mesh")
        parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE")
        parser.add_argument("--idempotency-key", metavar="KEY")
        parser.add_argument("--out", type=Path, metavar="FILE")

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Submit, wait, copy."""
        studio = studio_by_slug(options["studio"])
        if studio is None:
            raise InvalidRequest(f"There is no studio {options['studio']!r}; enroll a person there first.")
        request = JobRequest(
            purpose=options["purpose"],
            engine=options["engine"],
            territories=tuple(code.upper() for code in options["territory"]),
            declared_fictional=options["declare"] == "fictional",
            options=option_values(parse_options(_pairs(options["option"], "--option"))),
            named_consents={face: _consent_id(value) for face, value in _pairs(options["consent"], "--consent").items()},
        )
        job = services.submit(
            studio=studio,
            portrait=upload(studio, Asset.Kind.STILL, options["portrait"]),
            driving=upload(studio, Asset.Kind.VIDEO, options["driving"]),
            request=request,
            idempotency_key=options["idempotency_key"],
            actor=ACTOR,
        )
        job = wait_for(job)
        answer = job_answer(job)
        if job.status == Status.RELEASED and options["out"]:
            answer["output"] = str(hand_over(job, options["out"]))
        return answer, _exit_code(job)


def wait_for(job: Job) -> Job:
    """Wait until a job has ended or is parked, with the running workers or with workers of our own."""
    with workers_running():
        swept_at = time.monotonic()
        while job.status not in FINAL | PARKED:
            time.sleep(POLL_SECONDS)
            job.refresh_from_db()
            if time.monotonic() - swept_at > SWEEP_EVERY_SECONDS:
                pipeline.sweep()
                swept_at = time.monotonic()
    return job


def _pairs(values: list[str], option: str) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    for name, sign, _ in pairs:
        if not sign or not name:
            raise InvalidRequest(f"{option} takes NAME=VALUE; write for example {option} portrait:1=...")
    return {name: value for name, _, value in pairs}


def _consent_id(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise InvalidRequest(f"{value!r} is no consent id; `enroll` and the studio's list of people show them.") from None


def upload(studio: Studio, kind: str, path: Path) -> Asset:
    """Keep a local file as an asset of a studio."""
    if not path.is_file():
        raise BadInput(f"There is no file {path}; check the path.")
    guessed = mimetypes.guess_type(path.name)[0] or ""
    if kind == Asset.Kind.STILL and guessed.startswith("video/"):
        raise BadInput("The portrait must be a still picture; give the video as --driving.")
    return services.create_asset(studio=studio, kind=kind, file_name=path.name, chunks=services.read_chunks(path), actor=ACTOR)


def hand_over(job: Job, destination: Path) -> Path:
    """Copy the released file, asking consent once more as every download does."""
    released = released_file(job)
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(released, destination)
    return destination


def _exit_code(job: Job) -> Exit:
    if job.status == Status.FAILED and any(reason["code"] == "bad_input" for reason in job.reasons):
        return Exit.BAD_USAGE
    return EXIT_BY_STATUS.get(Status(job.status), Exit.REFUSED)
