"""Real files, really marked and signed, get the verdict they deserve, whatever was done to them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from provenance_samples import (
    RATE,
    batches,
    decoded,
    fingerprint_of,
    flip_byte,
    graft_manifest,
    manifest_inputs,
    performance,
    remux,
    voice,
    write_clip,
)

from media.errors import BadInput
from media.limits import MediaLimits
from media.video.untrusted import stream_untrusted
from provenance import selectors, signing
from provenance.credentials.isolated import read_untrusted
from provenance.credentials.sign import SealedFile, seal_output
from provenance.errors import ExaminationTooLong
from provenance.examine import Content, Examination, examine, gather
from provenance.examine import look as look_at
from provenance.fingerprint.audio import fingerprint_audio
from provenance.models import Record
from provenance.services import OutputFacts, seal_record
from provenance.signals import Agreement, ManifestReading, ManifestState, MarkSignal
from provenance.verify import Outcome, Verdict, verify
from provenance.watermark import Embedder

pytestmark = pytest.mark.django_db
SECONDS = 3
KEY_NAME = f"{uuid.UUID(int=7)}/2026-01"
IDS = {"a": "0123456789abcdef", "b": "fedcba9876543210"}


@dataclass(frozen=True)
class Output:
    sealed: SealedFile
    rendered: Path
    watermark_id: str


def marked(frames: np.ndarray, watermark_id: str) -> np.ndarray:
    embedder = Embedder(selectors.watermark_key(KEY_NAME), int(watermark_id, 16))
    return np.concatenate([batch.yuv.y.numpy() for batch in embedder.embed(batches(frames))])


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Output]:
    folder = tmp_path_factory.mktemp("outputs")
    made = {}
    for number, (name, watermark_id) in enumerate(IDS.items(), start=1):
        frames = marked(performance(driver=number, seconds=SECONDS, height=384, width=512), watermark_id)
        rendered = write_clip(folder / f"{name}-rendered.mp4", frames, sound=voice(number=number, seconds=SECONDS))
        inputs = manifest_inputs(watermark_id=watermark_id)
        signed = seal_output(
            rendered_path=rendered, destination=folder / f"{name}.mp4", manifest_inputs=inputs, signer=signing.signer()
        )
        made[name] = Output(signed, rendered, watermark_id)
    return made


@pytest.fixture
def released(outputs: dict[str, Output], db: None) -> Iterator[dict[str, Output]]:
    for name in outputs:
        record_of(outputs[name], number=1 + list(outputs).index(name))
    return outputs


def record_of(output: Output, number: int) -> Record:
    record = Record.objects.create(
        watermark_id=output.watermark_id, key_name=KEY_NAME, scheme=1, job_id=uuid.UUID(int=number), studio_id=uuid.UUID(int=7),
        system="Countersign", system_version="0.1.0",
    )  # fmt: skip
    frames = decoded(output.rendered)
    return seal_record(
        record_id=record.pk,
        sealed=output.sealed,
        facts=OutputFacts(512, 384, Fraction(RATE), len(frames), float(SECONDS)),
        self_test={},
        fingerprint=fingerprint_of(frames),
        audio_fingerprint=fingerprint_audio(voice(number=number, seconds=SECONDS)),
    )


def look(path: Path) -> Examination:
    return examine(path, limits=MediaLimits())


def add_track(source: Path, destination: Path, sound: np.ndarray) -> Path:
    """A copy with one more sound track."""
    with av.open(str(source)) as given, av.open(str(destination), "w") as made:
        streams = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        extra = made.add_stream("aac", rate=16_000, layout="mono")
        for packet in given.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                made.mux(packet)
        samples = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        samples.sample_rate, samples.pts = 16_000, 0
        made.mux(extra.encode(samples))
        made.mux(extra.encode())
    return destination


def weigh(frames: np.ndarray, *, sound_number: int, watermark_id: str | None, signed: Path | None = None) -> Outcome:
    """The verdict on content whose watermark reading is given: a search that finds nothing takes ten seconds."""
    found = watermark_id is not None
    content = Content(
        mark=MarkSignal(found, watermark_id, segments_s=((0.0, float(SECONDS)),) if found else ()),
        picture=fingerprint_of(frames),
        sound=fingerprint_audio(voice(number=sound_number, seconds=SECONDS)),
        several_streams=False,
    )
    reading = read_untrusted(signed, anchors_pem=signing.anchors()) if signed else ManifestReading(ManifestState.NONE)
    return verify(gather(reading, content))


def test_as_released_it_is_confirmed(released: dict[str, Output]) -> None:
    found = look(released["a"].sealed.path)
    assert found.outcome.verdict is Verdict.CONFIRMED
    assert found.outcome.manifest_id == released["a"].sealed.manifest_id
    answer = found.as_json()
    assert answer["record"]["watermark_id"] == IDS["a"]
    assert answer["signals"]["watermark"]["found"] is True
    assert answer["timeline"] == [{"start": 0.0, "end": 3.0, "verdict": "confirmed"}]


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
    key = selectors.watermark_key(KEY_NAME)
    found = look_at(clip, keys={KEY_NAME: key}, issued_ids=[int(IDS["a"], 16)])
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


def test_a_file_that_is_no_video_is_refused(tmp_path: Path, db: None) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("not a video")
    with pytest.raises(BadInput):
        look(path)
