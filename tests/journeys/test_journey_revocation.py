"""A consent is taken back at every moment of a job's life: before release nothing goes out, afterwards nothing more does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from io import StringIO

import pytest
from builders import People, assert_nothing_was_made, enrol_both, rendered_files, run_stages, submit
from django.core.management import call_command
from django.db import connection, transaction
from pytest_django.fixtures import Settings
from quick_engine import NAME, Picture, QuickAnimator, quick_entry

from consent.models import Consent
from consent.policy import Reason
from consent.services import suspend_consent
from generation import claims, pipeline, release_gate, revocation, screening, selectors, storage
from generation.engines import ENGINES
from generation.engines.base import EngineEntry, Options, Performance
from generation.job_request import JobRequest
from generation.models import Job, JobEvent
from generation.pipeline import run_stage
from generation.revocation import Cascade, revoke
from generation.services import approve
from generation.stages import prove, seal
from generation.states import Stage, Status
from generation.verification import standing
from media.frames import FrameBatch
from provenance.errors import WatermarkKeyCompromised
from provenance.models import Record, WatermarkKey
from provenance.services import end_keys
from users.models import Studio

pytestmark = pytest.mark.django_db(transaction=True)
WAIT_S = 20.0


@pytest.fixture
def consents(transactional_db: None, studio: Studio, people: People) -> dict[str, Consent]:
    return enrol_both(studio, people)


@pytest.fixture
def job(
    studio: Studio, people: People, consents: dict[str, Consent], in_process: Settings, monkeypatch: pytest.MonkeyPatch
) -> Job:
    """A submitted job that would be released."""
    monkeypatch.setitem(ENGINES, NAME, quick_entry())
    monkeypatch.setattr(prove, "_copies", lambda source, rate: {"as encoded": source})
    request = JobRequest(purpose="internal_test", engine=NAME)
    return submit(studio, portrait=people.portrait, driving=people.driving, consents=consents, request=request)


def withdraw(consents: dict[str, Consent], face: str = "portrait:1") -> Cascade:
    return revoke(consent_id=consents[face].pk, reason="changed my mind", actor="system:test")


def compromise_key_of(job: Job) -> None:
    key_name = Record.objects.get(job_id=job.pk).key_name
    end_keys(names=[key_name], state=WatermarkKey.State.COMPROMISED, actor="system:test", reason="it was on a stolen laptop")


def assert_stopped(job: Job) -> None:
    """The job is over, stays over when late messages of every stage arrive, and left no picture behind."""
    for stage in Stage:
        run_stage(stage=stage, job_id=job.pk)
    job.refresh_from_db()
    assert (job.status, job.reasons[0]["code"]) == (Status.CANCELLED, "consent_ended")
    assert not JobEvent.objects.filter(job=job, to_status=Status.RELEASED).exists()
    assert not Record.objects.filter(job_id=job.pk, sealed_at__isnull=False).exists()
    assert rendered_files(job) == []
    with pytest.raises(selectors.OutputUnavailable):
        selectors.released_file(job)


@pytest.mark.parametrize("face", ["portrait:1", "driver:1"])
@pytest.mark.parametrize("before", [Stage.CLEAR, Stage.RENDER])
def test_between_submit_and_render_it_stops_everything(job: Job, consents: dict[str, Consent], before: Stage, face: str) -> None:
    run_stages(job, before=before)
    assert withdraw(consents, face) == Cascade(jobs_cancelled=1, outputs_withdrawn=0)
    assert_stopped(job)
    assert_nothing_was_made(job)


@pytest.mark.parametrize("before", [Stage.PROVE, Stage.SEAL])
def test_between_render_and_release_it_stops_everything(job: Job, consents: dict[str, Consent], before: Stage) -> None:
    run_stages(job, before=before)
    assert [path.name for path in rendered_files(job)] == ["rendered.mp4"]
    assert withdraw(consents) == Cascade(jobs_cancelled=1, outputs_withdrawn=0)
    assert_stopped(job)


def test_a_suspension_that_came_by_message_stops_a_rendered_job(job: Job, consents: dict[str, Consent]) -> None:
    run_stages(job, before=Stage.SEAL)
    suspend_consent(consent_id=consents["driver:1"].pk, actor="system:test", reason="this is me")
    revocation.consume_withdrawals()
    assert_stopped(job)


@pytest.mark.parametrize("before", [Stage.PROVE, Stage.SEAL])
def test_a_clip_whose_watermark_key_became_known_is_not_released(job: Job, before: Stage) -> None:
    run_stages(job, before=before)
    compromise_key_of(job)
    refused = run_stages(job)
    assert (refused.status, refused.reasons[0]["code"]) == (Status.FAILED, "watermark_key_compromised")
    assert "submit the job again" in refused.reasons[0]["message"]
    with pytest.raises(selectors.OutputUnavailable):
        selectors.released_file(refused)
    assert not Record.objects.filter(job_id=job.pk, sealed_at__isnull=False).exists()


def test_a_held_clip_whose_watermark_key_became_known_cannot_be_approved(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "reasons_to_hold", lambda job: [Reason("a_test", "Looked at before release.")])
    held = run_stages(job)
    assert held.status == Status.HELD
    compromise_key_of(job)
    with pytest.raises(WatermarkKeyCompromised):
        approve(job=held, reviewer=None)
    held.refresh_from_db()
    assert held.status == Status.HELD


def test_a_key_declared_known_during_release_waits_for_it(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[Elsewhere] = []
    real = release_gate.require_uncompromised

    def ask(record: Record, *, lock: bool) -> None:
        real(record, lock=lock)
        threads.append(Elsewhere(lambda: compromise_key_of(job)))
        wait_until_somebody_waits_for_a_lock()

    monkeypatch.setattr(release_gate, "require_uncompromised", ask)
    released = run_stages(job)
    threads[0].finish()
    assert released.status == Status.RELEASED


def test_a_consent_that_ends_while_frames_are_made_stops_the_renderer(
    job: Job, consents: dict[str, Consent], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(QuickAnimator):
        def animate(self, prepared: Picture, performances: Sequence[Performance], options: Options) -> Iterator[FrameBatch]:
            for number, batch in enumerate(super().animate(prepared, performances, options)):
                if number == 1:
                    withdraw(consents)
                assert number < 2, "the renderer went on without consent"
                yield batch

    monkeypatch.setitem(ENGINES, NAME, EngineEntry(NAME, "1", QuickAnimator().licence, lambda device: Interrupted()))
    monkeypatch.setattr(claims, "PROGRESS_SECONDS", 0.0)
    run_stages(job)
    assert_stopped(job)


def test_after_release_the_clip_is_withdrawn_and_no_longer_handed_out(job: Job, consents: dict[str, Consent]) -> None:
    released = run_stages(job)
    assert selectors.released_file(released).is_file()
    assert standing(job.pk) | {"consent": None} == {"consent": None, "availability": "released"}
    assert withdraw(consents) == Cascade(jobs_cancelled=0, outputs_withdrawn=1)
    job.refresh_from_db()
    assert job.status == Status.WITHDRAWN
    with pytest.raises(selectors.OutputUnavailable, match="withdrawn"):
        selectors.released_file(job)
    now = standing(job.pk)
    assert (now["consent"]["state"], now["availability"]) == ("revoked", "withdrawn")
    assert withdraw(consents) == Cascade(0, 0), "a second withdrawal finds nothing left to do"


def test_the_command_says_how_far_it_reached(job: Job, consents: dict[str, Consent]) -> None:
    run_stages(job, before=Stage.PROVE)
    output = StringIO()
    call_command("revoke", str(consents["portrait:1"].pk), "--json", stdout=output)
    answer = json.loads(output.getvalue().splitlines()[-1])
    assert (answer["state"], answer["jobs_cancelled"], answer["outputs_withdrawn"]) == ("withdrawn", 1, 0)
    assert_stopped(job)


# ---- at the same moment


class Elsewhere(threading.Thread):
    """Work on a database connection of its own; `finish` raises what it raised."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - handed to the test by `finish`
            self._error = error
        finally:
            connection.close()

    def finish(self) -> None:
        self.join(WAIT_S)
        assert not self.is_alive(), "it waits for ever"
        if self._error:
            raise self._error


def wait_until_somebody_waits_for_a_lock() -> None:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN "
                "(SELECT pid FROM pg_stat_activity WHERE datname = current_database())"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    pytest.fail("nobody waited")


def test_a_withdrawal_during_release_waits_and_then_withdraws(
    job: Job, consents: dict[str, Consent], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[Elsewhere] = []
    real = seal.seal_record

    def seal_record(**arguments: object) -> object:
        threads.append(Elsewhere(lambda: withdraw(consents)))
        wait_until_somebody_waits_for_a_lock()
        return real(**arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(seal, "seal_record", seal_record)
    run_stages(job)
    threads[0].finish()
    job.refresh_from_db()
    assert job.status == Status.WITHDRAWN
    steps = list(JobEvent.objects.filter(job=job).values_list("to_status", flat=True))
    assert steps[-2:] == [Status.RELEASED, Status.WITHDRAWN]


def test_a_withdrawal_that_came_first_keeps_the_signed_clip_in(
    job: Job, consents: dict[str, Consent], monkeypatch: pytest.MonkeyPatch
) -> None:
    withdrawn, releasing = threading.Event(), threading.Event()
    threads: list[Elsewhere] = []
    real = release_gate.require_releasable

    def withdraw_slowly() -> None:
        with transaction.atomic():
            withdraw(consents)
            withdrawn.set()
            assert releasing.wait(WAIT_S)
            wait_until_somebody_waits_for_a_lock()

    def ask(asked: Job) -> object:
        threads.append(Elsewhere(withdraw_slowly))
        assert withdrawn.wait(WAIT_S)
        releasing.set()
        return real(asked)  # the row is held by the withdrawal, which has not committed yet

    monkeypatch.setattr(release_gate, "require_releasable", ask)
    run_stages(job)
    threads[0].finish()
    assert_stopped(job)
    assert not list((storage.store_root() / "outputs" / str(job.pk)).glob("*"))


def test_a_withdrawal_and_a_worker_that_takes_the_job_never_wait_for_each_other(
    job: Job, consents: dict[str, Consent], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[Elsewhere] = []
    real = claims.log_step

    def log_step(**arguments: object) -> None:
        if not threads:  # the claim holds the job's row and is about to write the log
            threads.append(Elsewhere(lambda: withdraw(consents)))
            wait_until_somebody_waits_for_a_lock()
        real(**arguments)  # type: ignore[arg-type]

    run_stages(job, before=Stage.PROVE)
    monkeypatch.setattr(claims, "log_step", log_step)
    run_stage(stage=Stage.PROVE, job_id=job.pk)
    threads[0].finish()
    assert_stopped(job)


def test_the_sweeper_clears_what_a_worker_left_that_died_after_the_end(job: Job) -> None:
    run_stages(job)
    kept = selectors.released_file(Job.objects.get(pk=job.pk))
    left = storage.work_folder(job.pk, Stage.SEAL, 9) / "sealed.mp4"
    left.write_bytes(b"left behind")
    kept.with_name("9.mp4").write_bytes(b"left behind")
    pipeline.sweep()
    assert rendered_files(job) == [kept]
