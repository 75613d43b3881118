"""Files that are broken, empty, enormous or without a face end a job in a sentence that says what to do; the worker lives on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from builders import People, assert_nothing_was_made, run_stages, submit, write_picture
from django.core.management import CommandError, call_command
from skimage.data import chelsea

from generation.management.commands import generate
from generation.models import Job
from generation.states import FINAL, Status
from media.errors import BadInput
from settings import processes
from tests.hostile import make
from users.models import Studio

ADVICE = ("upload", "export", "scale", "shorten", "remove", "choose", "record", "film")
ROOT = Path(__file__).resolve().parents[2]
Maker = Callable[[Path], Path]


def cat(folder: Path) -> Path:
    return write_picture(folder / "cat.png", np.asarray(chelsea()))


def landscape(folder: Path) -> Path:
    """A clip of moving colours with nobody in it."""
    return make.write_clip(folder / "landscape.mp4", size=(320, 240), frames=8)


def assert_bad_input(job: Job) -> str:
    """The job failed on its files, says what to do, and made nothing. Returns the sentence."""
    assert job.status == Status.FAILED, (job.status, job.reasons)
    ((code, message),) = [(reason["code"], str(reason["message"])) for reason in job.reasons]
    assert code == "bad_input", job.reasons
    advice = message.rsplit(";", 1)[-1]
    assert any(word in advice for word in ADVICE), message
    assert "Traceback" not in message
    assert "/" not in message.replace("and/or", ""), message  # no path of ours
    assert_nothing_was_made(job)
    return message


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    "maker",
    [
        make.one_pixel,
        make.too_wide_image,
        make.image_bomb,
        make.huge_header_image,
        make.broken_image,
        make.animated_webp,
        make.text_named_mp4,
        make.audio_only,
        cat,
    ],
    ids=lambda maker: maker.__name__,
)
def test_a_hostile_still_fails_with_advice(maker: Maker, studio: Studio, people: People, tmp_path: Path) -> None:
    assert_bad_input(run_stages(submit(studio, portrait=maker(tmp_path), driving=people.driving)))


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    "maker",
    [
        make.text_named_mp4,
        make.truncated,
        make.no_frames,
        make.audio_only,
        make.video_bomb,
        make.long_bomb,
        make.huge_dimensions,
        make.playlist_in_matroska_clothes,
        make.one_pixel,
        make.animated_webp,
        landscape,
    ],
    ids=lambda maker: maker.__name__,
)
def test_a_hostile_driver_fails_with_advice(maker: Maker, studio: Studio, people: People, tmp_path: Path) -> None:
    assert_bad_input(run_stages(submit(studio, portrait=people.portrait, driving=maker(tmp_path))))


@pytest.mark.usefixtures("in_process")
def test_a_cat_and_a_clip_without_a_face_are_told_apart_in_words(studio: Studio, people: People, tmp_path: Path) -> None:
    still = assert_bad_input(run_stages(submit(studio, portrait=cat(tmp_path), driving=people.driving)))
    assert "No usable face was found in the still" in still
    driver = assert_bad_input(run_stages(submit(studio, portrait=people.portrait, driving=landscape(tmp_path))))
    assert "No face was found in the driving video" in driver


def test_an_empty_upload_is_never_a_row(studio: Studio, people: People, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="empty; choose"):
        submit(studio, portrait=people.portrait, driving=make.empty(tmp_path))
    assert not Job.objects.exists()


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("maker", [make.text_named_mp4, make.no_frames, landscape], ids=lambda maker: maker.__name__)
def test_generate_exits_64_on_a_bad_driver(
    maker: Maker,
    studio: Studio,
    people: People,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(generate, "wait_for", run_stages)
    files = [f"--portrait={people.portrait}", f"--driving={maker(tmp_path)}"]
    with pytest.raises(SystemExit) as stop:
        call_command("generate", "--studio", studio.slug, *files, "--purpose", "internal_test", "--json")
    assert stop.value.code == 64
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (answer["status"], answer["output"]) == ("failed", None)
    assert [reason["code"] for reason in answer["reasons"]] == ["bad_input"]


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_generate_exits_64_before_any_job_when_there_is_no_file_to_read(
    kind: str, studio: Studio, people: People, tmp_path: Path
) -> None:
    driving = make.empty(tmp_path) if kind == "empty" else tmp_path / "nowhere.mp4"
    files = [f"--portrait={people.portrait}", f"--driving={driving}"]
    with pytest.raises(CommandError) as stop:
        call_command("generate", "--studio", studio.slug, *files, "--purpose", "internal_test", "--json")
    assert stop.value.returncode == 64
    assert not Job.objects.exists()


# --- one real worker -----------------------------------------------------------------------------------------------------


@pytest.fixture
def worker(process_environment: dict[str, str], tmp_path: Path) -> Iterator[processes.Child]:
    """One worker process on every queue, so that `generate` starts none of its own."""
    with (tmp_path / "worker.log").open("wb") as log:
        child = processes.start_worker([*processes.WORK_QUEUES, *processes.SIGN_QUEUES], process_environment, log)
        try:
            yield child
        finally:
            child.stop()


def test_one_worker_survives_every_hostile_file_and_leaves_no_job_stuck(
    worker: processes.Child,
    process_environment: dict[str, str],
    people: People,
    studio: Studio,
    tmp_path: Path,
    settings: object,
) -> None:
    hostile = [
        *((maker(tmp_path), people.driving) for maker in (make.image_bomb, make.one_pixel, make.animated_webp)),
        *((people.portrait, maker(tmp_path)) for maker in (make.text_named_mp4, make.truncated, make.no_frames, make.video_bomb)),
    ]
    for portrait, driving in hostile:
        submit(studio, portrait=portrait, driving=driving)
    # the last one is honest but for the missing consents: it is refused only if the same process still works
    command = [sys.executable, "manage.py", "generate", "--studio", studio.slug, "--purpose", "internal_test", "--json"]
    files = ["--portrait", str(people.portrait), "--driving", str(people.driving)]
    ended = subprocess.run(
        [*command, *files], cwd=ROOT, env=process_environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert {reason["code"] for reason in json.loads(ended.stdout.splitlines()[-1])["reasons"]} == {"unnamed"}
    assert worker.alive()
    assert list(processes.listening(Path(process_environment["COUNTERSIGN_VAR"]))) == [worker.pid]
    jobs = list(Job.objects.order_by("created_at"))
    assert [job.status for job in jobs] == ["failed"] * len(hostile) + ["refused"]
    assert all(job.status in FINAL and job.lease_token is None and job.attempt == 1 for job in jobs)
    for job in jobs[:-1]:
        assert_bad_input(job)
