"""Real files, really marked and signed, get the verdict they deserve, whatever was done to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from provenance_samples import (
    decoded,
    flip_byte,
    graft_manifest,
    manifest_inputs,
    performance,
    remux,
    voice,
    write_clip,
)
from released_outputs import IDS, KEY_NAMES, SECONDS, Output, add_track, look, marked, weigh

from media.errors import BadInput
from media.frames import FrameBatch, YuvPlanes
from media.limits import MediaLimits
from media.video.colour import to_rgb
from media.video.untrusted import stream_untrusted
from provenance import keys, signing
from provenance.credentials.sign import seal_output
from provenance.errors import ExaminationTooLong
from provenance.examine import examine
from provenance.examine import look as look_at
from provenance.models import Record, WatermarkKey
from provenance.services import end_keys, still_key_of
from provenance.signals import Agreement
from provenance.verify import Verdict
from provenance.watermark import Detection
from provenance.watermark.stills import mark_still

pytestmark = pytest.mark.django_db


def test_as_released_it_is_confirmed(released: dict[str, Output]) -> None:
    found = look(released["a"].sealed.path)
    assert found.outcome.verdict is Verdict.CONFIRMED
    assert found.outcome.manifest_id == released["a"].sealed.manifest_id
    answer = found.as_json()
    assert answer["record"]["watermark_id"] == IDS["a"]
    assert answer["signals"]["watermark"]["found"] is True
    assert answer["timeline"] == [{"start": 0.0, "end": 3.0, "verdict": "confirmed", "watermark_id": IDS["a"]}]
    assert [record["watermark_id"] for record in answer["records"]] == [IDS["a"]]


def test_bytes_added_beside_the_media_leave_it_confirmed_and_are_reported(released: dict[str, Output], tmp_path: Path) -> None:
    padded = tmp_path / "padded.mp4"
    padded.write_bytes(released["a"].sealed.path.read_bytes() + (1008).to_bytes(4, "big") + b"free" + bytes(1000))
    found, untouched = look(padded).outcome, look(released["a"].sealed.path).outcome
    assert found.verdict is Verdict.CONFIRMED
    assert "bytes_added_outside_the_signature" in found.reasons
    assert untouched.reasons == ()


def test_a_second_voice_in_a_track_of_its_own_is_not_vouched_for(released: dict[str, Output], tmp_path: Path) -> None:
    copy = add_track(released["a"].rendered, tmp_path / "two.mp4", voice(number=9, seconds=SECONDS))
    found = look(copy).outcome
    assert found.verdict is Verdict.ALTERED
    assert "several_sound_or_text_tracks" in found.reasons


def test_a_search_past_its_deadline_is_given_up(released: dict[str, Output]) -> None:
    with pytest.raises(ExaminationTooLong, match="shorter excerpt"):
        examine(released["a"].sealed.path, limits=MediaLimits(), deadline_s=0.0)


def test_a_signer_looks_for_the_one_mark_it_expects(released: dict[str, Output]) -> None:
    clip = stream_untrusted(released["a"].rendered, limits=MediaLimits())
    found = look_at(clip, detector=keys.detector_of(Record.objects.get(watermark_id=IDS["a"])))
    assert found.mark.watermark_id == IDS["a"]


def test_with_its_manifest_stripped_it_is_recovered(released: dict[str, Output], tmp_path: Path) -> None:
    found = look(remux(released["a"].sealed.path, tmp_path / "copy.mp4"))
    assert found.outcome.verdict is Verdict.RECOVERED, found.as_json()
    assert found.outcome.manifest_id == released["a"].sealed.manifest_id


def test_smaller_and_encoded_again_it_is_recovered(released: dict[str, Output], tmp_path: Path) -> None:
    frames = decoded(released["a"].rendered)
    copy = write_clip(tmp_path / "small.mp4", frames, crf=26, scale=0.75, sound=voice(number=1, seconds=SECONDS))
    found = look(copy)
    assert found.outcome.verdict is Verdict.RECOVERED, found.as_json()
    assert found.signals.mark.false_match_probability is not None
    assert found.signals.mark.false_match_probability < 1e-9


def test_with_one_bit_of_its_media_changed_it_is_altered(released: dict[str, Output], tmp_path: Path) -> None:
    found = look(flip_byte(released["a"].sealed.path, tmp_path / "flipped.mp4", distance=20_000))
    assert found.outcome.verdict is Verdict.ALTERED, found.as_json()
    assert "hard_binding_broken" in found.outcome.reasons


def test_another_voice_over_it_makes_it_altered(released: dict[str, Output]) -> None:
    found = weigh(decoded(released["a"].rendered), sound_number=9, watermark_id=IDS["a"])
    assert found.verdict is Verdict.ALTERED
    assert "sound_differs" in found.reasons


def test_a_clip_of_somebody_else_is_unknown(released: dict[str, Output], tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "other.mp4", performance(portrait=40, driver=40, seconds=SECONDS))
    found = look(clip)
    assert found.outcome.verdict is Verdict.UNKNOWN
    assert found.as_json()["record"] is None


def test_the_manifest_of_one_output_confirms_no_other(released: dict[str, Output], tmp_path: Path) -> None:
    grafted = graft_manifest(released["a"].sealed.path, released["b"].rendered, tmp_path / "grafted.mp4")
    found = look(grafted)
    assert found.outcome.verdict in (Verdict.ALTERED, Verdict.TRANSPLANTED)
    assert "mark_of_another_record" in found.outcome.reasons


def test_a_file_signed_with_a_stolen_key_is_called_out(released: dict[str, Output], tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", performance(portrait=40, driver=40, seconds=1))
    forged = seal_output(
        rendered_path=clip, destination=tmp_path / "forged.mp4", manifest_inputs=manifest_inputs(), signer=signing.signer()
    )
    found = weigh(decoded(clip), sound_number=9, watermark_id=None, signed=forged.path)
    assert found.verdict is Verdict.TRANSPLANTED
    assert "key_compromise_suspected" in found.reasons
    assert found.record is None


def test_a_copied_mark_on_another_performance_is_never_vouched_for(released: dict[str, Output]) -> None:
    frames = performance(driver=4, seconds=SECONDS, height=384, width=512)
    found = weigh(frames, sound_number=1, watermark_id=IDS["a"])
    # Three seconds are too few to prove the contradiction in every case; vouched for it is never.
    assert found.verdict in (Verdict.TRANSPLANTED, Verdict.ALTERED)
    assert found.content is not Agreement.AGREES


def test_an_output_whose_marks_were_removed_is_still_recognised(released: dict[str, Output]) -> None:
    frames = performance(driver=1, seconds=SECONDS, height=384, width=512)
    found = weigh(frames, sound_number=1, watermark_id=None)
    assert found.verdict is Verdict.ALTERED
    assert "marks_removed" in found.reasons
    assert found.record is not None
    assert found.record.watermark_id == IDS["a"]


def test_an_output_marked_by_the_first_scheme_is_still_recovered(released: dict[str, Output], tmp_path: Path) -> None:
    found = look(remux(released["old"].sealed.path, tmp_path / "copy.mp4"))
    assert found.outcome.verdict is Verdict.RECOVERED, found.as_json()
    assert (found.signals.mark.scheme, found.signals.mark.key_name) == ("1", KEY_NAMES[1])


def test_a_retired_key_goes_on_vouching_for_its_outputs(released: dict[str, Output], tmp_path: Path) -> None:
    end_keys(names=[KEY_NAMES[2]], state=WatermarkKey.State.RETIRED, actor="system:test", reason="")
    assert look(remux(released["a"].sealed.path, tmp_path / "copy.mp4")).outcome.verdict is Verdict.RECOVERED


def test_the_mark_of_a_compromised_key_leads_to_its_record_and_proves_nothing(
    released: dict[str, Output], tmp_path: Path
) -> None:
    end_keys(names=[KEY_NAMES[2]], state=WatermarkKey.State.COMPROMISED, actor="system:test", reason="a leak")
    stripped = look(remux(released["a"].sealed.path, tmp_path / "copy.mp4"))
    assert (stripped.outcome.verdict, stripped.outcome.record and stripped.outcome.record.watermark_id) == (
        Verdict.ALTERED,
        IDS["a"],
    )
    assert "mark_of_compromised_key" in stripped.outcome.reasons
    assert look(released["a"].sealed.path).outcome.verdict is Verdict.CONFIRMED

    # whoever holds the key can mark anything
    forged = marked(performance(portrait=40, driver=40, seconds=SECONDS, height=384, width=512), IDS["a"])
    made = look(write_clip(tmp_path / "forged.mp4", forged))
    assert made.signals.mark.found
    assert (made.outcome.verdict in (Verdict.UNKNOWN, Verdict.TRANSPLANTED), made.outcome.record) == (True, None)


def test_a_mark_on_the_content_of_another_record_is_called_transplanted(released: dict[str, Output]) -> None:
    found = weigh(decoded(released["b"].rendered), sound_number=2, watermark_id=IDS["a"])
    assert found.verdict is Verdict.TRANSPLANTED
    assert (found.record, found.claimed_record and found.claimed_record.watermark_id) == (None, IDS["a"])
    assert "content_of_another_record" in found.reasons


def upright(frames: np.ndarray) -> np.ndarray:
    """The middle of the picture, 9:16."""
    width = frames.shape[1] * 9 // 16
    return frames[:, :, (frames.shape[2] - width) // 2 :][:, :, :width]


def inset(frames: np.ndarray) -> np.ndarray:
    """At half size in a corner of something else."""
    around = performance(portrait=40, driver=40, seconds=SECONDS, height=384, width=512).copy()
    around[:, 180:372, 240:496] = frames.reshape(len(frames), 192, 2, 256, 2).mean((2, 4)).astype(np.uint8)
    return around


@pytest.mark.parametrize("shown", [upright, inset])
def test_an_honest_crop_or_inset_of_an_output_is_no_forgery(
    released: dict[str, Output], shown: Callable[[np.ndarray], np.ndarray]
) -> None:
    found = weigh(shown(decoded(released["a"].rendered)), sound_number=1, watermark_id=IDS["a"])
    assert found.verdict in (Verdict.RECOVERED, Verdict.ALTERED), found.reasons
    assert found.record is not None
    assert found.record.watermark_id == IDS["a"]


@pytest.mark.parametrize(("crf", "second"), [(18, "recovered"), (23, "altered")])
def test_of_two_outputs_in_one_file_each_second_is_named(
    released: dict[str, Output], tmp_path: Path, crf: int, second: str
) -> None:
    both = np.concatenate([decoded(released["a"].rendered), decoded(released["b"].rendered)])
    sound = np.concatenate([voice(number=1, seconds=SECONDS), voice(number=2, seconds=SECONDS)])
    found = look(write_clip(tmp_path / "both.mp4", both, crf=crf, sound=sound))
    answer = found.as_json()
    assert found.outcome.verdict is Verdict.ALTERED, answer
    assert "several_records" in found.outcome.reasons
    # over one still a hard encoder keeps the first mark: the second output is known by its content
    assert answer["timeline"] == [
        {"start": 0.0, "end": 3.0, "verdict": "recovered", "watermark_id": IDS["a"]},
        {"start": 3.0, "end": 6.0, "verdict": second, "watermark_id": IDS["b"]},
    ]
    assert {record["watermark_id"]: record["segments"] for record in answer["records"]} == {
        IDS["a"]: [[0.0, 3.0]],
        IDS["b"]: [[3.0, 6.0]],
    }


def still_of(output: Output, frame: int = 40) -> torch.Tensor:
    luma = torch.from_numpy(decoded(output.rendered)[frame : frame + 1])
    grey = torch.full((1, luma.shape[1] // 2, luma.shape[2] // 2), 128, dtype=torch.uint8)
    return to_rgb(FrameBatch(YuvPlanes(luma, grey, grey), torch.zeros(1, dtype=torch.float64))).rgb[0]


class FindsNothing:
    """A search without an answer, which else takes seconds."""

    def detect(self, batches: object) -> Detection:
        return Detection(
            found=False, payload=None, key_name=None, scheme=2, log_evidence=0.0, required_log_evidence=80.0,
            false_match_probability=1.0, candidates=1, windows=1, seconds=1, geometry=None, segments=(), strength="none",
        )  # fmt: skip


def saved(rgb: torch.Tensor, path: Path, **options: object) -> Path:
    Image.fromarray(rgb.numpy()).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["still.jpg", "still.png", "still.webp"])
def test_a_still_of_an_output_leads_back_to_it(released: dict[str, Output], tmp_path: Path, name: str) -> None:
    number = still_key_of(Record.objects.get(watermark_id=IDS["a"]))
    found = look(saved(mark_still(still_of(released["a"]), number), tmp_path / name, quality=85))
    assert found.outcome.verdict is Verdict.RECOVERED, found.as_json()
    assert found.outcome.record is not None
    assert found.outcome.record.watermark_id == IDS["a"]
    assert found.as_json()["records"][0]["watermark_id"] == IDS["a"]


def test_the_number_alone_finds_a_still_whose_own_mark_was_too_weak(
    released: dict[str, Output], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "detector", FindsNothing)
    number = still_key_of(Record.objects.get(watermark_id=IDS["a"]))
    found = look(saved(mark_still(still_of(released["a"]), number), tmp_path / "still.jpg", quality=75))
    assert found.outcome.verdict is Verdict.RECOVERED, found.as_json()
    assert (found.signals.mark.scheme, found.signals.mark.false_match_probability) == ("still", 2.0**-32)


def test_the_number_of_an_output_on_another_picture_means_nothing(
    released: dict[str, Output], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "detector", FindsNothing)
    number = still_key_of(Record.objects.get(watermark_id=IDS["a"]))
    other = performance(portrait=40, driver=40, seconds=0.04, height=384, width=512)[0]
    picture = torch.from_numpy(other)[..., None].repeat(1, 1, 3)
    found = look(saved(mark_still(picture, number), tmp_path / "other.png"))
    assert (found.outcome.verdict, found.outcome.record) == (Verdict.UNKNOWN, None)


def test_a_file_that_is_no_video_is_refused(tmp_path: Path, db: None) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("not a video")
    with pytest.raises(BadInput):
        look(path)
