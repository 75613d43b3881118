"""What each stage decides: faces stand at points of a plane, the engine takes no time; pixels, mark and signature are real."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from casting_material import run, upload
from django.conf import settings as django_settings
from numpy.typing import NDArray
from pytest_django.fixtures import Settings
from quick_engine import NAME, NOT_FOR_SALE, quick_entry
from stage_material import FRAMES, HER, HIM, NOBODY, SIZE, PlaneEngine, Sight, agree, write_driver, write_portrait

from consent import gate
from consent.faces.observed import Side
from consent.gate import ConsentRefused
from consent.models import Consent
from consent.policy import Assurance, Role, Verdict
from consent.services import withdraw_consent
from generation import dispatch, posters, screening, selectors, services, storage
from generation.engines import ENGINES
from generation.errors import ArtefactChanged, IllegalMove, InvalidRequest
from generation.job_request import JobRequest
from generation.models import Asset, Job
from generation.pipeline import run_stage
from generation.stages import clear, prove, render
from generation.states import Stage, Status
from media.errors import CountersignError
from media.video import read_frames
from provenance.watermark.self_test import STRONGER, Margin
from users.models import Membership, Studio, User
from users.models import Role as StudioRole

Submit = Callable[..., Job]


@pytest.fixture(autouse=True)
def sight(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Sight:
    settings.ROLE = "signer"
    settings.JOB_LEASE_SECONDS = 600
    sight = Sight()
    monkeypatch.setattr(dispatch, "send", lambda job_id, stage: None)
    monkeypatch.setattr(gate, "face_engine", PlaneEngine)
    monkeypatch.setattr(clear, "survey_still", sight.survey_still)
    for stage in (clear, prove):
        monkeypatch.setattr(stage, "survey_driver", sight.survey_driver)
    monkeypatch.setattr(prove, "_copies", lambda source, rate: {"as encoded": source})
    monkeypatch.setitem(ENGINES, NAME, quick_entry())
    return sight


@pytest.fixture
def submit(studio: Studio, tmp_path: Path) -> Submit:
    """A function that submits a job of this studio, its two people having agreed to exactly what it asks for."""

    def submit(
        purpose: str = "internal_test",
        *,
        assurance: Assurance = Assurance.ATTESTED,
        voice: bool = False,
        tone: bool = False,
        fictional: bool = False,
    ) -> Job:
        given: dict[str, Any] = {"purpose": purpose, "assurance": assurance}
        consents = {"driver:1": agree(studio, HIM, Role.PERFORMER, voice=voice, **given)}
        if not fictional:
            consents["portrait:1"] = agree(studio, HER, Role.DEPICTED, **given)
        return services.submit(
            studio=studio,
            portrait=upload(studio, Asset.Kind.STILL, write_portrait(tmp_path / "portrait.png")),
            driving=upload(studio, Asset.Kind.VIDEO, write_driver(tmp_path / "driving.mp4", tone=tone)),
            request=JobRequest(purpose, NAME, declared_fictional=fictional, named_consents=ids_of(consents)),
            actor="system:test",
        )

    return submit


@pytest.fixture
def reviewer(make_member: Callable[[Studio, str], Membership], other_studio: Studio) -> User:
    """Staff of the platform, from another studio than the job's."""
    return staff(make_member(other_studio, StudioRole.PRODUCER).user)


def staff(user: User) -> User:
    user.is_staff = True
    user.save()
    return user


def ids_of(consents: dict[str, Consent]) -> dict[str, str]:
    return {face: str(consent.pk) for face, consent in consents.items()}


def codes(job: Job) -> list[str]:
    return [str(reason["code"]) for reason in selectors.reasons_of(job)]


def pictures(job: Job) -> NDArray[np.uint8]:
    """Every rendered frame, uint8 (T, H, W, 3)."""
    return np.concatenate([batch.rgb.numpy() for batch in read_frames(storage.resolve(job.rendered_path))])


def has_sound(path: Path) -> bool:
    with av.open(str(path)) as container:
        return bool(container.streams.audio)


# ---- CLEAR


def test_the_first_real_uses_of_a_studio_are_looked_at_by_a_person(submit: Submit) -> None:
    job = run(submit("film", assurance=Assurance.CAPTURED))
    assert (job.status, codes(job)) == (Status.IN_REVIEW, ["first_uses_of_studio"])
    assert job.rendered_path == ""


def test_a_studio_with_enough_released_uses_is_not_looked_at_again(submit: Submit) -> None:
    job = submit("film", assurance=Assurance.CAPTURED)
    for number in range(screening.FIRST_JOBS_REVIEWED):
        earlier = Job.objects.get(pk=job.pk)
        earlier.pk, earlier.idempotency_key, earlier.status = None, f"earlier {number}", Status.RELEASED
        earlier.watermark_id, earlier.output_path, earlier.manifest_id = f"{number:016x}", "outputs/none", f"urn:{number}"
        earlier.save(force_insert=True)
    assert run(job, before=Stage.RENDER).status == Status.CLEARED


def test_an_internal_test_goes_on_without_a_look(submit: Submit) -> None:
    assert run(submit(), before=Stage.RENDER).status == Status.CLEARED


def test_an_engine_for_research_refuses_commercial_purposes_and_takes_others(
    submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, NAME, quick_entry(NOT_FOR_SALE))
    refused = run(submit("advertising", assurance=Assurance.CAPTURED))
    assert (refused.status, codes(refused)) == (Status.REFUSED, ["licence_non_commercial"])
    assert "choose another engine" in refused.reasons[0]["message"]
    assert run(submit(), before=Stage.RENDER).status == Status.CLEARED


def test_a_face_of_nobody_named_refuses_and_leaves_nothing(submit: Submit, sight: Sight) -> None:
    sight.portrait = NOBODY
    job = run(submit())
    assert (job.status, codes(job)) == (Status.REFUSED, ["mismatch"])
    assert not (storage.store_root() / "motion" / str(job.pk)).exists()


# ---- RENDER


def test_only_an_attested_output_says_test_and_does_so_in_every_frame(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "FIRST_JOBS_REVIEWED", 0)
    attested = run(submit(), before=Stage.PROVE)
    agreed = run(submit("film", assurance=Assurance.CAPTURED), before=Stage.PROVE)
    assert (attested.render_facts["label"], agreed.render_facts["label"]) == (render.TEST_LABEL, "")
    differs = np.abs(pictures(attested).astype(int) - pictures(agreed)).max(-1) > 48  # far above what two marks differ by
    assert differs.any((1, 2)).tolist() == [True] * FRAMES
    rows = differs.any((0, 2)).nonzero()[0]
    assert rows.max() - rows.min() < SIZE / 5, "the label is one line, and nothing else differs"


@pytest.mark.parametrize(("voice", "carried"), [(True, True), (False, False)])
def test_the_voice_is_carried_only_when_the_performer_agreed_to_it(submit: Submit, voice: bool, carried: bool) -> None:
    job = run(submit(voice=voice, tone=True))
    assert job.status == Status.RELEASED, job.reasons
    assert job.driving.facts["has_audio"]
    assert (has_sound(storage.resolve(job.output_path)), job.render_facts["audio"]) == (carried, carried)


# ---- PROVE


def test_a_thin_mark_earns_one_stronger_render(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    margins = iter([{"as encoded": Margin(1.0, 0.1, 1.0)}, {"as encoded": Margin(9.0, 0.6, 1.0)}])
    monkeypatch.setattr(prove, "_margins", lambda held: next(margins))
    job = run(submit())
    assert (job.status, job.watermark_strength) == (Status.RELEASED, STRONGER)
    assert (job.self_test["margins_nats"], job.self_test["margins_db"]) == ({"as encoded": 9.0}, {"as encoded": 0.6})


def test_a_mark_that_stays_thin_fails_the_job_and_leaves_nothing(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    thin = {"as encoded": Margin(9.0, 0.6, 1.0), "half size": Margin(4.9, 0.3, 1.0)}
    monkeypatch.setattr(prove, "_margins", lambda held: thin)
    job = run(submit())
    assert (job.status, codes(job)) == (Status.FAILED, ["weak_watermark"])
    assert job.watermark_strength == STRONGER
    assert not (storage.store_root() / "work" / str(job.pk)).exists()


def test_somebody_else_in_the_rendered_frames_refuses(submit: Submit, sight: Sight) -> None:
    sight.rendered = NOBODY
    job = run(submit())
    assert (job.status, codes(job)) == (Status.REFUSED, ["rendered_mismatch"])
    assert sight.looks == [Side.DRIVER, Side.RENDERED]


def test_rendered_faces_that_nobody_can_match_hold_the_clip(submit: Submit, sight: Sight) -> None:
    sight.rendered = None
    job = run(submit())
    assert (job.status, codes(job)) == (Status.HELD, ["rendered_unmatchable"])
    with pytest.raises(selectors.NotReleased):
        selectors.released_file(job)


# ---- parked jobs


def test_a_review_that_gives_no_reason_still_parks_the_job(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = gate.assess

    def undecided(**question: Any) -> gate.Assessment:
        answer = asked(**question)
        return replace(answer, decision=replace(answer.decision, outcome=Verdict.REVIEW, reasons=()))

    monkeypatch.setattr(gate, "assess", undecided)
    assert run(submit(), before=Stage.RENDER).status == Status.IN_REVIEW


def test_a_face_declared_fictional_is_looked_at_before_and_after(submit: Submit, reviewer: User) -> None:
    job = run(submit(fictional=True))
    assert (job.status, codes(job)) == (Status.IN_REVIEW, ["declared_fictional"])
    held = run(services.approve(job=job, reviewer=reviewer))
    assert (held.status, codes(held)) == (Status.HELD, ["declared_fictional_output"])
    released = services.approve(job=held, reviewer=reviewer)
    assert (released.status, released.reasons) == (Status.RELEASED, [])
    assert selectors.released_file(released).is_file()


def swap_the_cast(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(render_facts={**job.render_facts, "cast": [["portrait:1", "driver:2"]]})


def move_the_face(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(render_facts={**job.render_facts, "portrait_boxes": {"portrait:1": [0, 0, 9, 9]}})


def slow_the_driver(job: Job) -> None:
    Asset.objects.filter(pk=job.driving_id).update(facts={**job.driving.facts, "frame_rate": "1"})


def append_to(stored: str) -> None:
    with storage.resolve(stored).open("ab") as file:
        file.write(b"x")


@pytest.mark.parametrize("held", [False, True], ids=["in review", "held"])
@pytest.mark.parametrize(
    "change",
    [
        swap_the_cast,
        move_the_face,
        slow_the_driver,
        lambda job: append_to(job.portrait.normalised_path),
        lambda job: append_to(job.render_facts["motion_path"]),
    ],
    ids=["the cast", "a box", "the rate", "the portrait", "the motion"],
)
def test_nothing_is_approved_that_is_not_what_was_decided_on(
    change: Callable[[Job], None], held: bool, submit: Submit, reviewer: User
) -> None:
    job = run(submit(fictional=True))
    if held:
        job = run(services.approve(job=job, reviewer=reviewer))
    status = Status.HELD if held else Status.IN_REVIEW
    assert job.status == status
    change(job)
    with pytest.raises((ConsentRefused, ArtefactChanged)):
        services.approve(job=job, reviewer=reviewer)
    job.refresh_from_db()
    assert job.status == status


def test_a_held_clip_that_is_not_the_one_that_was_sealed_is_not_approved(submit: Submit, reviewer: User) -> None:
    job = run(services.approve(job=run(submit(fictional=True)), reviewer=reviewer))
    append_to(job.output_path)
    with pytest.raises(ArtefactChanged, match="sealed clip"):
        services.approve(job=job, reviewer=reviewer)


@pytest.mark.parametrize("fictional", [True, False], ids=["in review", "held"])
def test_a_rejected_job_hands_out_nothing(submit: Submit, sight: Sight, reviewer: User, fictional: bool) -> None:
    sight.rendered = None
    job = run(submit(fictional=fictional))
    rejected = services.reject(job=job, reviewer=reviewer, reason="deceptive_use")
    assert (rejected.status, codes(rejected)) == (Status.REJECTED, ["deceptive_use"])
    with pytest.raises(selectors.OutputUnavailable):
        selectors.released_file(rejected)
    with pytest.raises(IllegalMove):
        services.approve(job=rejected, reviewer=reviewer)


def test_a_rejection_needs_a_reason_of_the_taxonomy(submit: Submit, reviewer: User) -> None:
    job = run(submit(fictional=True))
    with pytest.raises(InvalidRequest, match="deceptive_use"):
        services.reject(job=job, reviewer=reviewer, reason="do not like it")
    job.refresh_from_db()
    assert job.status == Status.IN_REVIEW


def test_nobody_reviews_the_jobs_of_their_own_studio(
    submit: Submit, studio: Studio, make_member: Callable[[Studio, str], Membership]
) -> None:
    job = run(submit(fictional=True))
    insider = staff(make_member(studio, StudioRole.PRODUCER).user)
    for decide in (
        lambda: services.approve(job=job, reviewer=insider),
        lambda: services.reject(job=job, reviewer=insider, reason="deceptive_use"),
    ):
        with pytest.raises(IllegalMove, match="outside"):
            decide()


def test_a_producer_of_another_studio_is_no_reviewer(submit: Submit, other_user: User) -> None:
    with pytest.raises(IllegalMove, match="staff"):
        services.approve(job=run(submit(fictional=True)), reviewer=other_user)


def test_a_job_that_is_not_parked_cannot_be_approved(submit: Submit, reviewer: User) -> None:
    with pytest.raises(IllegalMove, match="submitted"):
        services.approve(job=submit(), reviewer=reviewer)


# ---- what breaks


class Passing(CountersignError):
    code = "passing"
    permanent = False


def broken(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


def test_a_passing_fault_gives_the_stage_back(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as fault:
        fault.setattr(render, "VideoWriter", broken(Passing("The disk is busy; try again.")))
        job = run(submit(), before=Stage.RENDER)
        run_stage(stage=Stage.RENDER, job_id=job.pk)
        job.refresh_from_db()
        assert (job.status, job.lease_token) == (Status.RENDERING, None)
    assert run(job).status == Status.RELEASED


def test_whatever_else_breaks_fails_the_job_without_saying_more_than_that(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(render, "VideoWriter", broken(RuntimeError("a secret path")))
    job = run(submit())
    assert (job.status, codes(job)) == (Status.FAILED, ["internal_error"])
    assert "secret" not in job.reasons[0]["message"]
    assert "a secret path" in caplog.text


def test_a_job_whose_workers_keep_dying_ends(submit: Submit) -> None:
    job = submit()
    Job.objects.filter(pk=job.pk).update(attempt=django_settings.JOB_MAX_ATTEMPTS)
    job = run_once(job)
    assert (job.status, codes(job)) == (Status.FAILED, ["gave_up"])


def run_once(job: Job) -> Job:
    run_stage(stage=Stage(job.stage), job_id=job.pk)
    job.refresh_from_db()
    return job


def test_a_withdrawal_while_a_poster_is_cut_keeps_it_in(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    job, mark = run(submit()), posters.mark_still
    assert posters.poster(job)

    def slowly(rgb: torch.Tensor, number: int) -> torch.Tensor:
        withdraw_consent(consent_id=uuid.UUID(job.named_consents["portrait:1"]), actor="person")
        return mark(rgb, number)

    monkeypatch.setattr(posters, "mark_still", slowly)
    with pytest.raises(ConsentRefused):
        posters.poster(job)


@pytest.mark.parametrize("at_s", [float("nan"), -1.0, 1e308])
def test_a_poster_at_no_moment_of_the_clip_is_refused(at_s: float, submit: Submit) -> None:
    with pytest.raises(InvalidRequest, match="inside it"):
        posters.poster(run(submit()), at_s=at_s)
