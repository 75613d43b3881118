"""Every gate call stands alone against one misuse: with it the clip stays in, and taking just this call out lets it go."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from builders import (
    People,
    enrol,
    enrol_both,
    picture_of,
    resized,
    run_stages,
    submit,
    write_picture,
)
from pytest_django.fixtures import Settings
from quick_engine import NAME, NOT_FOR_SALE, quick_entry
from safetensors.torch import load_file, save_file

from consent import gate
from consent.faces.observed import DriverSurvey
from consent.faces.survey import survey_driver
from consent.gate import ConsentRefused
from consent.models import Consent
from consent.policy import Assurance, Decision, Role, Verdict
from consent.services import destroy_templates, withdraw_consent
from generation import release_gate, screening, selectors, services, storage
from generation.engines import ENGINES
from generation.errors import ArtefactChanged
from generation.job_request import JobRequest
from generation.models import Job
from generation.pipeline import run_stage
from generation.stages import clear, intake, prove, render, seal
from generation.states import Stage, Status
from media.digests import file_sha256
from media.frames import FrameBatch
from media.video import VideoWriter, read_planes, recompress
from provenance.keys import embedder_of, payload_of
from provenance.models import Record
from provenance.services import reserve_record
from provenance.signing import signer
from provenance.watermark import Embedder
from provenance.watermark.self_test import Margin
from users.models import Studio, User
from users.services import create_user

Patch = pytest.MonkeyPatch
TakeOut = Callable[[Patch], None]
RATE = Fraction(30000, 1001)


@dataclass
class Scene:
    """A job on its way, and what it rests on."""

    studio: Studio
    people: People
    folder: Path
    patch: Patch
    consents: dict[str, Consent]
    portrait: Path
    driving: Path
    request: JobRequest
    job: Job | None = None

    @property
    def standing(self) -> Job:
        assert self.job is not None
        self.job.refresh_from_db()
        return self.job


@dataclass(frozen=True)
class Case:
    """`misuse` happens before stage `at`; `others` would stop it too and are out from the start; then `gate` is the last one."""

    name: str
    misuse: Callable[[Scene], None]
    at: Stage
    stopped: tuple[Status, str]
    gate: TakeOut
    others: tuple[TakeOut, ...] = ()
    hurried_reviewer: bool = False  # who approves whatever is parked before rendering


# ---- taking a gate out


def _allowed(job: Job) -> Decision:
    return Decision(Verdict.ALLOW, (), ())


def out(owner: object, name: str, answer: object = None) -> TakeOut:
    """Replace one call by one that never objects."""
    return lambda patch: patch.setattr(owner, name, lambda *args, **named: answer)


def standing_out(owner: object) -> TakeOut:
    return lambda patch: patch.setattr(owner, "require_releasable", _allowed)


def unchanged_out(owner: object, which: str) -> TakeOut:
    """Take out the digest check of one artefact alone."""

    def take_out(patch: Patch) -> None:
        real = owner.require_unchanged  # type: ignore[attr-defined]
        patch.setattr(owner, "require_unchanged", lambda path, sha256, what: None if what == which else real(path, sha256, what))

    return take_out


REFUSAL = lambda patch: patch.setattr(gate, "require_not_refused", lambda assessment: assessment)  # noqa: E731
RENDERED_FACES = out(gate, "require_same_faces", [])
SAME_FILES = out(gate, "require_same_files")
STANDING_AT = {render: standing_out(render), prove: standing_out(prove), seal: standing_out(release_gate)}
OWN_RECORD = lambda patch: patch.setattr(seal, "_own_record", lambda job: seal.require_record(job.pk))  # noqa: E731
SELF_TEST = out(prove, "_margins", {"as encoded": Margin(99.0, 3.8, 1.0)})
MARK_IN_FILE = out(seal, "_require_mark")


# ---- the misuses


def name_the_wrong_person(scene: Scene) -> None:
    scene.consents["portrait:1"] = enrol(scene.studio, scene.people.performer, Role.BOTH, name="Somebody else")


def use_a_research_engine_for_a_film(scene: Scene) -> None:
    scene.patch.setitem(ENGINES, NAME, quick_entry(NOT_FOR_SALE))
    scene.patch.setattr(screening, "FIRST_JOBS_REVIEWED", 0)
    for_film(scene)


def for_film(scene: Scene) -> None:
    given = {"purposes": ("film",), "assurance": Assurance.CAPTURED}
    scene.request = replace(scene.request, purpose="film")
    scene.consents = {
        "portrait:1": enrol(scene.studio, scene.people.depicted, Role.DEPICTED, **given),
        "driver:1": enrol(scene.studio, scene.people.performer, Role.PERFORMER, **given),
    }


def declare_the_portrait_fictional(scene: Scene) -> None:
    # nobody that the studio knows: an enrolled face is refused as the person it is
    nobody = scene.consents.pop("portrait:1").person_id
    destroy_templates(person_id=nobody, actor="system:test", cause="test")
    scene.request = replace(scene.request, declared_fictional=True)


def hide_a_second_stream(scene: Scene) -> None:
    double = scene.folder / "double.mp4"
    with av.open(str(scene.driving)) as given, av.open(str(double), "w") as made:
        streams = [made.add_stream_from_template(given.streams.video[0]) for _ in range(2)]
        packets = [[packet for packet in given.demux(video=0) if packet.dts is not None]]
        given.seek(0)
        packets.append([packet for packet in given.demux(video=0) if packet.dts is not None])
        for stream, own in zip(streams, packets, strict=True):
            for packet in own:
                packet.stream = stream
                made.mux(packet)
    scene.driving = double


def withdraw(scene: Scene) -> None:
    """The person takes the consent back; the cascade that makes this prompt has not run."""
    withdraw_consent(consent_id=scene.consents["portrait:1"].pk, actor="system:test")


def swap_the_portrait(scene: Scene) -> None:
    path = storage.resolve(scene.standing.portrait.normalised_path)
    write_picture(path, resized(picture_of(scene.people.performer_photos[0]), 512, 512))


def swap_the_driver(scene: Scene) -> None:
    path = storage.resolve(scene.standing.driving.normalised_path)
    shutil.copyfile(scene.people.unrelated_clip, path)


def swap_the_motion(scene: Scene) -> None:
    path = storage.resolve(scene.standing.render_facts["motion_path"])
    save_file({name: values * 0.9 for name, values in load_file(path).items()}, path)


def point_to_another_portrait(scene: Scene) -> None:
    """Who can write to the database makes file and digest fit each other; the decision still says what it was made for."""
    portrait = scene.standing.portrait
    other = write_picture(storage.normalised_file(uuid.uuid4(), ".png"), picture_of(scene.people.portrait)[:, ::-1].copy())
    portrait.normalised_path, portrait.normalised_sha256 = storage.relative(other), file_sha256(other)
    portrait.save()


def encode_the_rendered_clip_again(scene: Scene) -> None:
    rewrite_rendered(scene.standing)


def show_somebody_else(scene: Scene) -> None:
    stranger = torch.from_numpy(resized(picture_of(scene.people.performer_photos[0]), 512, 512))
    scene.patch.setitem(ENGINES, NAME, quick_entry(shown=stranger))


def mark_with_another_id(scene: Scene) -> None:
    def embedder_of_another(record: Record, *, strength: float) -> Embedder:
        other = f"{payload_of(record) ^ 1:016x}"
        return embedder_of(Record(key_name=record.key_name, scheme=record.scheme, watermark_id=other), strength=strength)

    scene.patch.setattr(render, "embedder_of", embedder_of_another)


def skip_the_self_test(scene: Scene) -> None:
    Job.objects.filter(pk=scene.standing.pk).update(stage=Stage.SEAL, self_test={})


def mark_as_another_output(scene: Scene) -> None:
    """File and digest fit, and there is a mark in the file: that of another job."""
    job = scene.standing
    other = reserve_record(job_id=uuid.uuid4(), studio_id=job.studio_id, system="Countersign", system_version="1")
    path = storage.resolve(job.rendered_path)
    unmarked = recompress.recompressed(read_planes(storage.resolve(job.driving.normalised_path)), frame_rate=RATE, crf=18)
    marked = embedder_of(other).embed(unmarked)
    write_planes(path, marked)
    Job.objects.filter(pk=job.pk).update(rendered_sha256=file_sha256(path))


def claim_another_watermark_id(scene: Scene) -> None:
    Job.objects.filter(pk=scene.standing.pk).update(watermark_id="0123456789abcdef")


def sign_attested_consent_in_production(scene: Scene) -> None:
    scene.patch.setattr(seal, "signer", lambda: replace(signer(), development=False))


def withdraw_while_it_is_being_signed(scene: Scene) -> None:
    real = seal.seal_output

    def sign_slowly(**arguments: object) -> object:
        sealed = real(**arguments)  # type: ignore[arg-type]
        withdraw(scene)
        return sealed

    scene.patch.setattr(seal, "seal_output", sign_slowly)


def rewrite_rendered(job: Job) -> None:
    path = storage.resolve(job.rendered_path)
    write_planes(path, recompress.recompressed(read_planes(path), frame_rate=RATE, crf=20))


def write_planes(path: Path, batches: Iterator[FrameBatch]) -> None:
    copy = path.with_name("copy.mp4")
    pieces = list(batches)
    with VideoWriter(copy, width=pieces[0].width, height=pieces[0].height, frame_rate=RATE) as writer:
        for piece in pieces:
            writer.write(piece)
    copy.replace(path)


CHANGED, REFUSED = (Status.FAILED, "artefact_changed"), Status.REFUSED

CASES = [
    Case(
        "clear: the gate's decision",
        name_the_wrong_person,
        Stage.CLEAR,
        (REFUSED, "mismatch"),
        REFUSAL,
        (*STANDING_AT.values(), standing_out(services), SAME_FILES, RENDERED_FACES),
        hurried_reviewer=True,
    ),
    Case(
        "clear: the engine's licence",
        use_a_research_engine_for_a_film,
        Stage.CLEAR,
        (REFUSED, "licence_non_commercial"),
        out(clear, "_require_licence"),
    ),
    Case(
        "clear: one video stream",
        hide_a_second_stream,
        Stage.CLEAR,
        (REFUSED, "second_video_stream"),
        out(clear, "_refusals_beyond_faces", []),
    ),
    Case(
        "clear: screening",
        for_film,
        Stage.CLEAR,
        (Status.IN_REVIEW, "first_uses_of_studio"),
        out(screening, "reasons_for_review", []),
    ),
    Case(
        "render: consents stand",
        withdraw,
        Stage.RENDER,
        (REFUSED, "withdrawn"),
        STANDING_AT[render],
        (STANDING_AT[prove], STANDING_AT[seal]),
    ),
    Case(
        "render: the portrait is unchanged",
        swap_the_portrait,
        Stage.RENDER,
        CHANGED,
        unchanged_out(render, "normalised portrait"),
        (RENDERED_FACES,),
    ),
    Case(
        "render: the driver is unchanged",
        swap_the_driver,
        Stage.RENDER,
        CHANGED,
        unchanged_out(render, "normalised driver"),
    ),
    Case("render: the motion is unchanged", swap_the_motion, Stage.RENDER, CHANGED, unchanged_out(render, "cleared motion")),
    Case("render: the files decided on", point_to_another_portrait, Stage.RENDER, (REFUSED, "changed_input"), SAME_FILES),
    Case(
        "prove: consents stand",
        withdraw,
        Stage.PROVE,
        (REFUSED, "withdrawn"),
        STANDING_AT[prove],
        (STANDING_AT[render], STANDING_AT[seal]),
    ),
    Case(
        "prove: the rendered clip is unchanged",
        encode_the_rendered_clip_again,
        Stage.PROVE,
        CHANGED,
        unchanged_out(prove, "rendered clip"),
        (unchanged_out(seal, "rendered clip"),),
    ),
    Case(
        "prove: the mark reads back",
        mark_with_another_id,
        Stage.RENDER,
        (Status.FAILED, "weak_watermark"),
        SELF_TEST,
        (MARK_IN_FILE,),
    ),
    Case("prove: the rendered faces", show_somebody_else, Stage.RENDER, (REFUSED, "rendered_mismatch"), RENDERED_FACES),
    Case(
        "seal: the inputs stand",
        withdraw,
        Stage.SEAL,
        (REFUSED, "withdrawn"),
        out(seal, "require_inputs_stand"),
        (STANDING_AT[seal],),
    ),
    Case(
        "seal: the rendered clip is unchanged",
        encode_the_rendered_clip_again,
        Stage.SEAL,
        CHANGED,
        unchanged_out(seal, "rendered clip"),
    ),
    Case(
        "seal: the self-test was made",
        skip_the_self_test,
        Stage.PROVE,
        (Status.FAILED, "weak_watermark"),
        out(seal, "_require_proven"),
    ),
    Case("seal: the mark is its own", mark_as_another_output, Stage.SEAL, CHANGED, MARK_IN_FILE),
    Case("seal: the record is its own", claim_another_watermark_id, Stage.SEAL, CHANGED, OWN_RECORD),
    Case(
        "seal: no production signature on attestation",
        sign_attested_consent_in_production,
        Stage.SEAL,
        (REFUSED, "attested_in_production"),
        out(seal, "_require_fit_for"),
    ),
    Case(
        "release: screening",
        declare_the_portrait_fictional,
        Stage.CLEAR,
        (Status.HELD, "declared_fictional_output"),
        out(screening, "reasons_to_hold", []),
        hurried_reviewer=True,
    ),
    Case("release: consents stand", withdraw_while_it_is_being_signed, Stage.SEAL, (REFUSED, "withdrawn"), STANDING_AT[seal]),
]


@pytest.fixture(scope="module", autouse=True)
def _inputs_are_looked_at_once() -> Iterator[None]:
    """Normalising and surveying the same inputs gives the same every time: real once, remembered for the other fifty runs."""
    surveys: dict[bytes, DriverSurvey] = {}
    normalised: dict[str, tuple[bytes, Any]] = {}

    def survey_once(stream: Iterator[FrameBatch], **facts: Any) -> DriverSurvey:
        frames = list(stream)
        key = b"".join(batch.rgb.numpy().tobytes() for batch in frames)
        if key not in surveys:
            surveys[key] = survey_driver(iter(frames), **facts)
        return surveys[key]

    def once(normalise: Callable[..., Any]) -> Callable[..., Any]:
        def normalise_once(source: Path, destination: Path, **facts: Any) -> Any:
            key = file_sha256(source)
            if key not in normalised:
                done = normalise(source, destination, **facts)
                normalised[key] = (done.path.read_bytes(), done)
            content, done = normalised[key]
            destination.write_bytes(content)
            return replace(done, path=destination)

        return normalise_once

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clear, "survey_driver", survey_once)
        patch.setattr(intake, "normalise_still", once(intake.normalise_still))
        patch.setattr(intake, "normalise_video", once(intake.normalise_video))
        yield


@pytest.fixture
def scene(studio: Studio, people: People, in_process: Settings, tmp_path: Path, monkeypatch: Patch) -> Scene:
    """A job that would be released, on an engine that takes no time and with one copy in the self-test."""
    monkeypatch.setitem(ENGINES, NAME, quick_entry())
    monkeypatch.setattr(prove, "_copies", lambda source, rate: {"as encoded": source})
    request = JobRequest(purpose="internal_test", engine=NAME, propose_consents=False)
    consents = enrol_both(studio, people)
    return Scene(studio, people, tmp_path, monkeypatch, consents, people.portrait, people.driving, request)


def play(scene: Scene, case: Case) -> Job:
    """The whole way, with the misuse on it."""
    for take_out in case.others:
        take_out(scene.patch)
    if case.at is Stage.CLEAR:
        case.misuse(scene)
    scene.job = submit(
        scene.studio, portrait=scene.portrait, driving=scene.driving, consents=scene.consents, request=scene.request
    )
    run_stages(scene.job, before=case.at)
    if case.at is not Stage.CLEAR:
        assert scene.standing.stage == case.at
        case.misuse(scene)
    job = run_stages(scene.job)
    if case.hurried_reviewer and job.status == Status.IN_REVIEW:
        job = run_stages(services.approve(job=job, reviewer=reviewer()))
    return job


def reviewer() -> User:
    person = create_user(email="reviewer@example.org", password="a password of the tests", name="Reviewer")
    person.is_staff = True
    person.save()
    return person


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_gate_alone_keeps_the_clip_in(scene: Scene, case: Case) -> None:
    job = play(scene, case)
    status, code = case.stopped
    assert (job.status, selectors.reasons_of(job)[0]["code"]) == (status, code), job.reasons
    with pytest.raises((selectors.OutputUnavailable, selectors.NotReleased)):
        selectors.released_file(job)
    assert status is Status.HELD or not list((storage.store_root() / "outputs" / str(job.pk)).glob("*"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_without_the_gate_the_clip_would_go_out(scene: Scene, case: Case) -> None:
    case.gate(scene.patch)
    job = play(scene, case)
    assert job.status == Status.RELEASED, job.reasons
    assert storage.resolve(job.output_path).is_file()


def released(scene: Scene) -> Job:
    scene.job = submit(
        scene.studio, portrait=scene.portrait, driving=scene.driving, consents=scene.consents, request=scene.request
    )
    return run_stages(scene.job)


def test_a_download_asks_the_consents_once_more(scene: Scene) -> None:
    job = released(scene)
    assert selectors.released_file(job).is_file()
    withdraw(scene)
    with pytest.raises(ConsentRefused):
        selectors.released_file(job)
    standing_out(selectors)(scene.patch)
    assert selectors.released_file(job).is_file()


def test_a_download_hands_out_only_the_file_that_was_sealed(scene: Scene) -> None:
    job = released(scene)
    shutil.copyfile(scene.people.unrelated_clip, storage.resolve(job.output_path))
    with pytest.raises(ArtefactChanged):
        selectors.released_file(job)
    unchanged_out(selectors, "released clip")(scene.patch)
    assert selectors.released_file(job).is_file()


def test_only_the_signer_seals(scene: Scene, settings: Settings) -> None:
    scene.job = submit(
        scene.studio, portrait=scene.portrait, driving=scene.driving, consents=scene.consents, request=scene.request
    )
    run_stages(scene.job, before=Stage.SEAL)
    settings.ROLE = "worker"
    run_stage(stage=Stage.SEAL, job_id=scene.job.pk)
    assert (scene.standing.status, scene.standing.output_path) == (Status.SEALING, "")
    scene.patch.setattr(seal, "SIGNER_ROLE", "worker")
    assert run_stages(scene.job).status == Status.RELEASED


def test_approval_asks_the_consents_before_rendering(scene: Scene) -> None:
    for_film(scene)
    job = released(scene)
    assert job.status == Status.IN_REVIEW
    withdraw(scene)
    with pytest.raises(ConsentRefused):
        services.approve(job=job, reviewer=reviewer())
    assert scene.standing.status == Status.IN_REVIEW
    for asked_at in (render, services):  # before the files are read, and again in the transaction that moves the job on
        standing_out(asked_at)(scene.patch)
    assert services.approve(job=job, reviewer=User.objects.get(is_staff=True)).status == Status.CLEARED


def test_approval_asks_the_consents_before_release(scene: Scene) -> None:
    declare_the_portrait_fictional(scene)
    staff = reviewer()
    job = run_stages(services.approve(job=released(scene), reviewer=staff))
    assert job.status == Status.HELD
    withdraw_consent(consent_id=scene.consents["driver:1"].pk, actor="system:test")
    with pytest.raises(ConsentRefused):
        services.approve(job=job, reviewer=staff)
    assert scene.standing.status == Status.HELD
    for asked_at in (render, release_gate):  # before the files are read, and again in the transaction that moves the job on
        standing_out(asked_at)(scene.patch)
    assert services.approve(job=job, reviewer=staff).status == Status.RELEASED
