"""One verdict from all signals of a file. Pure: no database, no clock, no file.

1. Classify the embedded manifest. It is ours only when a signature of ours holds *and* the digest of its claim is the one
   in our record: a stolen key makes signatures, not records (misuse register A16).
2. Relate the watermark to it: none, of the same record, of another, or found (in a clip, in previews, by a key that others may
   hold) with no manifest of ours beside it.
3. Put picture and sound together: sound that differs is a difference, sound that is missing is noted, sound that could not
   be compared proves nothing. Several outputs in one file are none of them as it was released.
4. Look the case up in `RULES`, first match wins. A case no rule names is never `confirmed` and never `recovered`.
5. Name the record: the one that stands behind the verdict, or for a forgery only the one it claims.
6. Lay the verdict out over the seconds of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from provenance.signals import (
    Agreement,
    ManifestReading,
    ManifestState,
    RecordView,
    Signals,
    SoundSignal,
    SoundState,
)
from provenance.timeline import Span, Verdict, timeline


class ManifestClass(StrEnum):
    """Step 1."""

    NONE = "none"
    FOREIGN_VALID = "foreign_valid"
    FOREIGN_BROKEN = "foreign_broken"
    OURS_HOLDS = "ours_holds"
    OURS_BROKEN = "ours_broken"
    OURS_UNRECORDED = "ours_unrecorded"  # signed with our key, unknown to our records


class MarkClass(StrEnum):
    """Step 2."""

    NONE = "none"
    SAME = "same"  # of the record the manifest names
    OTHER = "other"
    FOUND = "found"  # and no manifest of ours in the file
    PREVIEW = "preview"  # of previews, and no manifest of ours in the file
    COMPROMISED = "compromised"  # by a key that somebody else may hold, and no manifest of ours in the file


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table: a verdict for every combination of these classes. An empty set stands for any."""

    manifests: frozenset[ManifestClass]
    marks: frozenset[MarkClass]
    contents: frozenset[Agreement]
    verdict: Verdict
    reasons: tuple[str, ...] = ()

    def covers(self, manifest: ManifestClass, mark: MarkClass, content: Agreement) -> bool:
        """Whether this row speaks of the case."""
        return (
            (not self.manifests or manifest in self.manifests)
            and (not self.marks or mark in self.marks)
            and (not self.contents or content in self.contents)
        )


M, K, A = ManifestClass, MarkClass, Agreement
_ANY_MARK: frozenset[MarkClass] = frozenset()
_ANY_CONTENT: frozenset[Agreement] = frozenset()
_COMPATIBLE = frozenset({A.AGREES, A.IN_PART, A.INCONCLUSIVE})
_CONTRADICTS = frozenset({A.CONTRADICTS})
_NOT_OURS = frozenset({M.NONE, M.FOREIGN_BROKEN})
_BROKEN, _FOREIGN = frozenset({M.OURS_BROKEN}), frozenset({M.FOREIGN_VALID})
_FOUND, _UNMARKED, _PREVIEW = frozenset({K.FOUND}), frozenset({K.NONE}), frozenset({K.PREVIEW})
_COMPROMISED = frozenset({K.COMPROMISED})
_RESEMBLES = frozenset({A.AGREES, A.IN_PART, A.STRONG})
_RESEMBLES_NOT = frozenset({A.INCONCLUSIVE, A.WEAK, A.NONE})

RULES: tuple[Rule, ...] = (
    Rule(frozenset({M.OURS_HOLDS}), _ANY_MARK, _ANY_CONTENT, Verdict.CONFIRMED),
    Rule(frozenset({M.OURS_UNRECORDED}), _ANY_MARK, _ANY_CONTENT, Verdict.TRANSPLANTED, ("key_compromise_suspected",)),
    Rule(_BROKEN, _ANY_MARK, _CONTRADICTS, Verdict.TRANSPLANTED, ("content_contradicts_record",)),
    Rule(_BROKEN, frozenset({K.SAME, K.NONE}), _COMPATIBLE, Verdict.ALTERED, ("hard_binding_broken",)),
    Rule(_BROKEN, frozenset({K.OTHER}), _COMPATIBLE, Verdict.ALTERED, ("hard_binding_broken", "manifest_substituted")),
    # previews came from here, but never as a clip: whoever made one of them changed what it is, and nobody consented to that
    Rule(_FOREIGN, _PREVIEW, _ANY_CONTENT, Verdict.ALTERED, ("republished_under_foreign_manifest", "preview_only")),
    Rule(_NOT_OURS, _PREVIEW, _ANY_CONTENT, Verdict.ALTERED, ("preview_only",)),
    # a mark that anybody could have made says where to look; what is found there counts as if there were no mark
    Rule(_FOREIGN, _COMPROMISED, _RESEMBLES, Verdict.ALTERED, ("republished_under_foreign_manifest", "mark_of_compromised_key")),
    Rule(_FOREIGN, _COMPROMISED, _RESEMBLES_NOT, Verdict.FOREIGN, ("mark_of_compromised_key",)),
    Rule(_NOT_OURS, _COMPROMISED, _RESEMBLES, Verdict.ALTERED, ("mark_of_compromised_key",)),
    Rule(_NOT_OURS, _COMPROMISED, _RESEMBLES_NOT, Verdict.UNKNOWN, ("mark_of_compromised_key",)),
    Rule(_FOREIGN | _NOT_OURS, _COMPROMISED, _CONTRADICTS, Verdict.TRANSPLANTED, ("content_contradicts_record",)),
    Rule(_FOREIGN, _FOUND, _COMPATIBLE, Verdict.ALTERED, ("republished_under_foreign_manifest",)),
    Rule(_FOREIGN, _FOUND, _CONTRADICTS, Verdict.TRANSPLANTED, ("content_contradicts_record",)),
    Rule(_FOREIGN, _UNMARKED, frozenset({A.STRONG}), Verdict.ALTERED, ("marks_removed",)),
    Rule(_FOREIGN, _UNMARKED, frozenset({A.WEAK, A.NONE}), Verdict.FOREIGN),
    Rule(_NOT_OURS, _FOUND, frozenset({A.AGREES}), Verdict.RECOVERED),
    Rule(_NOT_OURS, _FOUND, frozenset({A.IN_PART, A.INCONCLUSIVE}), Verdict.ALTERED, ("content_matches_in_part",)),
    Rule(_NOT_OURS, _FOUND, _CONTRADICTS, Verdict.TRANSPLANTED, ("content_contradicts_record",)),
    Rule(_NOT_OURS, _UNMARKED, frozenset({A.STRONG}), Verdict.ALTERED, ("marks_removed",)),
    Rule(_NOT_OURS, _UNMARKED, frozenset({A.WEAK, A.NONE}), Verdict.UNKNOWN),
)

_MARK_COVERAGE = 0.5  # share of the seconds that must carry the mark; quiet seconds may be too dark for it
_EXCERPT_S = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict with everything it rests on. record: ours, standing behind it; claimed_record: only claimed by a forgery."""

    verdict: Verdict
    reasons: tuple[str, ...]
    record: RecordView | None
    claimed_record: RecordView | None
    manifest_id: str | None
    timeline: tuple[Span, ...]
    manifest_class: ManifestClass
    mark_class: MarkClass
    content: Agreement


def verify(signals: Signals) -> Outcome:
    """The verdict of one file. Never raises."""
    # Step 1.
    manifest = classify_manifest(signals.manifest, signals.manifest_record)
    # Step 2.
    mark = classify_mark(manifest, signals)
    # Step 3.
    content, content_notes = combine_content(signals, mark)
    # Step 4.
    rule = _rule(manifest, mark, content)
    # Step 5.
    standing, claimed = _records(rule.verdict, manifest, mark, signals)
    # Step 6.
    spans = () if signals.still else timeline(rule.verdict, standing.watermark_id if standing else None, signals)
    notes = dict.fromkeys([*rule.reasons, *content_notes, *_notes(manifest, mark, signals)])
    return Outcome(
        verdict=rule.verdict,
        reasons=tuple(notes),
        record=standing,
        claimed_record=claimed,
        manifest_id=standing.manifest_id if standing else signals.manifest.manifest_id,
        timeline=spans,
        manifest_class=manifest,
        mark_class=mark,
        content=content,
    )


def classify_manifest(reading: ManifestReading, record: RecordView | None) -> ManifestClass:
    """Step 1. `record`: the sealed record of the manifest's id, if there is one."""
    if reading.state in (ManifestState.NONE, ManifestState.UNREADABLE):
        return ManifestClass.NONE
    recorded = _is_recorded(reading, record)
    if not _is_signed_by_us(reading, record, recorded=recorded):
        return ManifestClass.FOREIGN_VALID if _is_intact(reading) else ManifestClass.FOREIGN_BROKEN
    if not recorded:
        return ManifestClass.OURS_UNRECORDED
    trusted = reading.state is ManifestState.TRUSTED or reading.expired
    return ManifestClass.OURS_HOLDS if trusted and reading.hard_binding_holds else ManifestClass.OURS_BROKEN


def classify_mark(manifest: ManifestClass, signals: Signals) -> MarkClass:
    """Step 2."""
    if not signals.mark.found:
        return MarkClass.NONE
    if manifest not in (ManifestClass.OURS_HOLDS, ManifestClass.OURS_BROKEN):
        if signals.mark.compromised:
            return MarkClass.COMPROMISED
        previews = signals.mark_record is not None and signals.mark_record.preview
        return MarkClass.PREVIEW if previews else MarkClass.FOUND
    named = signals.manifest_record
    same = named is not None and signals.mark.watermark_id == named.watermark_id
    return MarkClass.SAME if same else MarkClass.OTHER


def combine_content(signals: Signals, mark: MarkClass) -> tuple[Agreement, tuple[str, ...]]:
    """Step 3: the picture's agreement, lowered to `in_part` by anything that is not vouched for, and why."""
    if signals.pieces and mark not in (MarkClass.SAME, MarkClass.OTHER):
        return _combined_pieces(signals), ("several_records",)
    if signals.picture.agreement is not Agreement.AGREES:
        return signals.picture.agreement, _sound_notes(signals.sound)
    doubts = [
        *_sound_doubts(signals.sound),
        *(["several_video_streams"] if signals.several_streams else []),
        *(["several_sound_or_text_tracks"] if signals.several_tracks else []),
        *(_mark_doubts(signals) if mark is MarkClass.FOUND else []),
    ]
    return (Agreement.IN_PART if doubts else Agreement.AGREES), (*doubts, *_sound_notes(signals.sound))


def _is_signed_by_us(reading: ManifestReading, record: RecordView | None, *, recorded: bool) -> bool:
    # A reader no longer traces an expired certificate to its root; our record of the claim and its signer does.
    outlived = reading.expired and recorded and _same_signer(reading, record)
    return reading.signature_holds and (reading.signed_by_us or outlived)


def _is_intact(reading: ManifestReading) -> bool:
    accepted = reading.state in (ManifestState.VALID, ManifestState.TRUSTED)
    return accepted and reading.signature_holds and reading.hard_binding_holds


def _is_recorded(reading: ManifestReading, record: RecordView | None) -> bool:
    return (
        record is not None
        and record.sealed
        and reading.manifest_id is not None
        and reading.manifest_sha256 is not None
        and reading.manifest_id == record.manifest_id
        and reading.manifest_sha256 == record.manifest_sha256
    )


def _same_signer(reading: ManifestReading, record: RecordView | None) -> bool:
    return record is not None and reading.signer_serial is not None and reading.signer_serial == record.signer_serial


def _is_sealed(record: RecordView | None) -> bool:
    return record is not None and record.sealed


def _sound_doubts(sound: SoundSignal) -> list[str]:
    if sound.state in (SoundState.DIFFERS, SoundState.IN_PART, SoundState.ADDED):
        return ["sound_differs"]
    return ["sound_undecided"] if sound.state in (SoundState.INCONCLUSIVE, SoundState.NOT_COMPARED) else []


def _sound_notes(sound: SoundSignal) -> tuple[str, ...]:
    return ("sound_missing",) if sound.state is SoundState.MISSING else ()


def _mark_doubts(signals: Signals) -> list[str]:
    covers_part = not signals.still and _coverage(signals) < _MARK_COVERAGE
    unsealed = not _is_sealed(signals.mark_record)
    return [*(["mark_covers_part"] if covers_part else []), *(["record_not_sealed"] if unsealed else [])]


def _combined_pieces(signals: Signals) -> Agreement:
    agreements = {piece.picture.agreement for piece in signals.pieces}
    if agreements == {Agreement.CONTRADICTS}:
        return Agreement.CONTRADICTS
    resembles_nothing = agreements <= {Agreement.INCONCLUSIVE, Agreement.CONTRADICTS}
    # marks that anybody can make tie no content to a record that it does not resemble
    if resembles_nothing and all(piece.compromised for piece in signals.pieces):
        return Agreement.INCONCLUSIVE
    return Agreement.IN_PART


def _coverage(signals: Signals) -> float:
    covered = sum(end - start for start, end in signals.mark.segments_s)
    return covered / signals.duration_s if signals.duration_s > 0 else 0.0


def _rule(manifest: ManifestClass, mark: MarkClass, content: Agreement) -> Rule:
    for rule in RULES:
        if rule.covers(manifest, mark, content):
            return rule
    # A sign of ours that does not fit any row is a changed output at best; without one, nothing was found.
    ours = manifest is ManifestClass.OURS_BROKEN or mark is not MarkClass.NONE
    verdict = Verdict.ALTERED if ours else Verdict.UNKNOWN
    return Rule(frozenset({manifest}), frozenset({mark}), frozenset({content}), verdict, ("signals_do_not_fit",))


def _records(
    verdict: Verdict, manifest: ManifestClass, mark: MarkClass, signals: Signals
) -> tuple[RecordView | None, RecordView | None]:
    """Step 5: the record behind the verdict, and the one merely claimed."""
    if verdict in (Verdict.FOREIGN, Verdict.UNKNOWN):
        return None, None
    ours = manifest in (ManifestClass.OURS_HOLDS, ManifestClass.OURS_BROKEN, ManifestClass.OURS_UNRECORDED)
    led_by_content = mark is MarkClass.NONE or (mark is MarkClass.COMPROMISED and signals.index_record is not None)
    marked = signals.index_record if led_by_content else signals.mark_record
    found = signals.manifest_record if ours else marked
    return (None, found) if verdict is Verdict.TRANSPLANTED else (found, None)


def _notes(manifest: ManifestClass, mark: MarkClass, signals: Signals) -> Iterator[str]:
    if manifest is ManifestClass.OURS_HOLDS and signals.manifest.expired:
        yield "certificate_expired"
    if manifest is ManifestClass.FOREIGN_BROKEN:
        yield "foreign_manifest_broken"
    if mark is MarkClass.OTHER:
        yield "mark_of_another_record"
    if mark is not MarkClass.NONE and signals.mark_record is None:
        yield "mark_without_record"
    if mark is MarkClass.FOUND and signals.index_record is not None:
        yield "content_of_another_record"
    if _is_excerpt(signals):
        yield "excerpt"
    yield from signals.notes


def _is_excerpt(signals: Signals) -> bool:
    record = signals.manifest_record or signals.mark_record
    whole_s = record.duration_s if record else None
    return whole_s is not None and not signals.still and signals.duration_s > 0 and signals.duration_s < whole_s - _EXCERPT_S
