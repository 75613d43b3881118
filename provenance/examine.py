"""Examines one file: every layer read once, looked up in the records, and put to `provenance.verify`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from media.digests import file_sha256
from media.frames import FrameBatch
from media.limits import MediaLimits
from media.video.untrusted import Sound, UntrustedClip, stream_untrusted
from provenance import keys, selectors
from provenance.answers import answer, records_of
from provenance.credentials.isolated import read_untrusted
from provenance.errors import ExaminationTooLong
from provenance.fingerprint.audio import SAMPLE_RATE, fingerprint_audio
from provenance.fingerprint.video import VideoFingerprint, VideoFingerprinter
from provenance.fusion import Content, against_one, fuse, kept_picture, view
from provenance.models import Record
from provenance.signals import (
    STILL_SCHEME,
    Agreement,
    FoundMark,
    ManifestReading,
    ManifestState,
    MarkSignal,
    PictureSignal,
    RecordView,
    Signals,
    SoundSignal,
    SoundState,
)
from provenance.signing import anchors
from provenance.stills import compare_still, is_still, read_untrusted_still
from provenance.verify import ManifestClass, Outcome, classify_manifest, verify
from provenance.watermark import Detection, Detector
from provenance.watermark.stills import KEY_BITS, read_still_key


@dataclass(frozen=True, slots=True)
class Examination:
    """A verdict and the signals it rests on."""

    outcome: Outcome
    signals: Signals

    def as_json(self) -> dict[str, Any]:
        """The body of a `verify` answer, consent and availability left to `generation`. Exact figures: for the command line."""
        return answer(self.outcome, self.signals)

    @property
    def records(self) -> list[RecordView]:
        """The records that `as_json` tells of, in its order."""
        return records_of(self.outcome, self.signals)


def examine(path: Path, *, limits: MediaLimits, deadline_s: float | None = None) -> Examination:
    """Examines any video or still. A broken manifest is a finding, not an error.

    deadline_s: for how many seconds at most, looked at between batches. Raises BadInput when there is no picture to look at,
    ExaminationTooLong past the deadline.
    """
    clip = None if is_still(path) else stream_untrusted(path, limits=limits)
    reading = read_untrusted(path, anchors_pem=anchors())
    if clip is None:
        signals = gather_still(reading, read_untrusted_still(path, limits=limits))
    else:
        signals = gather(reading, look(clip, deadline_s=deadline_s), asset_sha256=file_sha256(path))
    return Examination(verify(signals), signals)


def look(clip: UntrustedClip, *, detector: Detector | None = None, deadline_s: float | None = None) -> Content:
    """Decodes a clip once: each batch goes through the fingerprint on its way to the detector, and no frame is kept.

    detector: of the marks to look for, every one of ours without it. Raises BadInput, and ExaminationTooLong when it has taken
    longer than deadline_s.
    """
    fingerprinter = VideoFingerprinter()
    batches = _until(clip.planes(), deadline_s)
    detection = (detector or keys.detector()).detect(_through(batches, fingerprinter.update))
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
    compromised = keys.compromised_keys()
    mark = replace(content.mark, compromised=content.mark.key_name in compromised)
    named = selectors.record_by_manifest(reading.manifest_id) if reading.manifest_id else None
    marked = selectors.record_of_mark(mark.watermark_id, mark.key_name)
    # only a manifest of ours chooses the record: anybody can put our labels under a certificate of their own
    ours = classify_manifest(reading, view(named)) in (ManifestClass.OURS_HOLDS, ManifestClass.OURS_BROKEN)
    signed = named if ours else None
    fused = against_one(content, signed) if signed is not None else fuse(content, mark, marked, compromised)
    return Signals(
        manifest=reading,
        mark=mark,
        picture=fused.picture,
        sound=fused.sound,
        duration_s=content.picture.duration_s,
        manifest_record=view(named),
        mark_record=view(marked),
        index_record=view(fused.found),
        pieces=fused.pieces,
        several_streams=content.several_streams,
        several_tracks=content.several_tracks,
        notes=tuple(_notes(reading, named, asset_sha256)),
    )


def gather_still(reading: ManifestReading, rgb: Tensor) -> Signals:
    """The signals of a still, uint8 RGB (H, W, 3): the mark of the clip it was cut from, or the number that stills carry.

    Any picture decodes to some number, so one that leads to a record counts only where the record shows this very picture.
    """
    batch = FrameBatch(rgb[None], torch.zeros(1, dtype=torch.float64))
    fingerprinter = VideoFingerprinter()
    fingerprinter.update(batch)
    mark = mark_signal(keys.detector().detect([batch]))
    mark = replace(mark, segments_s=(), compromised=mark.key_name in keys.compromised_keys())
    marked = selectors.record_of_mark(mark.watermark_id, mark.key_name)
    by_number = selectors.record_by_still_key(number) if (number := read_still_key(rgb)) is not None else None
    picture = _still_against(fingerprinter.finish(), marked or by_number)
    if not mark.found and by_number is not None and picture.agreement is Agreement.AGREES:
        mark, marked = _number_signal(by_number), by_number
    named = selectors.record_by_manifest(reading.manifest_id) if reading.manifest_id else None
    return Signals(
        manifest=reading,
        mark=mark,
        picture=picture if mark.found else PictureSignal(Agreement.NONE),
        sound=SoundSignal(SoundState.ABSENT),
        duration_s=0.0,
        manifest_record=view(named),
        mark_record=view(marked),
        still=True,
    )


def _number_signal(record: Record) -> MarkSignal:
    """A number alone: one chance in 2^32 for each that was given out."""
    given = selectors.still_keys_given()
    return MarkSignal(
        found=True,
        watermark_id=record.watermark_id,
        scheme=STILL_SCHEME,
        false_match_probability=given / 2.0**KEY_BITS,
        candidates=given,
    )


def _still_against(picture: VideoFingerprint, record: Record | None) -> PictureSignal:
    kept = kept_picture(record)
    return kept if isinstance(kept, PictureSignal) else compare_still(picture, kept)


def _notes(reading: ManifestReading, named: Record | None, asset_sha256: str | None) -> Iterator[str]:
    if reading.state is ManifestState.UNREADABLE:
        yield "manifest_unreadable"
    # A hard binding leaves boxes out that hold no media (C2PA 2.4, BMFF hash exclusions): whoever adds some breaks no signature.
    if named is None or asset_sha256 is None or reading.manifest_sha256 != named.manifest_sha256:
        return
    if reading.hard_binding_holds and asset_sha256 != named.asset_sha256:
        yield "bytes_added_outside_the_signature"


def mark_signal(detection: Detection) -> MarkSignal:
    """A detection as a signal: ids in 16 hex digits, schemes by their version."""
    marks = tuple(
        FoundMark(f"{mark.payload:016x}", mark.key_name, str(mark.scheme), mark.false_match_probability, mark.segments)
        for mark in detection.marks
    )
    if not marks:
        return MarkSignal(
            found=False,
            scheme=str(detection.scheme),
            false_match_probability=detection.false_match_probability,
            candidates=detection.candidates,
        )
    most = max(marks, key=lambda mark: sum(end - start for start, end in mark.segments_s))
    return MarkSignal(
        found=True,
        watermark_id=most.watermark_id,
        key_name=most.key_name,
        scheme=most.scheme,
        false_match_probability=most.false_match_probability,
        candidates=detection.candidates,
        segments_s=most.segments_s,
        marks=marks,
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
