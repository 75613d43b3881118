"""Two clips go the whole way; then copies and forgeries of them get the verdict they deserve."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import People, enrol_both, frames_of, run_stages, submit, write_frames
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings
from pytest_django.plugin import DjangoDbBlocker
from quick_engine import NAME, quick_entry
from torch.nn import functional as F

from generation import dispatch, revocation
from generation.demo import copies, material
from generation.engines import ENGINES
from generation.errors import InvalidRequest
from generation.job_request import JobRequest
from generation.models import Job
from generation.posters import poster
from generation.selectors import OutputUnavailable, released_file
from generation.stages import seal
from generation.states import Status
from generation.verification import verify_file
from media.frames import YuvPlanes
from media.limits import MediaLimits
from media.video import VideoWriter, probe, read_planes
from media.video.untrusted import stream_untrusted
from portal.public_answer import public_answer
from provenance.credentials.pki import CHAIN_FILE, KEY_FILE, ROOT_FILE, load_signer
from provenance.credentials.sign import seal_output
from provenance.examine import look
from provenance.models import Record, WatermarkKey
from provenance.services import end_keys
from users.models import Studio
from users.services import create_studio

pytestmark = pytest.mark.django_db
FRAMES = 60


@dataclass(frozen=True)
class Released:
    job: Job
    file: Path


@pytest.fixture(scope="module")
def outputs(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, people: People, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Released]]:
    """A and B: one portrait, one performer, two moments of the performance. Committed, so that every test sees them."""
    folder = tmp_path_factory.mktemp("outputs")
    with django_db_blocker.unblock():
        with pytest.MonkeyPatch.context() as patch, override_settings(ROLE="signer", JOB_LEASE_SECONDS=600):
            patch.setattr(dispatch, "send", lambda job_id, stage: None)
            patch.setitem(ENGINES, NAME, quick_entry())
            studio = create_studio(slug="verdicts", name="Verdicts")
            consents = enrol_both(studio, people)
            made = {
                name: release(studio, people, consents, folder / f"{name}.mp4", first) for name, first in (("a", 0), ("b", 60))
            }
        yield made
        call_command("flush", interactive=False, verbosity=0)


def release(studio: Studio, people: People, consents: dict[str, Any], driving: Path, first: int) -> Released:
    material.write_talking_head(driving, first=first, frames=FRAMES, enlargement=2)
    request = JobRequest(purpose="internal_test", engine=NAME)
    job = run_stages(submit(studio, portrait=people.portrait, driving=driving, consents=consents, request=request))
    assert job.status == Status.RELEASED, job.reasons
    return Released(job, released_file(job))


def verdict_on(path: Path) -> dict[str, Any]:
    return verify_file(path)


def test_as_released_it_is_confirmed(outputs: dict[str, Released]) -> None:
    answer = verdict_on(outputs["a"].file)
    assert answer["verdict"] == "confirmed"
    assert answer["manifest_id"] == outputs["a"].job.manifest_id
    assert answer["record"]["watermark_id"] == outputs["a"].job.watermark_id
    assert answer["record"]["consent"]["state"] == "attested"
    assert answer["record"]["availability"] == "released"


def test_without_its_manifest_it_is_recovered(outputs: dict[str, Released], tmp_path: Path) -> None:
    answer = verdict_on(copies.without_metadata(outputs["a"].file, tmp_path / "copy.mp4"))
    assert answer["verdict"] == "recovered", answer
    assert answer["signals"]["manifest"]["state"] == "none"
    assert answer["manifest_id"] == outputs["a"].job.manifest_id


def test_at_half_size_and_crf_28_it_is_recovered(outputs: dict[str, Released], tmp_path: Path) -> None:
    answer = verdict_on(copies.half_size_at_crf_28(outputs["a"].file, tmp_path / "copy.mp4"))
    assert answer["verdict"] == "recovered", answer
    assert answer["signals"]["watermark"]["watermark_id"] == outputs["a"].job.watermark_id
    assert answer["signals"]["watermark"]["false_match_probability"] < 1e-9


def test_mirrored_turned_and_hard_compressed_its_mark_is_found(outputs: dict[str, Released], tmp_path: Path) -> None:
    answer = verdict_on(mirrored_and_turned(outputs["a"].file, tmp_path / "copy.mp4", degrees=5.0, crf=33))
    found = answer["signals"]["watermark"]
    assert (found["watermark_id"], found["key_compromised"]) == (outputs["a"].job.watermark_id, False), answer
    assert found["false_match_probability"] < 1e-9
    assert answer["verdict"] in ("recovered", "altered"), answer


def test_of_both_in_one_clip_each_second_is_named(outputs: dict[str, Released], tmp_path: Path) -> None:
    answer = verdict_on(one_after_the_other([outputs["a"].file, outputs["b"].file], tmp_path / "both.mp4"))
    assert answer["verdict"] == "altered", answer
    assert "several_records" in answer["reasons"]
    spans = {record["watermark_id"]: record["segments"] for record in answer["records"]}
    assert set(spans) == {outputs["a"].job.watermark_id, outputs["b"].job.watermark_id}, answer["timeline"]
    assert spans[outputs["a"].job.watermark_id][0][0] == 0.0
    assert spans[outputs["b"].job.watermark_id][-1][1] == pytest.approx(4.0, abs=0.1)
    assert {record["availability"] for record in answer["records"]} == {"released"}
    public = public_answer(answer)
    assert [record["watermark_id"] for record in public["records"]] == list(spans)
    assert {span["watermark_id"] for span in public["timeline"]} >= set(spans)


def test_a_poster_leads_back_to_its_clip(outputs: dict[str, Released], tmp_path: Path) -> None:
    still = tmp_path / "poster.jpg"
    still.write_bytes(poster(outputs["b"].job, at_s=1.0))
    answer = verdict_on(still)
    assert (answer["verdict"], answer["record"]["watermark_id"]) == ("recovered", outputs["b"].job.watermark_id), answer
    assert answer["record"]["availability"] == "released"
    with pytest.raises(InvalidRequest, match="moment inside it"):
        poster(outputs["b"].job, at_s=9.0)


def test_when_its_key_was_stolen_a_stripped_copy_is_found_and_not_vouched_for(
    outputs: dict[str, Released], tmp_path: Path
) -> None:
    key = Record.objects.get(job_id=outputs["a"].job.pk).key_name
    end_keys(names=[key], state=WatermarkKey.State.COMPROMISED, actor="system:test", reason="a test")
    answer = verdict_on(copies.without_metadata(outputs["a"].file, tmp_path / "copy.mp4"))
    assert (answer["verdict"], answer["record"]["watermark_id"]) == ("altered", outputs["a"].job.watermark_id)
    assert "mark_of_compromised_key" in answer["reasons"]
    assert verdict_on(outputs["a"].file)["verdict"] == "confirmed"


def test_with_a_byte_of_its_picture_flipped_it_is_altered(outputs: dict[str, Released], tmp_path: Path) -> None:
    answer = verdict_on(copies.with_a_flipped_byte(outputs["a"].file, tmp_path / "copy.mp4"))
    assert answer["verdict"] == "altered", answer
    assert answer["record"]["watermark_id"] == outputs["a"].job.watermark_id


def test_a_clip_of_somebody_else_is_unknown(outputs: dict[str, Released], people: People, tmp_path: Path) -> None:
    stranger = write_frames(tmp_path / "stranger.mp4", frames_of(people.unrelated_clip)[:24])
    answer = verdict_on(stranger)
    assert (answer["verdict"], answer["record"], answer["signals"]["watermark"]["found"]) == ("unknown", None, False)


def test_the_manifest_of_one_output_on_another_is_never_confirmed(outputs: dict[str, Released], tmp_path: Path) -> None:
    pixels = copies.without_metadata(outputs["b"].file, tmp_path / "pixels.mp4")
    answer = verdict_on(graft(outputs["a"].file, pixels, tmp_path / "grafted.mp4"))
    assert answer["signals"]["manifest"]["manifest_id"] == outputs["a"].job.manifest_id, "the graft did not take"
    assert answer["verdict"] in ("altered", "transplanted"), answer
    assert "mark_of_another_record" in answer["reasons"]


def test_a_signature_made_with_a_copy_of_the_key_is_never_confirmed(outputs: dict[str, Released], tmp_path: Path) -> None:
    job = outputs["b"].job
    stolen = {name: Path(shutil.copy(Path(settings.PKI_DIR) / name, tmp_path)) for name in (CHAIN_FILE, KEY_FILE, ROOT_FILE)}
    pixels = copies.without_metadata(outputs["b"].file, tmp_path / "pixels.mp4")
    content = look(stream_untrusted(pixels, limits=MediaLimits()))
    forged = seal_output(
        rendered_path=pixels,
        destination=tmp_path / "forged.mp4",
        manifest_inputs=seal._manifest_inputs(job, Record.objects.get(job_id=job.pk), content),
        signer=load_signer(chain=stolen[CHAIN_FILE], key=stolen[KEY_FILE], anchors=stolen[ROOT_FILE]),
    )
    answer = verdict_on(forged.path)
    assert answer["signals"]["manifest"]["state"] == "trusted", "the forgery is as good as the key makes it"
    assert answer["verdict"] == "transplanted", answer
    assert "key_compromise_suspected" in answer["reasons"]
    assert answer["record"] is None


def test_after_a_withdrawal_the_verdict_stays_and_the_consent_reads_revoked(outputs: dict[str, Released]) -> None:
    consent = outputs["a"].job.named_consents["portrait:1"]
    file = outputs["a"].file
    reached = revocation.revoke(consent_id=consent, reason="", actor="system:test")
    assert reached.outputs_withdrawn == 2, "both clips show the same person"
    answer = verdict_on(file)
    assert answer["verdict"] == "confirmed"
    assert answer["record"]["consent"]["state"] == "revoked"
    assert answer["record"]["consent"]["since"] is not None
    assert answer["record"]["availability"] == "withdrawn"
    with pytest.raises(OutputUnavailable):
        poster(Job.objects.get(pk=outputs["a"].job.pk))


def mirrored_and_turned(source: Path, destination: Path, *, degrees: float, crf: int) -> Path:
    """Left and right exchanged, turned about the middle, compressed again."""
    turn = np.radians(degrees)
    cos, sin = float(np.cos(turn)), float(np.sin(turn))

    def moved(plane: torch.Tensor) -> torch.Tensor:
        rows, columns = plane.shape[1:]
        matrix = torch.tensor([[-cos, -sin * rows / columns, 0.0], [-sin * columns / rows, cos, 0.0]])
        grid = F.affine_grid(matrix[None].expand(len(plane), -1, -1), [len(plane), 1, rows, columns], align_corners=False)
        turned = F.grid_sample(plane[:, None].float(), grid, mode="bicubic", padding_mode="border", align_corners=False)
        return turned[:, 0].round().clamp(0, 255).to(torch.uint8)

    info = probe(source, limits=MediaLimits())
    with VideoWriter(destination, width=info.width, height=info.height, frame_rate=info.frame_rate, crf=crf) as writer:
        for batch in read_planes(source):
            planes = batch.yuv
            writer.write(batch.with_pixels(YuvPlanes(moved(planes.y), moved(planes.u), moved(planes.v))))
    return destination


def one_after_the_other(sources: list[Path], destination: Path) -> Path:
    info = probe(sources[0], limits=MediaLimits())
    with VideoWriter(destination, width=info.width, height=info.height, frame_rate=info.frame_rate, crf=20) as writer:
        for source in sources:
            for batch in read_planes(source):
                writer.write(batch)
    return destination


def graft(donor: Path, receiver: Path, destination: Path) -> Path:
    """`receiver`, an unsigned MP4, with the manifest box of `donor` at its end, where no media has to move."""
    first, end = copies.find_box(donor, b"uuid")
    destination.write_bytes(receiver.read_bytes() + donor.read_bytes()[first - 8 : end])
    return destination
