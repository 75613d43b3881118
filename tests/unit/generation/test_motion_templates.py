"""Motion templates: recorded from a cleared driver, used under the performer's consent alone, and taken back."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from casting_material import codes, run, submit, upload
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.exceptions import ImproperlyConfigured
from django.core.management import load_command_class
from django.db import connections
from django.utils import timezone
from pytest_django.fixtures import Settings
from quick_engine import Asked
from safetensors.torch import load_file, save_file
from stage_material import FRAMES, HER, HIM, NOBODY, RATE, Sight, agree, write_driver

from audit.models import Event
from consent import services as consent_services
from consent.gate import ConsentRefused
from consent.models import Consent, Person
from consent.policy import WORLD, Assurance, Reason, Role
from consent.services import Scope
from generation import motion_templates, revocation, screening, services, storage
from generation.casting import Casting
from generation.errors import ArtefactChanged, IllegalMove, RefusedByRule
from generation.models import Asset, Job, MotionTemplate
from generation.motion_file import read_motion, write_motion
from generation.motion_templates import Recording
from generation.stages import seal
from generation.states import Stage, Status
from provenance.credentials.sign import SealedFile
from settings import keys
from settings.keys import motion_public_keys, motion_signing_key
from users.models import Studio

pytestmark = pytest.mark.usefixtures("sight")

Apply = Callable[..., Job]
THEIRS = Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))


@pytest.fixture
def driving(studio: Studio, tmp_path: Path) -> Asset:
    return upload(studio, Asset.Kind.VIDEO, write_driver(tmp_path / "driving.mp4"))


@pytest.fixture
def her(studio: Studio) -> Consent:
    return agree(studio, HER, Role.DEPICTED)


@pytest.fixture
def his(studio: Studio) -> Consent:
    return agree(studio, HIM, Role.PERFORMER)


@pytest.fixture
def cleared(studio: Studio, portrait: Asset, driving: Asset, her: Consent, his: Consent) -> Job:
    """A job over a filmed driver, up to its rendering."""
    return run(submit(studio, portrait, driving, {"portrait:1": her, "driver:1": his}), before=Stage.RENDER)


@pytest.fixture
def recording(cleared: Job) -> Recording:
    return motion_templates.record(job=cleared, face="driver:1", actor="system:test")


@pytest.fixture
def apply(studio: Studio, portrait: Asset, her: Consent, his: Consent, tmp_path: Path) -> Apply:
    """A function that runs a job driven by this file as a motion template, under his consent if no other is named."""

    def apply(
        content: bytes, *, named: Consent | None = None, at: Studio | None = None, before: Stage | None = None, **request: Any
    ) -> Job:
        file = tmp_path / "some.motion"
        file.write_bytes(content)
        template = upload(at or studio, Asset.Kind.MOTION, file)
        picture = portrait if at is None else upload(at, Asset.Kind.STILL, tmp_path / "portrait.png")
        depicted = her if at is None else agree(at, HER, Role.DEPICTED)
        consents = {"portrait:1": request.pop("depicted", depicted), "driver:1": named or his}
        return run(submit(at or studio, picture, template, consents, **request), before=before)

    return apply


def of_the_same_person(consent: Consent, **changes: Any) -> Consent:
    """Another consent of the person who gave this one."""
    scope: dict[str, Any] = {
        "role": Role.PERFORMER,
        "purposes": frozenset({"internal_test"}),
        "territories": frozenset({WORLD}),
        "valid_from": consent.valid_from,
        "valid_until": consent.valid_until,
        "voice": False,
    }
    assurance = changes.pop("assurance", Assurance.ATTESTED)
    asked = consent_services.request_consent(
        person=Person.objects.get(pk=consent.person_id),
        scope=Scope(**(scope | changes)),
        assurance=assurance,
        actor="system:test",
        notice_version="t",
    )
    return consent_services.give_consent(consent_id=asked.pk, actor="system:test")


# ---- recorded


def test_a_template_holds_the_cleared_track_and_names_nobody(recording: Recording, his: Consent, cleared: Job) -> None:
    motion = read_motion(recording.content, motion_public_keys(), frames_max=100)
    kept = load_file(storage.resolve(cleared.render_facts["motion_path"]))
    assert np.array_equal(motion.landmarks, kept["driver:1.landmarks"].numpy())
    assert (motion.facts.person, motion.facts.consent) == (his.person_id, his.pk)
    assert (motion.facts.frames, motion.facts.frame_rate) == (FRAMES, RATE)
    assert b"Ada" not in recording.content


def test_a_recording_is_written_down_and_can_be_made_of_a_released_job(cleared: Job) -> None:
    released = run(cleared)
    assert released.status == Status.RELEASED
    template = motion_templates.record(job=released, face="driver:1", actor="user:somebody").template
    assert (template.recorded_by, template.job_id) == ("user:somebody", cleared.pk)
    assert Event.objects.filter(action="motion_template.recorded", subject_id=str(template.pk)).count() == 1


def test_the_depicted_cannot_be_recorded_nor_a_face_that_is_not_there(cleared: Job) -> None:
    for face in ("portrait:1", "driver:2", "driver2:1"):
        with pytest.raises(ConsentRefused, match="no filmed performer"):
            motion_templates.record(job=cleared, face=face, actor="system:test")


def test_a_performer_in_doubt_cannot_be_recorded_although_a_person_let_the_job_go_on(
    studio: Studio, portrait: Asset, driving: Asset, her: Consent, his: Consent, sight: Sight
) -> None:
    sight.driver = (HIM[0] + 0.5, HIM[1])
    job = run(submit(studio, portrait, driving, {"portrait:1": her, "driver:1": his}))
    assert (job.status, codes(job)) == (Status.IN_REVIEW, [("ambiguous", "driver:1")])
    approved = services.approve(job=job, reviewer=None)
    with pytest.raises(ConsentRefused, match="no filmed performer"):
        motion_templates.record(job=approved, face="driver:1", actor="system:test")


def test_a_job_that_is_not_cleared_gives_no_template(studio: Studio, portrait: Asset, driving: Asset) -> None:
    job = submit(studio, portrait, driving, {})
    with pytest.raises(IllegalMove, match="submitted"):
        motion_templates.record(job=job, face="driver:1", actor="system:test")
    assert run(job).status == Status.REFUSED
    with pytest.raises(IllegalMove, match="refused"):
        motion_templates.record(job=job, face="driver:1", actor="system:test")


def test_nothing_is_recorded_once_a_consent_behind_the_job_ended(cleared: Job, her: Consent) -> None:
    consent_services.withdraw_consent(consent_id=her.pk, actor="system:test")
    with pytest.raises(ConsentRefused, match="withdrawn"):
        motion_templates.record(job=cleared, face="driver:1", actor="system:test")


def test_motion_that_is_not_what_was_cleared_is_not_recorded(cleared: Job) -> None:
    path = storage.resolve(cleared.render_facts["motion_path"])
    tensors = load_file(path)
    save_file({name: torch.zeros_like(tensor) for name, tensor in tensors.items()}, path)
    with pytest.raises(ArtefactChanged):
        motion_templates.record(job=cleared, face="driver:1", actor="system:test")


def test_a_template_is_not_recorded_from_a_template(recording: Recording, apply: Apply) -> None:
    job = apply(recording.content, before=Stage.RENDER)
    assert job.status == Status.CLEARED
    with pytest.raises(ConsentRefused, match="no filmed performer"):
        motion_templates.record(job=job, face="driver:1", actor="system:test")


# ---- used


def test_a_template_performs_as_its_driver_did_without_sound(recording: Recording, apply: Apply, asked: Asked) -> None:
    job = apply(recording.content)
    assert job.status == Status.RELEASED, job.reasons
    (performance,) = asked.performances
    motion = motion_templates.read(storage.resolve(job.driving.normalised_path))
    assert np.array_equal(performance.track.landmarks.numpy(), motion.landmarks)
    assert (job.render_facts["frames"], job.render_facts["audio"]) == (FRAMES, False)
    assert job.decision is not None
    performer = next(face for face in job.decision["faces"] if face["face"] == "driver:1")
    assert performer["recorded_under"] == str(recording.template.consent_id)


def test_the_performers_consent_is_proposed(
    recording: Recording, studio: Studio, portrait: Asset, tmp_path: Path, his: Consent
) -> None:
    file = tmp_path / "some.motion"
    file.write_bytes(recording.content)
    template = upload(studio, Asset.Kind.MOTION, file)
    request = services.JobRequest("internal_test", "quick")
    job = services.submit(studio=studio, portrait=portrait, driving=template, request=request, actor="system:test")
    assert run(job, before=Stage.RENDER).named_consents["driver:1"] == str(his.pk)


def test_a_template_can_drive_beside_a_filmed_lead(
    recording: Recording,
    studio: Studio,
    portrait: Asset,
    driving: Asset,
    her: Consent,
    his: Consent,
    sight: Sight,
    tmp_path: Path,
) -> None:
    sight.beside = ((0.0, 9.0),)
    file = tmp_path / "some.motion"
    file.write_bytes(recording.content)
    template = upload(studio, Asset.Kind.MOTION, file)
    consents = {
        "portrait:1": her,
        "portrait:2": agree(studio, (0.0, 9.0), Role.DEPICTED),
        "driver:1": his,
        "driver2:1": his,
    }
    job = run(submit(studio, portrait, driving, consents, cast=[Casting(driving, face=1), Casting(template, face=2)]))
    assert job.status == Status.RELEASED, job.reasons


# ---- refused by rule


def test_a_withdrawn_consent_refuses_its_performers_templates(recording: Recording, apply: Apply, his: Consent) -> None:
    revocation.revoke(consent_id=his.pk, reason="", actor="system:test")
    job = apply(recording.content)
    assert (job.status, codes(job)) == (Status.REFUSED, [("withdrawn", "driver:1")])


def test_another_consent_of_the_same_person_does_not_outlive_the_withdrawal_of_the_one_recorded_under(
    recording: Recording, apply: Apply, his: Consent
) -> None:
    other = of_the_same_person(his)
    revocation.revoke(consent_id=his.pk, reason="", actor="system:test")
    job = apply(recording.content, named=other)
    assert (job.status, codes(job)) == (Status.REFUSED, [("template_ended", "driver:1")])
    assert "withdrawn" in job.reasons[0]["message"]


def test_withdrawing_the_consent_recorded_under_reaches_jobs_that_name_another(
    recording: Recording, apply: Apply, his: Consent
) -> None:
    running = apply(recording.content, named=of_the_same_person(his), before=Stage.RENDER)
    assert running.status == Status.CLEARED
    revocation.revoke(consent_id=his.pk, reason="", actor="system:test")
    running.refresh_from_db()
    assert running.status == Status.CANCELLED


def test_a_consent_suspended_after_the_decision_stops_a_template_in_flight(
    recording: Recording, apply: Apply, his: Consent
) -> None:
    running = apply(recording.content, named=of_the_same_person(his), before=Stage.RENDER)
    Consent.objects.filter(pk=his.pk).update(state="suspended")
    job = run(running)
    assert (job.status, codes(job)) == (Status.REFUSED, [("template_ended", "driver:1")])


def test_a_recording_outlives_the_term_of_its_consent_under_a_new_one(recording: Recording, apply: Apply, his: Consent) -> None:
    renewed = of_the_same_person(his)
    Consent.objects.filter(pk=his.pk).update(
        valid_until=his.valid_from + timedelta(seconds=1), state="expired", ended_at=his.given_at
    )
    assert apply(recording.content, before=Stage.RENDER).status == Status.REFUSED
    assert apply(recording.content, named=renewed, before=Stage.RENDER).status == Status.CLEARED


def test_the_consent_of_somebody_else_does_not_cover_a_template(recording: Recording, apply: Apply, studio: Studio) -> None:
    stranger = agree(studio, NOBODY, Role.PERFORMER)
    job = apply(recording.content, named=stranger)
    assert (job.status, codes(job)) == (Status.REFUSED, [("mismatch", "driver:1")])


def test_the_consent_has_to_cover_this_use(recording: Recording, apply: Apply, her: Consent, studio: Studio) -> None:
    filmed = agree(studio, HER, Role.DEPICTED, purpose="film", assurance=Assurance.CAPTURED)
    job = apply(recording.content, purpose="film", depicted=filmed)
    assert (job.status, codes(job)) == (Status.REFUSED, [("out_of_scope", "driver:1")])


def test_the_consent_has_to_be_one_of_a_performer(recording: Recording, apply: Apply, his: Consent) -> None:
    job = apply(recording.content, named=of_the_same_person(his, role=Role.DEPICTED))
    assert (job.status, codes(job)) == (Status.REFUSED, [("out_of_scope", "driver:1")])


def test_a_recording_made_on_an_operators_word_does_not_serve_what_needs_the_persons_own(
    recording: Recording, apply: Apply, his: Consent, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screening, "FIRST_JOBS_REVIEWED", 0)
    filmed = agree(studio, HER, Role.DEPICTED, purpose="film", assurance=Assurance.CAPTURED)
    own = of_the_same_person(his, purposes=frozenset({"film"}), assurance=Assurance.CAPTURED)
    job = apply(recording.content, purpose="film", depicted=filmed, named=own)
    assert (job.status, codes(job)) == (Status.REFUSED, [("template_ended", "driver:1")])
    assert "attested" in job.reasons[0]["message"]


def test_a_revoked_template_is_refused_before_and_during_a_job(recording: Recording, apply: Apply) -> None:
    running = apply(recording.content, before=Stage.RENDER)
    motion_templates.revoke(template=recording.template, reason="worn out", actor="system:test")
    refused = apply(recording.content)
    assert codes(refused) == [("template_revoked", None)]
    assert str(recording.template.pk) in refused.reasons[0]["message"]
    stopped = run(running)
    assert str(recording.template.pk) in stopped.reasons[0]["message"]
    assert (stopped.status, codes(stopped)) == (Status.CANCELLED, [("template_revoked", None)])


def taken_back_unnoticed(recording: Recording) -> None:
    """Revoked, and nothing has reached the jobs yet."""
    MotionTemplate.objects.filter(pk=recording.template.pk).update(revoked_at=timezone.now())


@pytest.mark.parametrize("before", [Stage.RENDER, Stage.SEAL])
def test_every_stage_asks_about_the_template_again(recording: Recording, apply: Apply, before: Stage) -> None:
    running = apply(recording.content, before=before)
    taken_back_unnoticed(recording)
    stopped = run(running)
    assert (stopped.status, codes(stopped)) == (Status.REFUSED, [("template_revoked", None)])


def test_a_template_revoked_while_its_clip_is_signed_keeps_the_clip_in(
    recording: Recording, apply: Apply, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = seal.seal_output

    def sign_slowly(**arguments: Any) -> SealedFile:
        taken_back_unnoticed(recording)
        return real(**arguments)

    monkeypatch.setattr(seal, "seal_output", sign_slowly)
    job = apply(recording.content)
    assert (job.status, codes(job)) == (Status.REFUSED, [("template_revoked", None)])


def test_a_held_clip_is_not_approved_once_its_template_was_revoked(
    recording: Recording, apply: Apply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screening, "reasons_to_hold", lambda job: [Reason("looked_at", "A person looks first.")])
    held = apply(recording.content)
    assert held.status == Status.HELD
    taken_back_unnoticed(recording)
    with pytest.raises(RefusedByRule, match="revoked"):
        services.approve(job=held, reviewer=None)
    held.refresh_from_db()
    assert held.status == Status.HELD


def test_revoking_cancels_held_jobs_and_leaves_released_clips(
    recording: Recording, apply: Apply, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = apply(recording.content)
    monkeypatch.setattr(screening, "reasons_to_hold", lambda job: [Reason("looked_at", "A person looks first.")])
    held = apply(recording.content)
    motion_templates.revoke(template=recording.template, reason="worn out", actor="system:test")
    for job in (released, held):
        job.refresh_from_db()
    assert (released.status, held.status) == (Status.RELEASED, Status.CANCELLED)


def test_revoking_twice_is_revoking_once(recording: Recording) -> None:
    first = motion_templates.revoke(template=recording.template, reason="worn out", actor="system:test").revoked_at
    again = motion_templates.revoke(template=recording.template, reason="again", actor="system:test")
    assert (again.revoked_at, again.revoked_reason) == (first, "worn out")
    assert Event.objects.filter(action="motion_template.revoked").count() == 1


def test_a_template_whose_record_is_gone_is_refused(recording: Recording, apply: Apply) -> None:
    MotionTemplate.objects.all().delete()
    job = apply(recording.content)
    assert (job.status, codes(job)) == (Status.REFUSED, [("template_unknown", None)])


def test_a_template_of_another_studio_is_refused(recording: Recording, apply: Apply, other_studio: Studio) -> None:
    job = apply(recording.content, at=other_studio, named=agree(other_studio, HIM, Role.PERFORMER))
    assert (job.status, codes(job)) == (Status.REFUSED, [("template_unknown", None)])


def test_a_file_that_our_key_signed_but_nobody_recorded_is_refused(recording: Recording, apply: Apply) -> None:
    key = motion_signing_key()
    motion = read_motion(recording.content, [key.public_key()], frames_max=100)
    motion.landmarks[0] += 1
    job = apply(write_motion(motion, key))
    assert (job.status, codes(job)) == (Status.REFUSED, [("template_unknown", None)])


# ---- the keys


def public(*keys: Ed25519PrivateKey) -> tuple[bytes, ...]:
    return tuple(key.public_key().public_bytes_raw() for key in keys)


def test_who_reads_templates_needs_no_private_key(
    recording: Recording, apply: Apply, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MOTION_PUBLIC_KEYS = public(motion_signing_key())
    monkeypatch.setattr(motion_templates, "motion_signing_key", lambda: pytest.fail("it asked for the private key"))
    monkeypatch.setattr(keys, "motion_signing_key", lambda: pytest.fail("it asked for the private key"))
    assert apply(recording.content, before=Stage.RENDER).status == Status.CLEARED


def test_templates_of_the_key_before_count_while_it_is_listed(recording: Recording, apply: Apply, settings: Settings) -> None:
    settings.MOTION_PUBLIC_KEYS = public(THEIRS, motion_signing_key())
    assert apply(recording.content, before=Stage.RENDER).status == Status.CLEARED
    settings.MOTION_PUBLIC_KEYS = public(THEIRS)
    job = apply(recording.content)
    assert (job.status, codes(job)) == (Status.FAILED, [("bad_input", None)])


def test_nothing_is_signed_by_a_key_that_no_reader_knows(cleared: Job, settings: Settings) -> None:
    settings.MOTION_PUBLIC_KEYS = public(THEIRS)
    with pytest.raises(ImproperlyConfigured, match="template key"):
        motion_templates.record(job=cleared, face="driver:1", actor="system:test")
    assert not MotionTemplate.objects.exists()


# ---- bad input


def forged(content: bytes) -> bytes:
    """The same words and numbers, signed by somebody else, who also got their digest into the database."""
    return write_motion(read_motion(content, motion_public_keys(), frames_max=100), THEIRS)


def test_a_template_that_another_key_signed_is_bad_input_even_if_a_row_vouches_for_it(recording: Recording, apply: Apply) -> None:
    false = forged(recording.content)
    MotionTemplate.objects.update(sha256=hashlib.sha256(false).hexdigest())
    job = apply(false)
    assert (job.status, codes(job)) == (Status.FAILED, [("bad_input", None)])
    assert "not signed by this platform" in job.reasons[0]["message"]


@pytest.mark.parametrize(
    "change", [lambda c: c[:-1] + b"\x01", lambda c: c[:-4], lambda c: b"PK\x03\x04" + c, lambda c: b"\x80\x05."]
)
def test_whatever_is_no_template_of_ours_is_bad_input_with_the_reason(
    recording: Recording, apply: Apply, change: Callable[[bytes], bytes]
) -> None:
    job = apply(change(recording.content))
    assert (job.status, job.stage, codes(job)) == (Status.FAILED, Stage.CLEAR, [("bad_input", None)])
    assert job.reasons[0]["message"].startswith("Performance: ")


def test_a_template_that_is_mostly_gaps_is_bad_input(
    studio: Studio, portrait: Asset, driving: Asset, her: Consent, his: Consent, sight: Sight, apply: Apply
) -> None:
    sight.absent = range(0, 2)
    job = run(submit(studio, portrait, driving, {"portrait:1": her, "driver:1": his}), before=Stage.RENDER)
    gap = motion_templates.record(job=job, face="driver:1", actor="system:test").content
    assert [warning["start_s"] for warning in apply(gap).render_facts["warnings"]] == [0.0]


# ---- the command line


@pytest.fixture
def command(db: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    monkeypatch.setattr(connections, "close_all", lambda: None)

    def call(*arguments: str) -> tuple[int, Any]:
        code = 0
        try:
            load_command_class("generation", "template").run_from_argv(["manage.py", "template", *arguments, "--json"])
        except SystemExit as end:
            code = int(end.code or 0)
        return code, json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    return call


def test_the_command_records_lists_and_revokes(
    command: Callable[..., tuple[int, Any]], cleared: Job, studio: Studio, tmp_path: Path, apply: Apply
) -> None:
    file = tmp_path / "his.motion"
    code, recorded = command("record", "--job", str(cleared.pk), "--out", str(file))
    assert (code, recorded["face"], recorded["frames"], recorded["output"]) == (0, "driver:1", FRAMES, str(file))
    assert apply(file.read_bytes(), before=Stage.RENDER).status == Status.CLEARED
    assert command("list", "--studio", studio.slug)[1]["results"][0]["template"] == recorded["template"]
    code, revoked = command("revoke", recorded["template"], "--reason", "worn out")
    assert (code, revoked["revoked"] is not None) == (0, True)


def test_a_recording_is_for_its_owner_alone_whoever_could_read_the_file_before_it(
    command: Callable[..., tuple[int, Any]], cleared: Job, tmp_path: Path
) -> None:
    file = tmp_path / "his.motion"
    file.write_bytes(b"an older one")
    file.chmod(0o644)
    with file.open("rb") as opened_before:
        assert command("record", "--job", str(cleared.pk), "--out", str(file))[0] == 0
        assert opened_before.read() == b"an older one"
    assert (file.stat().st_mode & 0o777, [*tmp_path.glob(".his*")]) == (0o600, [])
    motion_templates.read(file)


def test_a_recording_takes_no_place_that_is_not_a_files(
    command: Callable[..., tuple[int, Any]], cleared: Job, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert command("record", "--job", str(cleared.pk), "--out", str(tmp_path / "pipe"))[0] == 64
    assert not MotionTemplate.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["record"], 64),
        (["record", "--job", "{job}", "--out", "x.motion", "--face", "nose"], 64),
        (["record", "--job", "{job}", "--out", "x.motion", "--face", "driver:2"], 2),
        (["list", "--studio", "nowhere"], 64),
        (["revoke"], 64),
        (["dance"], 64),
    ],
)
def test_the_command_explains_what_it_cannot_do(
    command: Callable[..., tuple[int, Any]], cleared: Job, tmp_path: Path, arguments: list[str], code: int
) -> None:
    filled = [text.format(job=cleared.pk).replace("x.motion", str(tmp_path / "x.motion")) for text in arguments]
    left, answer = command(*filled)
    assert (left, bool(answer["error"]["message"])) == (code, True)
    assert not (tmp_path / "x.motion").exists()
