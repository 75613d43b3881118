"""Mark and fingerprint put together: which record a file, and each stretch of it, is of.

A mark can be copied, and a hard encoder keeps the mark of one output under the next where the ground of a still does not
change. So content is never taken for what its mark says: seconds that differ from their record are looked up by content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from provenance import selectors
from provenance.errors import FingerprintUnreadable
from provenance.fingerprint.audio import AudioFingerprint, compare_audio
from provenance.fingerprint.compare import compare
from provenance.fingerprint.index import strength
from provenance.fingerprint.video import VideoFingerprint
from provenance.models import Record
from provenance.pieces import cut_picture, cut_sound, differing_runs, picture_at, sound_at, stretches
from provenance.signals import Agreement, FoundMark, MarkSignal, PictureSignal, Piece, RecordView, SoundSignal, SoundState

_LOOK_UPS = 8  # of differing runs in one file; each compares with a few records
_TWICE = 2  # another record's content contradicts a mark when so many times as many seconds agree with it


@dataclass(frozen=True, slots=True)
class Content:
    """What one decode of a file gave."""

    mark: MarkSignal
    picture: VideoFingerprint
    sound: AudioFingerprint | None
    several_streams: bool
    several_tracks: bool = False


@dataclass(frozen=True, slots=True)
class Fused:
    """Picture and sound against the record that is pointed to, or that the content led to (`found`); pieces, if of several."""

    picture: PictureSignal
    sound: SoundSignal
    found: Record | None = None
    pieces: tuple[Piece, ...] = ()


def against_one(content: Content, record: Record | None) -> Fused:
    """The content against one record."""
    picture = picture_against(content.picture, record)
    return Fused(picture, _sound_against(content.sound, record, picture.offset_s))


def fuse(content: Content, mark: MarkSignal, marked: Record | None, compromised: frozenset[str]) -> Fused:
    """The content of a file without a signature of ours. marked: the record of its mark; compromised: names of keys."""
    if not mark.found:
        picture, found = _in_index(content.picture)
        return Fused(picture, _sound_against(content.sound, found, picture.offset_s), found)
    pointed = against_one(content, marked)
    if pointed.picture.agreement is Agreement.AGREES:
        return pointed
    whole = _contradicted(content, pointed, mark, marked)
    if whole is not None:
        return whole
    marks = [_marked_piece(content, *stretch, compromised) for stretch in stretches(mark.marks)]
    if len(mark.marks) == 1:
        whole_s, own = content.picture.duration_s, marks[0]
        marks = [replace(own, start_s=0.0, end_s=whole_s, picture=pointed.picture, sound=pointed.sound)]
    pieces = tuple(_told_apart(content, marks))
    return replace(pointed, pieces=pieces) if len({piece.watermark_id for piece in pieces}) > 1 else pointed


def picture_against(picture: VideoFingerprint, record: Record | None) -> PictureSignal:
    """A picture against one record, inconclusive where there is nothing to compare with."""
    kept = kept_picture(record)
    return kept if isinstance(kept, PictureSignal) else compare(picture, kept)


def kept_picture(record: Record | None) -> VideoFingerprint | PictureSignal:
    """The fingerprint of a record, or why there is none to compare with."""
    if record is None or record.sealed_at is None:
        return PictureSignal(Agreement.INCONCLUSIVE, note="no sealed record to compare with")
    try:
        return VideoFingerprint.from_bytes(bytes(record.fingerprint))
    except FingerprintUnreadable:
        return PictureSignal(Agreement.INCONCLUSIVE, note="the record's fingerprint is of another version")


def view(record: Record | None) -> RecordView | None:
    """What a verdict may know of a record, if there is one."""
    return selectors.record_view(record) if record else None


def _contradicted(content: Content, pointed: Fused, mark: MarkSignal, marked: Record | None) -> Fused | None:
    """The finding that the whole file shows another record than its mark says, if it does.

    Under a compromised key that record stands by itself; else it contradicts the mark, and proves a copy of it.
    """
    other, found = _in_index(content.picture)
    if other.agreement is not Agreement.STRONG or found is None or found == marked:
        return None
    if _agreeing(other) < _TWICE * _agreeing(pointed.picture):
        return None
    if mark.compromised:
        return Fused(other, _sound_against(content.sound, found, other.offset_s), found)
    return replace(pointed, picture=replace(pointed.picture, agreement=Agreement.CONTRADICTS), found=found)


def _told_apart(content: Content, marks: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces, cut where their content is of another record than their mark, in order of time."""
    left = _LOOK_UPS
    for piece in marks:
        at_s = piece.start_s
        for run in differing_runs(piece.picture.seconds)[:left]:
            left -= 1
            signal, found = _in_index(cut_picture(content.picture, *run))
            if found is None or signal.agreement is not Agreement.STRONG or found.watermark_id == piece.watermark_id:
                continue
            if run[0] > at_s:
                yield replace(piece, start_s=at_s, end_s=run[0])
            yield replace(_piece(content, *run, found, found.watermark_id), marked=False)
            at_s = run[1]
        if at_s < piece.end_s:
            yield replace(piece, start_s=at_s)


def _marked_piece(content: Content, start_s: float, end_s: float, mark: FoundMark, compromised: frozenset[str]) -> Piece:
    record = selectors.record_of_mark(mark.watermark_id, mark.key_name)
    piece = _piece(content, start_s, end_s, record, mark.watermark_id)
    return replace(piece, compromised=mark.key_name in compromised)


def _piece(content: Content, start_s: float, end_s: float, record: Record | None, watermark_id: str) -> Piece:
    picture = picture_against(cut_picture(content.picture, start_s, end_s), record)
    sound = _sound_against(cut_sound(content.sound, start_s, end_s), record, picture.offset_s)
    return Piece(start_s, end_s, watermark_id, view(record), picture_at(picture, start_s), sound_at(sound, start_s))


def _agreeing(signal: PictureSignal) -> int:
    return sum(second.agreement is Agreement.AGREES for second in signal.seconds)


def _in_index(picture: VideoFingerprint) -> tuple[PictureSignal, Record | None]:
    """The strongest match among the records that resemble the picture, and its record."""
    best, found = PictureSignal(Agreement.NONE), None
    order = (Agreement.NONE, Agreement.WEAK, Agreement.STRONG)
    for record in selectors.candidates_by_fingerprint(picture):
        kept = kept_picture(record)
        signal = kept if isinstance(kept, PictureSignal) else compare(picture, kept, thorough=False)
        worth = strength(signal)
        if order.index(worth) > order.index(best.agreement):
            best, found = replace(signal, agreement=worth), record
    return best, found


def _sound_against(sound: AudioFingerprint | None, record: Record | None, offset_s: float) -> SoundSignal:
    if record is None or record.sealed_at is None:
        return SoundSignal(SoundState.NOT_COMPARED)
    try:
        kept = AudioFingerprint.from_bytes(bytes(record.audio_fingerprint)) if record.audio_fingerprint else None
    except FingerprintUnreadable:
        return SoundSignal(SoundState.INCONCLUSIVE)
    return compare_audio(sound, kept, offset_s=offset_s)
