"""What has to be refused is: with the face named, the fix said, and nothing rendered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from builders import (
    People,
    Picture,
    assert_refused,
    enrol,
    enrol_both,
    enrol_expired,
    frames_of,
    pasted,
    picture_of,
    resized,
    run_stages,
    submit,
    write_frames,
    write_picture,
)
from django.core.management import call_command
from django.utils import timezone
from torch import Tensor

from consent.faces.observed import DriverSurvey
from consent.models import Consent
from consent.policy import Assurance, Role
from consent.services import suspend_consent, withdraw_consent
from generation.job_request import JobRequest
from generation.management.commands import generate
from generation.models import Job
from generation.stages import clear
from generation.states import Stage, Status
from media.frames import FrameStream
from media.tracking import FaceDetection, FaceDetector
from tests.hostile.make import write_clip
from users.models import Studio

pytestmark = pytest.mark.usefixtures("in_process")

BESIDE = (440, 10)  # room for a second face in the talking man's picture
MIDDLE = 4  # a frame that no periodic search looks at
AS_NAMED = JobRequest(purpose="internal_test", engine="mesh", propose_consents=False)
LOOK = clear.survey_driver
Detections = list[list[FaceDetection]]


def cleared(
    studio: Studio,
    people: People,
    consents: dict[str, Consent],
    *,
    portrait: Path | None = None,
    driving: Path | None = None,
    request: JobRequest = AS_NAMED,
) -> Job:
    """The job of the two people, or of other files, after the gate was asked."""
    job = submit(
        studio,
        portrait=portrait or people.portrait,
        driving=driving or people.driving,
        consents=consents,
        request=request,
    )
    return run_stages(job, before=Stage.RENDER)


@pytest.fixture(scope="module", autouse=True)
def _each_clip_is_looked_at_once() -> Iterator[None]:
    """Most refusals are about the same clip; what its faces are is a function of its pixels."""
    known: dict[str, DriverSurvey] = {}

    def survey_driver(stream: FrameStream, **how: Any) -> DriverSurvey:
        batches = list(stream)
        key = hashlib.sha256(b"".join(batch.rgb.numpy().tobytes() for batch in batches)).hexdigest()
        if key not in known:
            known[key] = LOOK(iter(batches), **how)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clear, "survey_driver", survey_driver)
        yield


@pytest.fixture
def woman(people: People) -> Picture:
    """The astronaut's head, 260 x 260."""
    return picture_of(people.portrait)[:260, 90:350]


@pytest.fixture
def man(people: People) -> Picture:
    """The talking man's head, 300 x 300."""
    return picture_of(people.performer_photos[0])[110:410, 140:440]


@pytest.fixture
def frames(people: People) -> list[Picture]:
    """The first seven frames of the driver."""
    return frames_of(people.driving)[:7]


def turned(piece: Picture, quarters: int) -> Picture:
    return np.ascontiguousarray(np.rot90(piece, quarters))


def yuv(picture: Picture) -> Picture:
    """RGB (H, W, 3) as yuv420p (3H/2, W)."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace="ITU709").to_ndarray()


def stored_clip(path: Path, frames: list[Picture], *, streams: int = 1, rotation: int = 0) -> Path:
    """A clip with several video streams or with a display matrix, as no writer of ours makes it."""
    height, width = frames[0].shape[:2]
    pictures = [yuv(frame) for frame in frames]
    return write_clip(
        path,
        size=(width, height),
        frames=len(frames),
        picture=lambda _width, _height, index: pictures[index % len(pictures)],
        streams=streams,
        rotation=rotation,
    )


def test_the_same_job_with_both_consents_is_cleared(studio: Studio, people: People) -> None:
    """What the refusals below are measured against: nothing else about these files stands in the way."""
    assert cleared(studio, people, enrol_both(studio, people)).status == Status.CLEARED


def test_nobody_is_animated_without_consent(studio: Studio, people: People) -> None:
    job = run_stages(submit(studio, portrait=people.portrait, driving=people.driving))
    for face in ("portrait:1", "driver:1"):
        assert "Ask this person for consent" in assert_refused(job, "unnamed", face)


@pytest.mark.parametrize("missing", ["portrait:1", "driver:1"])
def test_one_consent_of_two_is_not_enough(missing: str, studio: Studio, people: People) -> None:
    consents = enrol_both(studio, people)
    del consents[missing]
    assert_refused(cleared(studio, people, consents), "unnamed", missing)


def test_an_expired_consent_no_longer_covers(studio: Studio, people: People) -> None:
    consents = {**enrol_both(studio, people), "portrait:1": enrol_expired(studio, people.depicted, Role.DEPICTED)}
    assert "Ask this person for a new consent" in assert_refused(cleared(studio, people, consents), "expired", "portrait:1")


def test_a_consent_does_not_cover_before_it_begins(studio: Studio, people: People) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    later = enrol(studio, people.depicted, Role.DEPICTED, valid_from=tomorrow, valid_until=tomorrow + timedelta(days=1))
    job = cleared(studio, people, {**enrol_both(studio, people), "portrait:1": later})
    assert tomorrow.date().isoformat() in assert_refused(job, "not_started", "portrait:1")


def test_a_consent_to_tests_does_not_cover_a_film(studio: Studio, people: People) -> None:
    job = cleared(studio, people, enrol_both(studio, people), request=replace(AS_NAMED, purpose="film"))
    for face in ("portrait:1", "driver:1"):
        message = assert_refused(job, "out_of_scope", face)
        assert "film" in message
        assert "wider consent" in message


def test_a_consent_for_one_country_does_not_cover_another(studio: Studio, people: People) -> None:
    german = enrol(studio, people.depicted, Role.DEPICTED, territories=["DE"])
    request = replace(AS_NAMED, territories=("FR",))
    job = cleared(studio, people, {**enrol_both(studio, people), "portrait:1": german}, request=request)
    assert "FR" in assert_refused(job, "out_of_scope", "portrait:1")


@pytest.mark.parametrize(
    ("role", "face"), [(Role.PERFORMER, "portrait:1"), (Role.DEPICTED, "driver:1")], ids=["depicted", "performing"]
)
def test_a_consent_for_the_other_role_does_not_cover(role: Role, face: str, studio: Studio, people: People) -> None:
    template = people.depicted if face == "portrait:1" else people.performer
    job = cleared(studio, people, {**enrol_both(studio, people), face: enrol(studio, template, role)})
    assert f"role {role}" in assert_refused(job, "out_of_scope", face)


def test_a_withdrawn_consent_covers_nothing(studio: Studio, people: People) -> None:
    consents = enrol_both(studio, people)
    withdraw_consent(consent_id=consents["driver:1"].pk, actor="system:test")
    assert_refused(cleared(studio, people, consents), "withdrawn", "driver:1")


def test_a_suspended_consent_covers_nothing(studio: Studio, people: People) -> None:
    consents = enrol_both(studio, people)
    suspend_consent(consent_id=consents["portrait:1"].pk, actor="system:test", reason="the person asked")
    assert "moderators" in assert_refused(cleared(studio, people, consents), "suspended", "portrait:1")


def test_another_studios_consent_reads_like_none(studio: Studio, other_studio: Studio, people: People) -> None:
    theirs = enrol_both(other_studio, people)
    job = cleared(studio, people, theirs)
    for face in theirs:
        assert "consent of this studio" in assert_refused(job, "unknown", face)
    proposed = run_stages(submit(studio, portrait=people.portrait, driving=people.driving), before=Stage.RENDER)
    assert_refused(proposed, "unnamed", "portrait:1")  # nor is it proposed


def test_one_persons_consent_does_not_cover_another(studio: Studio, people: People) -> None:
    mixed = {
        "portrait:1": enrol(studio, people.performer, Role.DEPICTED),
        "driver:1": enrol(studio, people.depicted, Role.PERFORMER),
    }
    job = cleared(studio, people, mixed)
    for face in mixed:
        assert_refused(job, "mismatch", face)


def test_a_consent_for_a_face_that_is_not_there_refuses(studio: Studio, people: People) -> None:
    consents = enrol_both(studio, people)
    job = cleared(studio, people, {**consents, "portrait:2": consents["portrait:1"]})
    assert_refused(job, "name_without_face", "portrait:2")


@pytest.mark.parametrize("quarters", [0, 1, 2], ids=["upright", "on its side", "upside down"])
def test_a_second_face_in_the_still_needs_its_own_consent(
    quarters: int, studio: Studio, people: People, man: Picture, tmp_path: Path
) -> None:
    both = pasted(picture_of(people.portrait), turned(resized(man, 120, 120), quarters), 380, 20)
    portrait = write_picture(tmp_path / "two.png", both)
    job = cleared(studio, people, enrol_both(studio, people), portrait=portrait)
    assert "Ask this person" in assert_refused(job, "unnamed", "portrait:2")


def test_a_face_under_the_transparency_of_the_still_is_found(
    studio: Studio, people: People, man: Picture, tmp_path: Path
) -> None:
    portrait = picture_of(people.portrait)
    layered = np.dstack([pasted(portrait, resized(man, 200, 200), 310, 300), np.full(portrait.shape[:2], 255, np.uint8)])
    layered[300:500, 310:510, 3] = 0
    path = tmp_path / "layered.png"
    write_picture(path, layered)
    job = cleared(studio, people, enrol_both(studio, people), portrait=path)
    assert "Flatten" in assert_refused(job, "hidden_face", "portrait:2")


@pytest.mark.parametrize("quarters", [0, 1, 2, 3], ids=["upright", "on its left", "upside down", "on its right"])
def test_a_second_face_in_one_frame_of_the_driver_needs_its_own_consent(
    quarters: int, studio: Studio, people: People, frames: list[Picture], woman: Picture, tmp_path: Path
) -> None:
    frames[MIDDLE] = pasted(frames[MIDDLE], turned(woman, quarters), *BESIDE)
    job = cleared(studio, people, enrol_both(studio, people), driving=write_frames(tmp_path / "driver.mp4", frames))
    assert "Ask this person" in assert_refused(job, "unnamed", "driver:2")


def test_a_small_face_in_one_frame_of_the_driver_is_not_missed(
    studio: Studio, people: People, frames: list[Picture], woman: Picture, tmp_path: Path
) -> None:
    """Forty pixels wide: the tracker, which looks at the whole frame, does not see it."""
    frames[MIDDLE] = pasted(frames[MIDDLE], resized(woman, 110, 110), *BESIDE)
    job = cleared(studio, people, enrol_both(studio, people), driving=write_frames(tmp_path / "driver.mp4", frames))
    assert "too small" in assert_refused(job, "unmatchable", "driver:2")


def test_somebody_swapped_in_at_the_same_place_needs_their_own_consent(
    studio: Studio, people: People, frames: list[Picture], woman: Picture, tmp_path: Path
) -> None:
    for index in (3, 4, 5):
        frames[index] = pasted(frames[index], resized(woman, 360, 360), 110, 60)
    job = cleared(studio, people, enrol_both(studio, people), driving=write_frames(tmp_path / "driver.mp4", frames))
    assert_refused(job, "unnamed", "driver:2")


@pytest.fixture
def blind_after_the_first_frame(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """A detector that sees what stands on the right only in the first frame it is shown; the list counts what it lost."""
    detect = FaceDetector.detect
    shown: list[int] = []
    lost: list[int] = []

    def see(self: FaceDetector, pictures: Tensor, **how: Any) -> Detections:
        found = detect(self, pictures, **how)
        if how.get("thorough"):
            return found
        result: Detections = []
        for faces in found:
            first = not how and not shown
            shown.append(1)
            kept = [face for face in faces if first or face.box[0] < BESIDE[0]]
            lost.append(len(faces) - len(kept))
            result.append(kept)
        return result

    monkeypatch.setattr(FaceDetector, "detect", see)
    yield lost
    assert sum(lost) > 0, "the detector would have seen it anyway"


@pytest.mark.usefixtures("blind_after_the_first_frame")
def test_a_face_that_only_the_tracker_still_follows_counts_on_every_frame(
    studio: Studio,
    people: People,
    frames: list[Picture],
    woman: Picture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    surveys: list[DriverSurvey] = []

    def survey_driver(*stream: Any, **how: Any) -> DriverSurvey:
        surveys.append(LOOK(*stream, **how))
        return surveys[-1]

    monkeypatch.setattr(clear, "survey_driver", survey_driver)
    both = [pasted(frame, woman, *BESIDE) for frame in frames]
    job = cleared(studio, people, enrol_both(studio, people), driving=write_frames(tmp_path / "driver.mp4", both))
    assert_refused(job, "unnamed", "driver:2")
    assert [face.frames for face in surveys[0].faces] == [len(frames), len(frames)]


def test_a_second_video_stream_is_refused(studio: Studio, people: People, frames: list[Picture], tmp_path: Path) -> None:
    driving = stored_clip(tmp_path / "two.mp4", frames, streams=2)
    job = cleared(studio, people, enrol_both(studio, people), driving=driving)
    assert "export it again" in assert_refused(job, "second_video_stream", "driver:stream:2")


def test_a_driver_is_looked_at_as_its_display_matrix_shows_it(
    studio: Studio, people: People, frames: list[Picture], woman: Picture, tmp_path: Path
) -> None:
    consents = enrol_both(studio, people)
    sideways = [turned(frame, 1) for frame in frames]
    honest = stored_clip(tmp_path / "honest.mp4", sideways, rotation=90)
    assert cleared(studio, people, consents, driving=honest).status == Status.CLEARED
    sideways[MIDDLE] = turned(pasted(frames[MIDDLE], woman, *BESIDE), 1)
    crowded = stored_clip(tmp_path / "crowded.mp4", sideways, rotation=90)
    assert_refused(cleared(studio, people, consents, driving=crowded), "unnamed", "driver:2")


# --- the command line ----------------------------------------------------------------------------------------------------


Generate = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run_generate(studio: Studio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Generate:
    """The command, with the stages done in this process in place of workers."""
    monkeypatch.setattr(generate, "wait_for", run_stages)

    def run(portrait: Path, driving: Path, *more: str, purpose: str = "internal_test") -> tuple[int, dict[str, Any]]:
        files = ["--portrait", str(portrait), "--driving", str(driving)]
        with pytest.raises(SystemExit) as stop:
            call_command("generate", "--studio", studio.slug, *files, "--purpose", purpose, "--json", *more)
        return int(stop.value.code or 0), json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


def test_generate_without_consent_exits_2_and_lists_the_faces(run_generate: Generate, people: People, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    code, answer = run_generate(people.portrait, people.driving, "--out", str(out))
    assert (code, answer["status"], answer["output"]) == (2, "refused", None)
    assert {reason["face"] for reason in answer["reasons"]} == {"portrait:1", "driver:1"}
    assert not out.exists()


def test_generate_out_of_purpose_exits_2(run_generate: Generate, studio: Studio, people: People) -> None:
    enrol_both(studio, people)
    code, answer = run_generate(people.portrait, people.driving, purpose="film")
    assert code == 2
    assert {reason["code"] for reason in answer["reasons"]} == {"out_of_scope"}
    assert {reason["face"] for reason in answer["reasons"]} == {"portrait:1", "driver:1"}


def test_generate_with_another_studios_consent_exits_2(run_generate: Generate, other_studio: Studio, people: People) -> None:
    named = [f"--consent={face}={consent.pk}" for face, consent in enrol_both(other_studio, people).items()]
    code, answer = run_generate(people.portrait, people.driving, *named)
    assert code == 2
    assert {reason["code"] for reason in answer["reasons"]} == {"unknown"}


def test_generate_with_a_stronger_looking_consent_still_exits_2_when_it_expired(
    run_generate: Generate, studio: Studio, people: People
) -> None:
    over = timezone.now() - timedelta(hours=1)
    consents = enrol_both(studio, people)
    consents["portrait:1"] = enrol(
        studio,
        people.depicted,
        Role.DEPICTED,
        assurance=Assurance.IDENTIFIED,
        valid_from=over - timedelta(days=1),
        valid_until=over,
    )
    code, answer = run_generate(
        people.portrait, people.driving, *[f"--consent={face}={consent.pk}" for face, consent in consents.items()]
    )
    assert code == 2
    assert [(reason["code"], reason["face"]) for reason in answer["reasons"]] == [("expired", "portrait:1")]
