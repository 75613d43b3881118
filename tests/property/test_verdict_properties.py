"""Whatever the signals of a file are, nothing is vouched for without everything that has to stand behind it."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from provenance.verify import ManifestClass, MarkClass, Outcome, Verdict, verify

M, K, A, V = ManifestClass, MarkClass, Agreement, Verdict
DIGESTS = ["aa" * 32, "bb" * 32, None]
URNS = ["urn:c2pa:one", "urn:c2pa:two", None]

# The table of the design, written out once more and by hand: the implementation must not be the judge of itself.
TABLE = (
    # previews were never a clip: whatever resembles them, nothing is vouched for
    {(manifest, K.PREVIEW, content): V.ALTERED for manifest in (M.NONE, M.FOREIGN_BROKEN, M.FOREIGN_VALID) for content in A}
    # a key that anybody may hold proves nothing: its mark leads to a record, and what is found there counts as if unmarked
    | {
        (manifest, K.COMPROMISED, content): V.ALTERED if content in (A.AGREES, A.IN_PART, A.STRONG) else otherwise
        for manifest, otherwise in ((M.NONE, V.UNKNOWN), (M.FOREIGN_BROKEN, V.UNKNOWN), (M.FOREIGN_VALID, V.FOREIGN))
        for content in A
        if content is not A.CONTRADICTS
    }
    | {(manifest, K.COMPROMISED, A.CONTRADICTS): V.TRANSPLANTED for manifest in (M.NONE, M.FOREIGN_BROKEN, M.FOREIGN_VALID)}
    | {(M.OURS_HOLDS, mark, content): V.CONFIRMED for mark in (K.NONE, K.SAME, K.OTHER) for content in A}
    | {(M.OURS_UNRECORDED, mark, content): V.TRANSPLANTED for mark in (K.NONE, K.FOUND) for content in A}
    | {
        (M.OURS_BROKEN, K.SAME, A.AGREES): V.ALTERED,
        (M.OURS_BROKEN, K.SAME, A.IN_PART): V.ALTERED,
        (M.OURS_BROKEN, K.SAME, A.INCONCLUSIVE): V.ALTERED,
        (M.OURS_BROKEN, K.NONE, A.AGREES): V.ALTERED,
        (M.OURS_BROKEN, K.NONE, A.IN_PART): V.ALTERED,
        (M.OURS_BROKEN, K.NONE, A.INCONCLUSIVE): V.ALTERED,
        (M.OURS_BROKEN, K.OTHER, A.CONTRADICTS): V.TRANSPLANTED,
        (M.OURS_BROKEN, K.NONE, A.CONTRADICTS): V.TRANSPLANTED,
        (M.FOREIGN_VALID, K.FOUND, A.AGREES): V.ALTERED,
        (M.FOREIGN_VALID, K.FOUND, A.IN_PART): V.ALTERED,
        (M.FOREIGN_VALID, K.FOUND, A.INCONCLUSIVE): V.ALTERED,
        (M.FOREIGN_VALID, K.FOUND, A.CONTRADICTS): V.TRANSPLANTED,
        (M.FOREIGN_VALID, K.NONE, A.STRONG): V.ALTERED,
        (M.FOREIGN_VALID, K.NONE, A.WEAK): V.FOREIGN,
        (M.FOREIGN_VALID, K.NONE, A.NONE): V.FOREIGN,
    }
    | {
        (manifest, *case): verdict
        for manifest in (M.NONE, M.FOREIGN_BROKEN)
        for case, verdict in {
            (K.FOUND, A.AGREES): V.RECOVERED,
            (K.FOUND, A.IN_PART): V.ALTERED,
            (K.FOUND, A.INCONCLUSIVE): V.ALTERED,
            (K.FOUND, A.CONTRADICTS): V.TRANSPLANTED,
            (K.NONE, A.STRONG): V.ALTERED,
            (K.NONE, A.WEAK): V.UNKNOWN,
            (K.NONE, A.NONE): V.UNKNOWN,
        }.items()
    }
)


def record(watermark_id: str = "0" * 16, *, number: int = 1, sealed: bool = True, digest: str | None = DIGESTS[0]) -> RecordView:
    return RecordView(
        record_id=uuid.UUID(int=number),
        watermark_id=watermark_id,
        job_id=uuid.UUID(int=100 + number),
        system="Countersign",
        system_version="0.1.0",
        studio_public_name=None,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        sealed=sealed,
        manifest_id=URNS[0],
        manifest_sha256=digest,
        signer_serial="77",
        duration_s=4.0,
    )


def signals_of(manifest: ManifestClass, mark: MarkClass, content: Agreement) -> Signals:
    """Signals that belong to one case of the table."""
    ours = ManifestReading(
        ManifestState.TRUSTED, URNS[0], DIGESTS[0], None, signature_holds=True, signed_by_us=True, hard_binding_holds=True
    )
    readings = {
        M.NONE: ManifestReading(ManifestState.NONE),
        M.FOREIGN_VALID: replace(ours, state=ManifestState.VALID, manifest_id=URNS[1], signed_by_us=False),
        M.FOREIGN_BROKEN: ManifestReading(ManifestState.INVALID, URNS[1]),
        M.OURS_HOLDS: ours,
        M.OURS_BROKEN: replace(ours, state=ManifestState.INVALID, hard_binding_holds=False),
        M.OURS_UNRECORDED: replace(ours, manifest_sha256=DIGESTS[1]),
    }
    found = mark is not K.NONE
    other = mark is K.OTHER
    marked = replace(record("f" * 16, number=2) if other else record(), preview=mark is K.PREVIEW)
    agreeing = A.AGREES if content is A.AGREES else A.IN_PART
    seconds = tuple(SecondState(float(second), second + 1.0, agreeing, 0.5) for second in range(4))
    return Signals(
        manifest=readings[manifest],
        mark=MarkSignal(
            found,
            marked.watermark_id if found else None,
            segments_s=((0.0, 4.0),) if found else (),
            compromised=mark is K.COMPROMISED,
        ),
        picture=PictureSignal(content, seconds),
        sound=SoundSignal(SoundState.AGREES),
        duration_s=4.0,
        manifest_record=record() if manifest in (M.OURS_HOLDS, M.OURS_BROKEN, M.OURS_UNRECORDED) else None,
        mark_record=marked if found else None,
        index_record=record(number=3) if content in (A.STRONG, A.WEAK) else None,
    )


@pytest.mark.parametrize("case", TABLE, ids=lambda case: "-".join(part.value for part in case))
def test_each_row_of_the_table_gives_its_verdict(case: tuple[ManifestClass, MarkClass, Agreement]) -> None:
    outcome = verify(signals_of(*case))
    assert (outcome.manifest_class, outcome.mark_class, outcome.content) == case
    assert outcome.verdict is TABLE[case]


@pytest.mark.parametrize("case", list(itertools.product(M, K, A)), ids=lambda case: "-".join(part.value for part in case))
def test_cases_outside_the_table_vouch_for_nothing(case: tuple[ManifestClass, MarkClass, Agreement]) -> None:
    outcome = verify(signals_of(*case))
    seen = (outcome.manifest_class, outcome.mark_class, outcome.content)
    if seen not in TABLE:
        assert outcome.verdict not in (V.CONFIRMED, V.RECOVERED, V.FOREIGN)


readings = st.builds(
    ManifestReading,
    state=st.sampled_from(ManifestState),
    manifest_id=st.sampled_from(URNS),
    manifest_sha256=st.sampled_from(DIGESTS),
    signature_holds=st.booleans(),
    signed_by_us=st.booleans(),
    hard_binding_holds=st.booleans(),
    expired=st.booleans(),
    signer_serial=st.sampled_from(["77", "78", None]),
)
records = st.none() | st.builds(
    record,
    st.sampled_from(["0" * 16, "f" * 16]),
    number=st.integers(1, 2),
    sealed=st.booleans(),
    digest=st.sampled_from(DIGESTS),
)
seconds = st.lists(st.sampled_from(A), max_size=5).map(
    lambda states: tuple(SecondState(float(at), at + 1.0, state, 1.0) for at, state in enumerate(states))
)
anything = st.builds(
    Signals,
    manifest=readings,
    mark=st.builds(
        MarkSignal,
        found=st.booleans(),
        watermark_id=st.sampled_from(["0" * 16, "f" * 16, None]),
        segments_s=st.sampled_from([(), ((0.0, 1.0),), ((0.0, 4.0),)]),
        compromised=st.booleans(),
    ),
    picture=st.builds(PictureSignal, agreement=st.sampled_from(A), seconds=seconds),
    sound=st.builds(SoundSignal, state=st.sampled_from(SoundState), seconds=seconds),
    duration_s=st.sampled_from([0.0, 0.5, 4.0]),
    manifest_record=records,
    mark_record=records,
    index_record=records,
    several_streams=st.booleans(),
    several_tracks=st.booleans(),
)


@given(anything)
def test_confirmed_needs_our_signature_the_recorded_digest_and_the_bytes(signals: Signals) -> None:
    outcome = verify(signals)
    if outcome.verdict is V.CONFIRMED:
        reading, named = signals.manifest, signals.manifest_record
        assert named is not None
        assert named.sealed
        assert reading.manifest_id is not None
        assert (reading.manifest_id, reading.manifest_sha256) == (named.manifest_id, named.manifest_sha256)
        assert reading.manifest_sha256 is not None
        assert reading.hard_binding_holds
        assert reading.signature_holds
        assert reading.signed_by_us or (reading.expired and reading.signer_serial == named.signer_serial)


@given(anything)
def test_recovered_needs_the_mark_of_a_sealed_record_and_agreement_in_everything(signals: Signals) -> None:
    outcome = verify(signals)
    if outcome.verdict is V.RECOVERED:
        assert signals.mark.found
        assert not signals.mark.compromised
        assert signals.mark_record is not None
        assert signals.mark_record.sealed
        assert signals.picture.agreement is A.AGREES
        assert signals.sound.state in (SoundState.AGREES, SoundState.MISSING, SoundState.ABSENT)
        assert not signals.several_streams
        assert not signals.several_tracks
        assert sum(end - start for start, end in signals.mark.segments_s) * 2 >= signals.duration_s


@given(anything)
def test_our_key_without_our_record_is_always_called_a_suspected_theft(signals: Signals) -> None:
    reading = replace(
        signals.manifest, state=ManifestState.TRUSTED, signature_holds=True, signed_by_us=True, manifest_sha256="cc" * 32
    )
    outcome = verify(replace(signals, manifest=reading))
    assert outcome.verdict is V.TRANSPLANTED
    assert "key_compromise_suspected" in outcome.reasons
    assert outcome.record is None


@given(anything)
def test_a_forgery_is_never_given_the_standing_of_the_record_it_claims(signals: Signals) -> None:
    outcome = verify(signals)
    if outcome.verdict in (V.TRANSPLANTED, V.FOREIGN, V.UNKNOWN):
        assert outcome.record is None


@given(anything)
def test_the_timeline_covers_the_file_in_order_without_holes(signals: Signals) -> None:
    outcome: Outcome = verify(signals)
    assert outcome.timeline[0].start_s == 0.0
    for earlier, later in itertools.pairwise(outcome.timeline):
        assert earlier.end_s == later.start_s
        assert earlier.verdict is not later.verdict


@given(anything)
def test_only_a_whole_verdict_confirms_a_second(signals: Signals) -> None:
    outcome = verify(signals)
    if outcome.verdict is not V.CONFIRMED:
        assert all(span.verdict is not V.CONFIRMED for span in outcome.timeline)
    if outcome.verdict in (V.UNKNOWN, V.FOREIGN, V.TRANSPLANTED):
        assert {span.verdict for span in outcome.timeline} == {outcome.verdict}
