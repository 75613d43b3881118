"""Single decisions of the verdict that the table alone does not show."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from provenance.signals import (
    Agreement,
    ManifestReading,
    ManifestState,
    MarkSignal,
    PictureSignal,
    Piece,
    RecordView,
    SecondState,
    Signals,
    SoundSignal,
    SoundState,
)
from provenance.verify import Verdict, verify

RECORD = RecordView(
    uuid.UUID(int=1), "ab" * 8, uuid.UUID(int=2), "Countersign", "0.1.0", None, datetime(2026, 1, 1, tzinfo=UTC), True,
    "urn:c2pa:one", "aa" * 32, "77", 4.0,
)  # fmt: skip
AGREEING = tuple(SecondState(float(at), at + 1.0, Agreement.AGREES, 0.5) for at in range(4))
STRIPPED = Signals(
    manifest=ManifestReading(ManifestState.NONE),
    mark=MarkSignal(True, "ab" * 8, segments_s=((0.0, 4.0),)),
    picture=PictureSignal(Agreement.AGREES, AGREEING),
    sound=SoundSignal(SoundState.AGREES),
    duration_s=4.0,
    mark_record=RECORD,
)


def test_a_stripped_copy_is_recovered_with_the_stored_manifest() -> None:
    outcome = verify(STRIPPED)
    assert outcome.verdict is Verdict.RECOVERED
    assert outcome.manifest_id == "urn:c2pa:one"
    assert outcome.record is RECORD


@pytest.mark.parametrize("state", [SoundState.DIFFERS, SoundState.IN_PART, SoundState.ADDED])
def test_another_voice_makes_it_altered(state: SoundState) -> None:
    outcome = verify(replace(STRIPPED, sound=SoundSignal(state)))
    assert outcome.verdict is Verdict.ALTERED
    assert "sound_differs" in outcome.reasons


def test_missing_sound_is_noted_and_no_difference() -> None:
    outcome = verify(replace(STRIPPED, sound=SoundSignal(SoundState.MISSING)))
    assert outcome.verdict is Verdict.RECOVERED
    assert "sound_missing" in outcome.reasons


def test_sound_nobody_could_compare_vouches_for_nothing() -> None:
    assert verify(replace(STRIPPED, sound=SoundSignal(SoundState.INCONCLUSIVE))).verdict is Verdict.ALTERED


def test_a_second_video_stream_is_not_vouched_for() -> None:
    outcome = verify(replace(STRIPPED, several_streams=True))
    assert outcome.verdict is Verdict.ALTERED
    assert "several_video_streams" in outcome.reasons


def test_a_second_sound_track_or_subtitles_are_not_vouched_for() -> None:
    outcome = verify(replace(STRIPPED, several_tracks=True))
    assert outcome.verdict is Verdict.ALTERED
    assert "several_sound_or_text_tracks" in outcome.reasons


def test_the_mark_of_a_job_that_never_finished_vouches_for_nothing() -> None:
    outcome = verify(replace(STRIPPED, mark_record=replace(RECORD, sealed=False)))
    assert outcome.verdict is Verdict.ALTERED
    assert "record_not_sealed" in outcome.reasons


def test_a_mark_without_a_record_is_said() -> None:
    outcome = verify(replace(STRIPPED, mark_record=None, picture=PictureSignal(Agreement.INCONCLUSIVE)))
    assert outcome.verdict is Verdict.ALTERED
    assert outcome.record is None
    assert "mark_without_record" in outcome.reasons


def test_a_shorter_copy_is_called_an_excerpt() -> None:
    outcome = verify(replace(STRIPPED, duration_s=2.0))
    assert outcome.verdict is Verdict.RECOVERED
    assert "excerpt" in outcome.reasons


def test_the_timeline_tells_which_seconds_are_ours() -> None:
    foreign = (SecondState(2.0, 3.0, Agreement.NONE, 9.0), SecondState(3.0, 4.0, Agreement.NONE, 9.0))
    spliced = replace(
        STRIPPED,
        picture=PictureSignal(Agreement.IN_PART, AGREEING[:2] + foreign),
        mark=MarkSignal(True, "ab" * 8, segments_s=((0.0, 2.0),)),
    )
    outcome = verify(spliced)
    assert outcome.verdict is Verdict.ALTERED
    assert [(span.start_s, span.end_s, span.verdict) for span in outcome.timeline] == [
        (0.0, 2.0, Verdict.RECOVERED),
        (2.0, 4.0, Verdict.UNKNOWN),
    ]


def test_a_swapped_voice_shows_in_its_seconds() -> None:
    sound = SoundSignal(
        SoundState.IN_PART,
        tuple(replace(second, agreement=Agreement.CONTRADICTS) if second.start_s == 2 else second for second in AGREEING),
    )
    outcome = verify(replace(STRIPPED, sound=sound))
    assert [span.verdict for span in outcome.timeline] == [Verdict.RECOVERED, Verdict.ALTERED, Verdict.RECOVERED]
    assert (outcome.timeline[1].start_s, outcome.timeline[1].end_s) == (2.0, 3.0)


def piece(start_s: float, watermark_id: str, agreement: Agreement = Agreement.AGREES, **other: Any) -> Piece:
    """Two seconds that carry a mark."""
    state = agreement if agreement is Agreement.AGREES else Agreement.NONE
    seconds = tuple(SecondState(start_s + at, start_s + at + 1.0, state, 0.5) for at in range(2))
    record = replace(RECORD, watermark_id=watermark_id)
    return Piece(
        start_s, start_s + 2.0, watermark_id, record, PictureSignal(agreement, seconds), SoundSignal(SoundState.AGREES), **other
    )


def of_pieces(*pieces: Piece) -> list[tuple[float, float, Verdict, str | None]]:
    outcome = verify(replace(STRIPPED, picture=PictureSignal(Agreement.IN_PART, AGREEING), pieces=pieces))
    assert outcome.verdict is Verdict.ALTERED
    assert "several_records" in outcome.reasons
    return [(span.start_s, span.end_s, span.verdict, span.watermark_id) for span in outcome.timeline]


def test_seconds_of_two_outputs_are_named_by_their_records() -> None:
    one, other = "ab" * 8, "cd" * 8
    assert of_pieces(piece(0.0, one), piece(2.0, other)) == [
        (0.0, 2.0, Verdict.RECOVERED, one),
        (2.0, 4.0, Verdict.RECOVERED, other),
    ]


def test_a_copied_mark_on_some_seconds_is_told_from_the_seconds_that_are_ours() -> None:
    assert of_pieces(piece(0.0, "ab" * 8), piece(2.0, "cd" * 8, Agreement.CONTRADICTS)) == [
        (0.0, 2.0, Verdict.RECOVERED, "ab" * 8),
        (2.0, 4.0, Verdict.TRANSPLANTED, None),
    ]


@pytest.mark.parametrize("doubt", [{"compromised": True}, {"marked": False}])
def test_a_piece_without_a_mark_that_counts_is_not_vouched_for(doubt: dict[str, bool]) -> None:
    spans = of_pieces(piece(0.0, "ab" * 8), piece(2.0, "cd" * 8, **doubt))
    assert spans[1] == (2.0, 4.0, Verdict.ALTERED, "cd" * 8)


def test_seconds_between_the_pieces_are_nobodys() -> None:
    spans = of_pieces(piece(0.0, "ab" * 8), replace(piece(2.0, "cd" * 8), start_s=3.0))
    assert spans[1] == (2.0, 3.0, Verdict.UNKNOWN, None)


def test_copied_marks_on_every_piece_are_a_forgery() -> None:
    pieces = (piece(0.0, "ab" * 8, Agreement.CONTRADICTS), piece(2.0, "cd" * 8, Agreement.CONTRADICTS))
    outcome = verify(replace(STRIPPED, picture=PictureSignal(Agreement.CONTRADICTS, AGREEING), pieces=pieces))
    assert outcome.verdict is Verdict.TRANSPLANTED


@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        (Agreement.AGREES, Verdict.ALTERED),
        (Agreement.IN_PART, Verdict.ALTERED),
        (Agreement.INCONCLUSIVE, Verdict.UNKNOWN),
        (Agreement.CONTRADICTS, Verdict.TRANSPLANTED),
    ],
)
def test_the_mark_of_a_compromised_key_is_no_evidence(content: Agreement, verdict: Verdict) -> None:
    mark = replace(STRIPPED.mark, compromised=True)
    assert verify(replace(STRIPPED, mark=mark, picture=PictureSignal(content, AGREEING))).verdict is verdict


def test_an_expired_certificate_stays_confirmed_while_our_record_knows_the_claim() -> None:
    reading = ManifestReading(
        ManifestState.INVALID,
        "urn:c2pa:one",
        "aa" * 32,
        signature_holds=True,
        hard_binding_holds=True,
        expired=True,
        signer_serial="77",
    )
    outcome = verify(replace(STRIPPED, manifest=reading, manifest_record=RECORD))
    assert outcome.verdict is Verdict.CONFIRMED
    assert "certificate_expired" in outcome.reasons
    unknown = verify(replace(STRIPPED, manifest=replace(reading, manifest_sha256="bb" * 32), manifest_record=RECORD))
    assert unknown.verdict is not Verdict.CONFIRMED


def test_a_manifest_on_the_content_of_another_record_is_called_substituted() -> None:
    reading = ManifestReading(ManifestState.INVALID, "urn:c2pa:one", "aa" * 32, signature_holds=True, signed_by_us=True)
    mark = MarkSignal(True, "cd" * 8, segments_s=((0.0, 4.0),))
    outcome = verify(
        replace(STRIPPED, manifest=reading, manifest_record=RECORD, mark=mark, picture=PictureSignal(Agreement.IN_PART, AGREEING))
    )
    assert outcome.verdict is Verdict.ALTERED
    assert {"manifest_substituted", "mark_of_another_record"} <= set(outcome.reasons)
