"""`demo`: enrol two people, animate one by the other, release, and check copies of the result."""

from __future__ import annotations

import json
import shlex
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from consent.enrolment import Photo, enroll_person
from consent.policy import WORLD, Role
from consent.services import Scope
from generation import services
from generation.answers import job_answer
from generation.demo import copies, material, sheet
from generation.job_request import JobRequest
from generation.management.commands.generate import hand_over, require_writable, upload, wait_for
from generation.models import Asset, Job
from generation.states import Status
from generation.verification import verify_file
from media.video import read_still
from users.commands import Exit, JsonCommand
from users.models import Studio
from users.selectors import studio_by_slug
from users.services import create_studio

STUDIO = "demo"
ACTOR = "system:demo"
DEPICTED, PERFORMER = "Demo depicted person", "Demo performer"
DEMO_CONSENT = timedelta(days=90)


class Command(JsonCommand):
    """The main job on real input."""

    help = "Run the whole way on real input and verify copies of the output."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where the results go."""
        super().add_arguments(parser)
        parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR")

    def run(self, **options: Any) -> tuple[dict[str, Any], Exit]:
        """Do everything, print the table, and say whether it held."""
        folder: Path = options["out"].resolve()
        require_writable(folder / "output.mp4")
        folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with TemporaryDirectory(prefix="countersign-demo-") as scratch:
            report = self._run(folder, Path(scratch))
        report["seconds"] = round(time.monotonic() - started, 1)
        (folder / "report.json").write_text(json.dumps(report, indent=2, default=str) + "\n")
        return _answer(folder, report), Exit.DONE if report["ok"] else Exit.FAILED

    def _run(self, folder: Path, scratch: Path) -> dict[str, Any]:
        self._say(f"Enrolling two people, {DEPICTED!r} and {PERFORMER!r} ...")
        inputs = material.write_material(folder / "inputs")
        material.write_scene_of_two(folder / "inputs")
        studio = studio_by_slug(STUDIO) or create_studio(slug=STUDIO, name="Demo studio")
        named = _enrol(studio, inputs)
        self._say(f"Animating {inputs.portrait.name} by the performance in {inputs.driving.name}, marking, signing ...")
        job = services.submit(
            studio=studio,
            portrait=upload(studio, Asset.Kind.STILL, inputs.portrait),
            driving=upload(studio, Asset.Kind.VIDEO, inputs.driving),
            request=JobRequest(purpose="internal_test", engine="mesh", named_consents=named),
            actor=ACTOR,
        )
        job = wait_for(job)
        if job.status != Status.RELEASED:
            self._say(
                f"The job ended as {job.status}: {json.dumps(job.reasons)}. What the workers said is in {folder}/workers.log."
            )
            return {"ok": False, "job": job_answer(job), "verdicts": []}
        output = hand_over(job, folder / "output.mp4")
        sheet.write_contact_sheet(inputs.driving, output, folder / "contact_sheet.png")
        sheet.write_output_row(output, folder / "output_row.png")
        self._say("Verifying the output and copies of it ...")
        rows = [self._verdict(*case, job) for case in _cases(output, inputs.unrelated_clip, scratch)]
        self._table(rows)
        answer = {**job_answer(job), "output": str(output), "self_test": job.self_test}
        return {"ok": all(row["as_expected"] for row in rows), "job": answer, "verdicts": rows}

    def _verdict(self, name: str, path: Path, expected: str, job: Job) -> dict[str, Any]:
        answer = verify_file(path)
        ours = answer["record"] is None or answer["signals"]["watermark"]["watermark_id"] in (None, job.watermark_id)
        return {"copy": name, "expected": expected, "as_expected": answer["verdict"] == expected and ours, **answer}

    def _table(self, rows: list[dict[str, Any]]) -> None:
        self._say(f"\n{'copy':<32} {'verdict':<14} {'expected':<14} {'watermark':<18} false match")
        for row in rows:
            mark = row["signals"]["watermark"]
            chance = f"{mark['false_match_probability']:.0e}" if mark["found"] else ""
            self._say(
                f"{row['copy']:<32} {row['verdict']:<14} {row['expected']:<14} {mark['watermark_id'] or '-':<18} {chance:<10}"
                f"{'' if row['as_expected'] else '  <- NOT AS EXPECTED'}"
            )
        self._say("")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _answer(folder: Path, report: dict[str, Any]) -> dict[str, Any]:
    """Where the files are, and how to look at them; of a job that was not released there is the report alone."""
    answer = {"report": str(folder / "report.json"), "ok": report["ok"]}
    if not report["verdicts"]:
        return answer
    clip = folder / "output.mp4"
    verify = f"./dev manage verify {shlex.quote(str(clip))}"
    return {"clip": str(clip), "contact_sheet": str(folder / "contact_sheet.png"), "to_verify_it": verify, **answer}


def _enrol(studio: Studio, inputs: material.Material) -> dict[str, str]:
    people = (
        ("portrait:1", DEPICTED, Role.DEPICTED, inputs.depicted_photos),
        ("driver:1", PERFORMER, Role.PERFORMER, inputs.performer_photos),
    )
    return {face: _consent(studio, name, role, photos) for face, name, role, photos in people}


def _consent(studio: Studio, name: str, role: Role, photos: tuple[Path, ...]) -> str:
    now = timezone.now()
    scope = Scope(
        role=role,
        purposes=frozenset({"internal_test"}),
        territories=frozenset({WORLD}),
        valid_from=now,
        valid_until=now + DEMO_CONSENT,
    )
    enrolment = enroll_person(
        studio=studio, name=name, photos=[Photo(rgb=read_still(photo)) for photo in photos], scope=scope, actor=ACTOR
    )
    return str(enrolment.consent.pk)


def _cases(output: Path, unrelated: Path, scratch: Path) -> list[tuple[str, Path, str]]:
    return [
        ("as released", output, "confirmed"),
        ("metadata stripped", copies.without_metadata(output, scratch / "stripped.mp4"), "recovered"),
        ("half size, CRF 28", copies.half_size_at_crf_28(output, scratch / "half.mp4"), "recovered"),
        ("a byte of mdat flipped", copies.with_a_flipped_byte(output, scratch / "flipped.mp4"), "altered"),
        ("an unrelated clip", unrelated, "unknown"),
    ]
