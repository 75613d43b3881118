"""Three outputs, really marked and signed, with their records, and how verdicts on them are asked for."""

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
    manifest_inputs,
    performance,
    voice,
    write_clip,
)

from media.limits import MediaLimits
from provenance import keys, signing
from provenance.credentials.isolated import read_untrusted
from provenance.credentials.sign import SealedFile, seal_output
from provenance.examine import Examination, examine, gather
from provenance.fingerprint.audio import fingerprint_audio
from provenance.fusion import Content
from provenance.models import Record, WatermarkKey
from provenance.selectors import record_by_watermark_id
from provenance.services import OutputFacts, seal_record
from provenance.signals import FoundMark, ManifestReading, ManifestState, MarkSignal
from provenance.verify import Outcome, verify
from provenance.watermark import SCHEME_1, SCHEME_2, Embedder, Scheme

SECONDS = 3
STUDIO = uuid.UUID(int=7)
KEY_NAMES = {1: f"{STUDIO}/2026-01", 2: f"{STUDIO}/2026-01/scheme-2"}
IDS = {"a": "0123456789abcdef", "b": "fedcba9876543210", "old": "0f1e2d3c4b5a6978"}
SCHEME_OF = {"a": SCHEME_2, "b": SCHEME_2, "old": SCHEME_1}


@dataclass(frozen=True)
class Output:
    sealed: SealedFile
    rendered: Path
    watermark_id: str
    scheme: Scheme


def marked(frames: np.ndarray, watermark_id: str, scheme: Scheme = SCHEME_2) -> np.ndarray:
    shared = keys.sync_key() if scheme.shared_sync else None
    embedder = Embedder(keys.watermark_key(KEY_NAMES[scheme.version]), int(watermark_id, 16), scheme, sync_key=shared)
    return np.concatenate([batch.yuv.y.numpy() for batch in embedder.embed(batches(frames))])


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Output]:
    folder = tmp_path_factory.mktemp("outputs")
    made = {}
    for number, (name, watermark_id) in enumerate(IDS.items(), start=1):
        scheme = SCHEME_OF[name]
        frames = marked(performance(driver=number, seconds=SECONDS, height=384, width=512), watermark_id, scheme)
        rendered = write_clip(folder / f"{name}-rendered.mp4", frames, sound=voice(number=number, seconds=SECONDS))
        inputs = manifest_inputs(watermark_id=watermark_id)
        signed = seal_output(
            rendered_path=rendered, destination=folder / f"{name}.mp4", manifest_inputs=inputs, signer=signing.signer()
        )
        made[name] = Output(signed, rendered, watermark_id, scheme)
    return made


@pytest.fixture
def released(outputs: dict[str, Output], db: None) -> Iterator[dict[str, Output]]:
    for name in outputs:
        record_of(outputs[name], number=1 + list(outputs).index(name))
    return outputs


def record_of(output: Output, number: int) -> Record:
    key_name = KEY_NAMES[output.scheme.version]
    WatermarkKey.objects.get_or_create(
        name=key_name, defaults={"scheme": output.scheme.version, "studio_id": STUDIO, "month": "2026-01"}
    )
    record = Record.objects.create(
        watermark_id=output.watermark_id, key_name=key_name, scheme=output.scheme.version, job_id=uuid.UUID(int=number),
        studio_id=STUDIO,
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


def weigh(
    frames: np.ndarray, *, sound_number: int, watermark_id: str | tuple[str, ...] | None, signed: Path | None = None
) -> Outcome:
    """The verdict on content whose watermark reading is given: a search that finds nothing takes ten seconds.

    watermark_id: several share the time evenly.
    """
    ids = (watermark_id,) if isinstance(watermark_id, str) else watermark_id or ()
    share_s = len(frames) / RATE / max(1, len(ids))
    spans = [((share_s * number, share_s * (number + 1)),) for number in range(len(ids))]
    marks = tuple(FoundMark(one, _key_of(one), "2", 1e-40, span) for one, span in zip(ids, spans, strict=True))
    first = MarkSignal(True, ids[0], _key_of(ids[0]), segments_s=spans[0], marks=marks) if ids else MarkSignal(False)
    content = Content(
        mark=first,
        picture=fingerprint_of(frames),
        sound=fingerprint_audio(voice(number=sound_number, seconds=SECONDS)),
        several_streams=False,
    )
    reading = read_untrusted(signed, anchors_pem=signing.anchors()) if signed else ManifestReading(ManifestState.NONE)
    return verify(gather(reading, content))


def _key_of(watermark_id: str) -> str:
    record = record_by_watermark_id(watermark_id)
    return record.key_name if record else KEY_NAMES[2]
