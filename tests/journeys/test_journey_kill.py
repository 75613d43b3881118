"""Workers die in the middle of every stage of one job; what comes out is one clip, and no unmarked one ever lay on the disk."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import av
import pytest
from av.error import FFmpegError
from builders import People, enrol_both, frames_of, rendered_files, submit, write_frames
from django.conf import settings
from pytest_django.fixtures import Settings

from audit.selectors import verify_chain
from generation import pipeline, storage
from generation.job_request import JobRequest
from generation.models import Job, JobEvent
from generation.states import FINAL, PARKED, Stage, Status
from generation.verification import verify_file
from media.video import read_planes
from provenance.keys import detector_of
from provenance.models import Record, SoftBinding
from settings import processes
from users.models import Studio

pytestmark = pytest.mark.django_db(transaction=True)
LEASE_S = 3
WAIT_S = 120.0
FRAMES = 24


@dataclass
class Floor:
    """The workers, and a sweep every second as `beat` would ask for."""

    environment: dict[str, str]
    stack: ExitStack = field(default_factory=ExitStack)
    children: dict[tuple[str, ...], processes.Child] = field(default_factory=dict)
    swept_at: float = 0.0

    def start(self, queues: tuple[str, ...]) -> None:
        child = processes.start_worker(queues, self.environment)
        self.children[queues] = child
        self.stack.callback(child.stop)

    def kill_and_restart(self, queues: tuple[str, ...]) -> None:
        self.children[queues].kill()
        self.start(queues)

    def wait_for(self, what: str, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not happened():
            assert time.monotonic() < deadline, f"no {what} within {WAIT_S:.0f} s: {standing_of_jobs()}"
            if time.monotonic() - self.swept_at > 1:
                pipeline.sweep()
                self.swept_at = time.monotonic()
            time.sleep(0.002)


class Watch(threading.Thread):
    """Gives every file that appears in the store a second name, so that it can be looked at whatever becomes of the first."""

    def __init__(self, store: Path, kept: Path) -> None:
        super().__init__(daemon=True)
        self.store, self.kept = store, kept
        self.names: dict[int, str] = {}
        self.over = threading.Event()
        kept.mkdir(parents=True, exist_ok=True)

    def run(self) -> None:
        while not self.over.wait(0.005):
            for kind in ("work", "outputs", "motion"):
                self._keep(self.store / kind)

    def _keep(self, folder: Path) -> None:
        for place, _, names in os.walk(folder):
            for name in names:
                path = Path(place, name)
                try:
                    number = path.stat().st_ino
                    if number not in self.names:
                        os.link(path, self.kept / f"{number}")
                        self.names[number] = str(path.relative_to(self.store))
                except FileNotFoundError:  # gone between the look and the link
                    continue

    def end(self) -> dict[str, Path]:
        """The files seen, by the name each was first seen under."""
        self.over.set()
        self.join()
        return {name: self.kept / str(number) for number, name in self.names.items()}


@pytest.fixture
def floor(process_environment: dict[str, str], settings: Settings) -> Iterator[Floor]:
    settings.JOB_LEASE_SECONDS = LEASE_S
    floor = Floor({**process_environment, "JOB_LEASE_SECONDS": str(LEASE_S), "OMP_NUM_THREADS": "1"})
    with floor.stack:
        for queues in (processes.WORK_QUEUES, processes.SIGN_QUEUES):
            floor.start(queues)
        yield floor


@pytest.fixture
def watch(floor: Floor) -> Iterator[Watch]:
    watch = Watch(storage.store_root(), settings.TEST_DIR / "seen")
    watch.start()
    yield watch
    watch.end()


def standing_of_jobs() -> list[tuple[object, ...]]:
    return list(Job.objects.values_list("status", "stage", "attempt", "reasons", "lease_expires_at"))


def claimed(job: Job, stage: Stage) -> bool:
    return JobEvent.objects.filter(job=job, detail__claimed=stage.value).exists()


def test_one_clip_comes_out_although_a_worker_dies_in_every_stage(
    studio: Studio, people: People, floor: Floor, watch: Watch, tmp_path: Path
) -> None:
    driving = write_frames(tmp_path / "driving.mp4", frames_of(people.longer_driving)[:FRAMES])
    job = submit(
        studio,
        portrait=people.portrait,
        driving=driving,
        consents=enrol_both(studio, people),
        request=JobRequest(purpose="internal_test", engine="mesh"),
    )
    moments: dict[Stage, Callable[[], bool]] = {
        Stage.CLEAR: lambda: storage.normalised_file(job.driving_id, ".mp4").exists(),
        Stage.RENDER: lambda: (storage.store_root() / "work" / str(job.pk)).exists(),
        Stage.PROVE: lambda: claimed(job, Stage.PROVE),
        Stage.SEAL: lambda: claimed(job, Stage.SEAL),
    }
    for stage, in_the_middle in moments.items():
        floor.wait_for(f"worker in the middle of {stage}", in_the_middle)
        time.sleep(0.3)
        floor.kill_and_restart(processes.SIGN_QUEUES if stage is Stage.SEAL else processes.WORK_QUEUES)
    floor.wait_for("end of the job", lambda: Job.objects.get(pk=job.pk).status in FINAL | PARKED)
    floor.wait_for("clean store", lambda: len(rendered_files(job)) == 1)
    floor.stack.close()
    job.refresh_from_db()
    assert job.status == Status.RELEASED, job.reasons
    assert_released_once(job)
    seen = watch.end()
    own = {name: path for name, path in seen.items() if str(job.pk) in name}
    assert len([name for name in own if plays(own[name])]) >= 2, (
        f"the watch missed the rendered or the signed clip: {sorted(seen)}"
    )
    assert unmarked(job, own) == []
    assert unmarked(job, {"the driver": driving}) == ["the driver"], "the watch would have noticed"


def assert_released_once(job: Job) -> None:
    output = storage.resolve(job.output_path)
    assert rendered_files(job) == [output]
    record = Record.objects.get()
    assert (record.job_id, record.watermark_id, record.manifest_id) == (job.pk, job.watermark_id, job.manifest_id)
    assert SoftBinding.objects.count() == 1
    events = JobEvent.objects.filter(job=job)
    assert events.filter(to_status=Status.RELEASED).count() == 1
    claims = [event.detail["claimed"] for event in events if "claimed" in event.detail]
    assert all(claims.count(stage) > 1 for stage in Stage), claims
    assert verify_chain().ok
    answer = verify_file(output)
    assert (answer["verdict"], answer["record"]["watermark_id"]) == ("confirmed", job.watermark_id)


def unmarked(job: Job, files: dict[str, Path]) -> list[str]:
    """The files that open as a video and do not carry the job's mark. What a dead worker left half-written does not open."""
    record = Record.objects.get(job_id=job.pk)
    detector = detector_of(record)
    found = {name: detector.detect(read_planes(path)) for name, path in files.items() if plays(path)}
    return [name for name, mark in found.items() if not mark.found or mark.payload != int(record.watermark_id, 16)]


def plays(path: Path) -> bool:
    try:
        with av.open(str(path)) as container:
            return any(True for _ in container.decode(video=0))
    except (FFmpegError, IndexError):  # no video container, or none with a picture in it
        return False
