"""`generate`: submit a portrait and its driving performances, wait for the workers, and copy the released file."""

from __future__ import annotations

import mimetypes
import os
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from consent.gate import ConsentRefused
from consent.policy import PURPOSES
from consent.territories import COUNTRIES
from generation import pipeline, services
from generation.answers import FACE_NAME, IDEMPOTENCY_KEY_CHARACTERS, job_answer
from generation.casting import Casting
from generation.errors import IllegalMove, InvalidRequest, RefusedByRule
from generation.job_request import JobRequest
from generation.management.told import JobCommand, Progress, next_step
from generation.models import Asset, Job
from generation.options import OPTION_RULES, option_values, parse_options
from generation.selectors import OutputUnavailable, is_waiting, released_file
from generation.states import FINAL, PARKED, Status
from generation.workers import workers_running
from media.errors import BadInput, CountersignError
from users.commands import Exit
from users.models import Studio
from users.selectors import studio_by_slug

ACTOR = "system:command_line"
POLL_SECONDS = 0.25
SWEEP_EVERY_SECONDS = 5.0
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"})
TENSOR_SUFFIXES = frozenset({".motion", ".safetensors", ".npz", ".npy", ".pkl", ".pickle", ".pt", ".pth"})
FACE_HELP = "the face of the portrait that the n-th --driving moves; 1 is the largest, of a video the one seen longest"
DRIVER_FACE_HELP = "the face in the n-th --driving that performs; by default its first"
DRIVING_HELP = "a video or motion template; give it once for each face that moves, the one that sets length and sound first"
CONSENT_HELP = (
    "the consent of a face, such as portrait:1=ID or driver:1=ID; faces left out are matched with the studio's consents"
)
OPTION_HELP = f"{'; '.join(f'{name}: {rule.told()}' for name, rule in OPTION_RULES.items())}"
WAIT_HELP = "stop once every face is cleared: `preview JOB` shows stills, `start JOB --out FILE` goes on and writes the clip"
EXIT_BY_STATUS = {
    Status.RELEASED: Exit.DONE,
    Status.IN_REVIEW: Exit.PARKED,
    Status.HELD: Exit.PARKED,
    Status.FAILED: Exit.FAILED,
}
# What a rule refuses ends alike in every command about jobs.
EXIT_CODES: dict[type[CountersignError], Exit] = {
    InvalidRequest: Exit.BAD_USAGE,
    IllegalMove: Exit.REFUSED,
    RefusedByRule: Exit.REFUSED,
    ConsentRefused: Exit.REFUSED,
    OutputUnavailable: Exit.REFUSED,
}


class Command(JobCommand):
    """Submit one job and wait for its end."""

    help = (
        "Animate a portrait, a still or a video, from driving videos or motion templates. "
        "The job takes the one way through: consent, render, mark, sign, verify."
    )
    exit_codes = EXIT_CODES

    def add_arguments(self, parser: CommandParser) -> None:
        """Arguments as scripts rely on them."""
        super().add_arguments(parser)
        parser.add_argument("--studio", required=True, metavar="SLUG", help="the studio whose people are shown")
        parser.add_argument("--portrait", required=True, type=Path, metavar="FILE", help="a still, or a video")
        parser.add_argument("--driving", required=True, type=Path, metavar="FILE", action="append", help=DRIVING_HELP)
        parser.add_argument("--face", type=int, metavar="N", action="append", default=[], help=FACE_HELP)
        parser.add_argument("--driver-face", type=int, metavar="N", action="append", default=[], help=DRIVER_FACE_HELP)
        parser.add_argument("--purpose", required=True, metavar="P", help=f"one of: {', '.join(sorted(PURPOSES))}")
        parser.add_argument("--consent", action="append", default=[], metavar="FACE=ID", help=CONSENT_HELP)
        parser.add_argument("--territory", action="append", default=[], metavar="CC", help="ISO 3166-1; else the whole world")
        parser.add_argument("--declare", choices=["fictional"], help="the still shows nobody real; a person looks at it first")
        parser.add_argument("--engine", default="mesh", help="which engine animates (default: mesh)")
        parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help=OPTION_HELP)
        parser.add_argument("--idempotency-key", metavar="KEY", help="the same key and request twice is one job")
        parser.add_argument("--wait-for-start", action="store_true", help=WAIT_HELP)
        parser.add_argument("--out", type=Path, metavar="FILE", help="where the released clip goes")

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Submit, wait, copy."""
        studio = studio_by_slug(options["studio"])
        if studio is None:
            raise InvalidRequest(f"There is no studio {options['studio']!r}; enroll a person there first.")
        request = _request(options)
        if len(options["idempotency_key"] or "") > IDEMPOTENCY_KEY_CHARACTERS:
            raise InvalidRequest(f"An idempotency key has at most {IDEMPOTENCY_KEY_CHARACTERS} characters; choose a shorter one.")
        if options["out"]:
            require_writable(options["out"])
        require_one_each(options)
        portrait = upload(studio, portrait_kind(options["portrait"]), options["portrait"])
        drivers = {path: upload(studio, driving_kind(path), path) for path in dict.fromkeys(options["driving"])}
        job = services.submit(
            studio=studio,
            portrait=portrait,
            driving=drivers[options["driving"][0]],
            request=request,
            cast=_cast(options, drivers),
            idempotency_key=options["idempotency_key"],
            actor=ACTOR,
        )
        return finished(job, options["out"])


def named_job(job_id: uuid.UUID | None) -> Job:
    """The job that an argument names. Raises InvalidRequest."""
    job = Job.objects.select_related("studio", "portrait", "driving").filter(pk=job_id).first() if job_id else None
    if job is None:
        raise InvalidRequest("There is no such job; `generate` prints a job's id, and `job list --studio SLUG` names them.")
    return job


def finished(job: Job, destination: Path | None) -> tuple[dict[str, Any], Exit]:
    """Wait for a job's end and copy what was released; the answer of the commands that do."""
    job = wait_for(job)
    answer = {**job_answer(job), "next": next_step(job, wants_file=destination is not None) or None}
    if job.status == Status.RELEASED and destination:
        answer["output"] = str(hand_over(job, destination))
    return answer, exit_code(job)


def wait_for(job: Job) -> Job:
    """Wait until a job has ended, is parked or waits for its start, with the running workers or with workers of our own."""
    with workers_running():
        swept_at, progress = time.monotonic(), Progress()
        while job.status not in FINAL | PARKED and not is_waiting(job):
            progress.tell(job)
            time.sleep(POLL_SECONDS)
            job.refresh_from_db()
            if time.monotonic() - swept_at > SWEEP_EVERY_SECONDS:
                pipeline.sweep()
                swept_at = time.monotonic()
    return job


def _request(options: dict[str, Any]) -> JobRequest:
    consents = pairs(options["consent"], "--consent portrait:1=ID")
    return JobRequest(
        purpose=options["purpose"],
        engine=options["engine"],
        territories=tuple(_country(code) for code in options["territory"]),
        declared_fictional=options["declare"] == "fictional",
        options=option_values(parse_options(pairs(options["option"], "--option head_motion=0.5"))),
        named_consents={_face(name): _consent_id(value) for name, value in consents.items()},
        wait_for_start=options["wait_for_start"],
    )


def pairs(values: list[str], example: str) -> dict[str, str]:
    """NAME=VALUE arguments as a mapping. Raises InvalidRequest, showing the example."""
    split = [value.partition("=") for value in values]
    for name, sign, _ in split:
        if not sign or not name:
            raise InvalidRequest(f"{example.partition(' ')[0]} takes NAME=VALUE; write for example {example}.")
    return {name: value for name, _, value in split}


def _country(text: str) -> str:
    code = text.upper()
    if code not in COUNTRIES:
        raise InvalidRequest(f"No country has the code {text!r}; give two letters of ISO 3166-1, such as DE or US.")
    return code


def _face(name: str) -> str:
    if not FACE_NAME.fullmatch(name):
        raise InvalidRequest(f"{name!r} is no name of a face; use portrait:1, driver:1 and so on.")
    return name


def _consent_id(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise InvalidRequest(f"{value!r} is no consent id; `enroll` and the studio's list of people show them.") from None


def require_one_each(options: dict[str, Any]) -> None:
    """Raise InvalidRequest for more faces than there are drivers to move them."""
    for name in ("face", "driver_face"):
        if len(options[name]) > len(options["driving"]):
            flag = f"--{name.replace('_', '-')}"
            raise InvalidRequest(f"The n-th {flag} belongs to the n-th --driving; give a --driving for each {flag}.")


def _cast(options: dict[str, Any], drivers: dict[Path, Asset]) -> list[Casting]:
    """Who moves whom, or nobody for the usual job: one driver, faces paired by size."""
    paths, faces, driver_faces = options["driving"], options["face"], options["driver_face"]
    if len(paths) == 1 and not faces and not driver_faces:
        return []
    own = [*faces, *range(len(faces) + 1, len(paths) + 1)]
    theirs = [*driver_faces, *[1] * (len(paths) - len(driver_faces))]
    return [Casting(drivers[path], face, their) for path, face, their in zip(paths, own, theirs, strict=True)]


def portrait_kind(path: Path) -> Asset.Kind:
    """What a portrait file is, by its name; what is in it is looked at by the job."""
    return Asset.Kind.VIDEO if _is_video(path) else Asset.Kind.STILL


def driving_kind(path: Path) -> Asset.Kind:
    """What a driving file is, by its name. Tensors of any sort are read as motion templates, which tells what they lack."""
    return Asset.Kind.MOTION if path.suffix.lower() in TENSOR_SUFFIXES else Asset.Kind.VIDEO


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES or (mimetypes.guess_type(path.name)[0] or "").startswith("video/")


def upload(studio: Studio, kind: str, path: Path) -> Asset:
    """Keep a local file as an asset of a studio."""
    if not path.is_file():
        raise BadInput(f"There is no file {path}; check the path.")
    return services.create_asset(studio=studio, kind=kind, file_name=path.name, chunks=services.read_chunks(path), actor=ACTOR)


def require_writable(destination: Path) -> None:
    """Raise BadInput unless a file can be written there, before a job is spent on it."""
    if destination.is_dir():
        raise BadInput(f"{destination} is a folder; name the file to write, for example {destination / 'clip.mp4'}.")
    nearest = next((place for place in (destination, *destination.absolute().parents) if place.exists()), Path("/"))
    if (nearest != destination and not nearest.is_dir()) or not os.access(nearest, os.W_OK):
        raise BadInput(f"{destination} cannot be written, because of {nearest}; choose another place.")


def hand_over(job: Job, destination: Path) -> Path:
    """Copy the released file, asking consent once more as every download does."""
    released = released_file(job)
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(released, destination)
    return destination


def exit_code(job: Job) -> Exit:
    """What the command says of a job by its exit code."""
    if is_waiting(job):
        return Exit.DONE
    if job.status == Status.FAILED and any(reason["code"] == "bad_input" for reason in job.reasons):
        return Exit.BAD_USAGE
    return EXIT_BY_STATUS.get(Status(job.status), Exit.REFUSED)
