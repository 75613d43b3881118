"""Examines one file: every layer read once, looked up in the records, and put to `provenance.verify`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from media.digests import file_sha256
from media.frames import FrameBatch
from media.limits import MediaLimits
from media.video.untrusted import Sound, UntrustedClip, stream_untrusted
from provenance import selectors
from provenance.credentials.isolated import read_untrusted
from provenance.errors import ExaminationTooLong, FingerprintUnreadable
from provenance.fingerprint.audio import SAMPLE_RATE, AudioFingerprint, compare_audio, fingerprint_audio
from provenance.fingerprint.compare import compare
from provenance.fingerprint.index import strength
from provenance.fingerprint.video import VideoFingerprint, VideoFingerprinter
from provenance.models import Record
from provenance.signals import (
    Agreement,
    ManifestReading,
    ManifestState,
    MarkSignal,
    PictureSignal,
    RecordView,
    SecondState,
    Signals,
    SoundSignal,
    SoundState,
)
from provenance.signing import anchors
from provenance.verify import Outcome, verify
from provenance.watermark import Detection, Detector


@dataclass(frozen=True, slots=True)
class Content:
    """What one decode of a file gave."""

    mark: MarkSignal
    picture: VideoFingerprint
    sound: AudioFingerprint | None
    several_streams: bool
    several_tracks: bool = False


@dataclass(frozen=True, slots=True)
class Examination:
    """A verdict and the signals it rests on."""

    outcome: Outcome
    signals: Signals

    def as_json(self) -> dict[str, Any]:
        """The body of a `verify` answer, consent and availability left to `generation`. Exact figures: for the command line."""
        outcome, signals = self.outcome, self.signals
        return {
            "verdict": outcome.verdict.value,
            "reasons": list(outcome.reasons),
            "record": _record_json(outcome),
            "signals": {
                "manifest": _manifest_json(signals.manifest, outcome.manifest_class.value),
                "watermark": _mark_json(signals.mark),
                "fingerprint": _seconds_json(asdict(signals.picture)),
                "audio": _seconds_json(asdict(signals.sound)),
            },
            "timeline": [
                {"start": round(span.start_s, 3), "end": round(span.end_s, 3), "verdict": span.verdict.value}
                for span in outcome.timeline
            ],
            "manifest_id": outcome.manifest_id,
        }


def examine(path: Path, *, limits: MediaLimits, deadline_s: float | None = None) -> Examination:
    """Examines any file. A broken manifest is a finding, not an error.

    deadline_s: for how many seconds at most, looked at between batches. Raises BadInput when there is no picture to look at,
    ExaminationTooLong past the deadline.
    """
    clip = stream_untrusted(path, limits=limits)
    reading = read_untrusted(path, anchors_pem=anchors())
    content = look(clip, deadline_s=deadline_s)
    signals = gather(reading, content, asset_sha256=file_sha256(path))
    return Examination(verify(signals), signals)


def look(
    clip: UntrustedClip,
    *,
    keys: Mapping[str, bytes] | None = None,
    issued_ids: Sequence[int] | None = None,
    deadline_s: float | None = None,
) -> Content:
    """Decodes a clip once: each batch goes through the fingerprint on its way to the detector, and no frame is kept.

    keys, issued_ids: the marks to look for, every live one without them. Raises BadInput, and ExaminationTooLong when it has
    taken longer than deadline_s.
    """
    fingerprinter = VideoFingerprinter()
    detector = Detector(
        selectors.live_keys() if keys is None else keys, selectors.issued_ids() if issued_ids is None else issued_ids
    )
    batches = _until(clip.planes(), deadline_s)
    detection = detector.detect(_through(batches, fingerprinter.update))
    sound = clip.stereo(sample_rate=SAMPLE_RATE)
    return Content(
        mark=mark_signal(detection),
        picture=fingerprinter.finish(),
        sound=None if sound.samples is None else fingerprint_audio(sound.samples),
        several_streams=clip.info.video_streams > 1,
        several_tracks=_several_tracks(clip, sound),
    )


def _several_tracks(clip: UntrustedClip, sound: Sound) -> bool:
    """Whether a player may let more be heard or read than was examined: one sound in two channels, no text."""
    channels = clip.info.audio.channels if clip.info.audio else 0
    return clip.info.audio_streams > 1 or sound.text_streams > 0 or channels > 2


def gather(reading: ManifestReading, content: Content, *, asset_sha256: str | None = None) -> Signals:
    """The signals of a file: its records looked up, its content compared with the one that manifest or mark points to."""
    named = selectors.record_by_manifest(reading.manifest_id) if reading.manifest_id else None
    marked = selectors.record_by_watermark_id(content.mark.watermark_id) if content.mark.watermark_id else None
    pointed = named if named is not None and reading.signature_holds else marked
    if pointed is not None or content.mark.found:
        picture, found = _against(content.picture, pointed), None
    else:
        picture, found = _in_index(content.picture)
    return Signals(
        manifest=reading,
        mark=content.mark,
        picture=picture,
        sound=_sound(content.sound, pointed or found, picture.offset_s),
        duration_s=content.picture.duration_s,
        manifest_record=_view(named),
        mark_record=_view(marked),
        index_record=_view(found),
        several_streams=content.several_streams,
        several_tracks=content.several_tracks,
        notes=tuple(_notes(reading, named, asset_sha256)),
    )


def _notes(reading: ManifestReading, named: Record | None, asset_sha256: str | None) -> Iterator[str]:
    if reading.state is ManifestState.UNREADABLE:
        yield "manifest_unreadable"
    # A hard binding leaves boxes out that hold no media (C2PA 2.4, BMFF hash exclusions): whoever adds some breaks no signature.
    if named is None or asset_sha256 is None or reading.manifest_sha256 != named.manifest_sha256:
        return
    if reading.hard_binding_holds and asset_sha256 != named.asset_sha256:
        yield "bytes_added_outside_the_signature"


def _view(record: Record | None) -> RecordView | None:
    return selectors.record_view(record) if record else None


def mark_signal(detection: Detection) -> MarkSignal:
    """A detection as a signal: the id in 16 hex digits, the scheme by its version."""
    payload = detection.payload
    return MarkSignal(
        found=detection.found,
        watermark_id=None if payload is None else f"{payload:016x}",
        key_name=detection.key_name,
        scheme=str(detection.scheme),
        false_match_probability=detection.false_match_probability,
        candidates=detection.candidates,
        segments_s=tuple(detection.segments),
    )


def _until(batches: Iterable[FrameBatch], deadline_s: float | None) -> Iterator[FrameBatch]:
    began = time.monotonic()
    for batch in batches:
        if deadline_s is not None and time.monotonic() - began > deadline_s:
            raise ExaminationTooLong("This file takes too long to examine; send a shorter excerpt.")
        yield batch


def _through(batches: Iterable[FrameBatch], look_at: Callable[[FrameBatch], None]) -> Iterator[FrameBatch]:
    for batch in batches:
        look_at(batch)
        yield batch


def _against(picture: VideoFingerprint, record: Record | None) -> PictureSignal:
    if record is None or record.sealed_at is None:
        return PictureSignal(Agreement.INCONCLUSIVE, note="no sealed record to compare with")
    try:
        kept = VideoFingerprint.from_bytes(bytes(record.fingerprint))
    except FingerprintUnreadable:
        return PictureSignal(Agreement.INCONCLUSIVE, note="the record's fingerprint is of another version")
    return compare(picture, kept)


def _in_index(picture: VideoFingerprint) -> tuple[PictureSignal, Record | None]:
    """The strongest match among the records that resemble the picture, and its record."""
    best, found = PictureSignal(Agreement.NONE), None
    order = (Agreement.NONE, Agreement.WEAK, Agreement.STRONG)
    for record in selectors.candidates_by_fingerprint(picture):
        signal = _against(picture, record)
        worth = strength(signal)
        if order.index(worth) > order.index(best.agreement):
            best, found = _rated(signal, worth), record
    return best, found


def _rated(signal: PictureSignal, worth: Agreement) -> PictureSignal:
    return PictureSignal(
        worth, signal.seconds, signal.offset_s, signal.distance, signal.motion_correlation, signal.activity_correlation
    )


def _sound(sound: AudioFingerprint | None, record: Record | None, offset_s: float) -> SoundSignal:
    if record is None or record.sealed_at is None:
        return SoundSignal(SoundState.NOT_COMPARED)
    try:
        kept = AudioFingerprint.from_bytes(bytes(record.audio_fingerprint)) if record.audio_fingerprint else None
    except FingerprintUnreadable:
        return SoundSignal(SoundState.INCONCLUSIVE)
    return compare_audio(sound, kept, offset_s=offset_s)


def _record_json(outcome: Outcome) -> dict[str, Any] | None:
    record = outcome.record
    if record is None:
        return None
    return {
        "created": record.created_at.isoformat(),
        "system": f"{record.system} {record.system_version}",
        "studio": record.studio_public_name,
        "watermark_id": record.watermark_id,
    }


def _manifest_json(reading: ManifestReading, manifest_class: str) -> dict[str, Any]:
    values = asdict(reading)
    return {
        "state": reading.state.value,
        "class": manifest_class,
        **{key: values[key] for key in ("manifest_id", "hard_binding_holds", "signed_by_us", "expired", "signer_name")},
        "claim_generator": reading.claim_generator,
        "codes": list(reading.codes),
        "note": reading.note,
        "soft_bindings": [{"alg": binding.alg, "value": binding.value} for binding in reading.soft_bindings],
    }


def _mark_json(mark: MarkSignal) -> dict[str, Any]:
    return {
        "found": mark.found,
        "watermark_id": mark.watermark_id,
        "scheme": mark.scheme,
        "false_match_probability": mark.false_match_probability,
        "candidates": mark.candidates,
        "segments": [list(segment) for segment in mark.segments_s],
    }


def _seconds_json(values: dict[str, Any]) -> dict[str, Any]:
    """A comparison as JSON: enumerations by value, endless distances as null."""
    seconds: list[dict[str, Any]] = values.pop("seconds")
    return {
        **{key: str(value) if key in ("agreement", "state") else value for key, value in values.items()},
        "seconds": [_second_json(SecondState(**second)) for second in seconds],
    }


def _second_json(second: SecondState) -> dict[str, Any]:
    return {
        "start": second.start_s,
        "end": round(second.end_s, 3),
        "agreement": second.agreement.value,
        "distance": second.distance if math.isfinite(second.distance) else None,
        "regions": list(second.regions),
    }
