"""Records in a database of the benchmark's own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import connection
from django.test.utils import setup_databases, teardown_databases
from django.utils import timezone

from provenance.fingerprint.video import VideoFingerprint
from provenance.fingerprint_index import add_to_index
from provenance.models import Record


@contextmanager
def database(kept_as: str | None = None) -> Iterator[None]:
    """A database of every migration: fresh and gone at the end, or kept under a name for the next run."""
    if kept_as:
        connection.settings_dict["TEST"]["NAME"] = kept_as
    made = setup_databases(verbosity=0, interactive=False, keepdb=bool(kept_as))
    try:
        yield
    finally:
        connection.close()
        teardown_databases(made, verbosity=0, keepdb=bool(kept_as))


def add_records(fingerprints: Sequence[VideoFingerprint], numbers: Sequence[uuid.UUID] = ()) -> list[uuid.UUID]:
    """A sealed record for each fingerprint, in the index; numbers: their job ids."""
    keys = []
    for number, fingerprint in zip(numbers or [uuid.uuid4() for _ in fingerprints], fingerprints, strict=True):
        record = sealed_record(number, fingerprint.to_bytes())
        record.save(force_insert=True)
        add_to_index(record=record, fingerprint=fingerprint)
        keys.append(record.pk)
    return keys


def add_empty_records(count: int) -> list[uuid.UUID]:
    """Sealed records without windows."""
    records = [sealed_record(uuid.uuid4()) for _ in range(count)]
    Record.objects.bulk_create(records, batch_size=2000)
    return [record.pk for record in records]


def sealed_record(number: uuid.UUID, fingerprint: bytes = b"bench") -> Record:
    """A sealed record, not yet in the database, whose ids all come from one number."""
    return Record(
        watermark_id=number.hex[:16],
        key_name="bench",
        scheme=1,
        job_id=number,
        studio_id=uuid.UUID(int=7),
        system="Countersign",
        system_version="0",
        sealed_at=timezone.now(),
        manifest_id=f"urn:c2pa:{number}",
        manifest_sha256="aa" * 32,
        asset_sha256="bb" * 32,
        fingerprint=fingerprint,
    )
