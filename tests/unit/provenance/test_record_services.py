"""A record is reserved once, sealed once, and never changed, moved or removed, whoever asks."""

from __future__ import annotations

import uuid
from fractions import Fraction
from pathlib import Path

import pytest
from django.conf import settings
from django.db import DatabaseError, transaction
from provenance_samples import fingerprint_of, performance, voice

from audit.models import Event
from provenance import keys, selectors
from provenance.credentials.sign import SealedFile
from provenance.errors import RecordMissing, RecordSealed
from provenance.fingerprint.audio import AudioFingerprint, fingerprint_audio
from provenance.fingerprint.video import VideoFingerprint
from provenance.models import Record, SoftBinding
from provenance.services import OutputFacts, reserve_record, seal_record, watermark_binding_value

pytestmark = pytest.mark.django_db
FRAMES = performance(seconds=2)
PICTURE = fingerprint_of(FRAMES)
SOUND = fingerprint_audio(voice(seconds=2))
FACTS = OutputFacts(256, 192, Fraction(30000, 1001), 50, 2.0)


def reserve(job_id: uuid.UUID | None = None) -> Record:
    return reserve_record(job_id=job_id or uuid.uuid4(), studio_id=uuid.UUID(int=7), system="Countersign", system_version="0.1.0")


def sealed_file(number: int = 1) -> SealedFile:
    return SealedFile(
        path=Path("output.mp4"),
        manifest_id=f"urn:c2pa:{number}",
        manifest_sha256="aa" * 32,
        store=b"store",
        store_sha256="bb" * 32,
        asset_sha256="cc" * 32,
        signer_serial="77",
        development=True,
    )


def seal(record: Record, number: int = 1, sound: AudioFingerprint | None = SOUND, picture: VideoFingerprint = PICTURE) -> Record:
    return seal_record(
        record_id=record.pk,
        sealed=sealed_file(number),
        facts=FACTS,
        self_test={"margin": 40.0},
        fingerprint=picture,
        audio_fingerprint=sound,
    )


def test_a_restarted_job_goes_on_with_its_watermark_id() -> None:
    job = uuid.uuid4()
    assert reserve(job).watermark_id == reserve(job).watermark_id
    assert Record.objects.count() == 1


def test_each_job_has_an_id_of_its_own() -> None:
    ids = {reserve().watermark_id for _ in range(20)}
    assert len(ids) == 20
    assert all(len(value) == 16 and int(value, 16) >= 0 for value in ids)


def test_the_key_belongs_to_studio_and_month() -> None:
    record = reserve()
    assert record.key_name.startswith(f"{uuid.UUID(int=7)}/20")
    assert len(keys.watermark_key(record.key_name)) == 32
    assert keys.watermark_key("another/2026-01") != keys.watermark_key(record.key_name)
    assert keys.watermark_key(record.key_name) != keys.sync_key()


def test_sealing_keeps_everything_a_verdict_needs() -> None:
    record = seal(reserve())
    view = selectors.record_view(record)
    assert view.sealed
    assert (view.manifest_id, view.manifest_sha256, view.signer_serial) == ("urn:c2pa:1", "aa" * 32, "77")
    assert VideoFingerprint.from_bytes(bytes(record.fingerprint)).duration_s == PICTURE.duration_s
    assert record.frame_rate == "30000/1001"
    assert selectors.record_by_manifest("urn:c2pa:1") == record
    assert selectors.record_by_watermark_id(record.watermark_id.upper()) == record
    assert selectors.record_by_binding(alg=settings.SOFT_BINDING_ALG, value=watermark_binding_value(record)) == record
    assert keys.payload_of(record) == int(record.watermark_id, 16)


def test_a_second_sealing_is_refused_and_changes_nothing() -> None:
    record = seal(reserve())
    with pytest.raises(RecordSealed, match="release the file it was sealed with"), transaction.atomic():
        seal(record, number=2)
    record.refresh_from_db()
    assert record.manifest_id == "urn:c2pa:1"
    assert SoftBinding.objects.count() == 1


def test_sealing_without_a_reservation_is_refused() -> None:
    with pytest.raises(RecordMissing, match="reserve it before rendering"), transaction.atomic():
        seal_record(
            record_id=uuid.uuid4(),
            sealed=sealed_file(),
            facts=FACTS,
            self_test={},
            fingerprint=PICTURE,
            audio_fingerprint=None,
        )


@pytest.mark.parametrize("change", [{"watermark_id": "f" * 16}, {"job_id": uuid.UUID(int=1)}, {"key_name": "x"}, {"scheme": 1}])
def test_the_database_keeps_what_was_reserved(change: dict[str, object]) -> None:
    record = reserve()
    with pytest.raises(DatabaseError, match="what was reserved stays"), transaction.atomic():
        Record.objects.filter(pk=record.pk).update(**change)


def test_the_database_refuses_to_touch_a_sealed_record() -> None:
    record = seal(reserve())
    with pytest.raises(DatabaseError, match="already sealed"), transaction.atomic():
        Record.objects.filter(pk=record.pk).update(manifest_sha256="dd" * 32)
    with pytest.raises(DatabaseError, match="DELETE refused"), transaction.atomic():
        Record.objects.filter(pk=record.pk)._raw_delete("default")  # type: ignore[attr-defined]


def test_a_half_sealed_record_cannot_exist() -> None:
    record = reserve()
    with pytest.raises(DatabaseError, match="record_sealed_whole"), transaction.atomic():
        Record.objects.filter(pk=record.pk).update(manifest_id="urn:c2pa:1")


def test_a_binding_cannot_be_pointed_elsewhere() -> None:
    record, other = seal(reserve()), reserve()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        SoftBinding.objects.update(record=other)
    with pytest.raises(DatabaseError, match="soft_binding_points_once"), transaction.atomic():
        SoftBinding.objects.create(alg=settings.SOFT_BINDING_ALG, value=watermark_binding_value(record), record=other)


def test_both_steps_are_in_the_audit_log_without_pixels() -> None:
    record = seal(reserve())
    events = Event.objects.filter(subject_id=str(record.pk)).order_by("sequence")
    assert [event.action for event in events] == ["record.reserved", "record.sealed"]
    assert all("fingerprint" not in event.detail for event in events)


def test_a_search_by_content_finds_the_record_it_came_from() -> None:
    ours = seal(reserve(), number=1)
    for number in range(2, 6):
        seal(reserve(), number=number, picture=fingerprint_of(performance(portrait=50 + number, seconds=0.5)))
    assert selectors.candidates_by_fingerprint(fingerprint_of(FRAMES[5:]))[0] == ours
    assert list(selectors.candidates_by_fingerprint(fingerprint_of(performance(portrait=80, seconds=0.5)))) == []


def test_unsealed_records_are_not_searched() -> None:
    reserve()
    assert list(selectors.candidates_by_fingerprint(PICTURE)) == []
