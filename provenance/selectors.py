"""Reads of `provenance`."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from provenance.errors import RecordMissing
from provenance.fingerprint.video import VideoFingerprint
from provenance.fingerprint_index import top_matches
from provenance.models import Record, SoftBinding, StillKey
from provenance.signals import RecordView

CANDIDATES = 8  # full comparisons per search by content; each takes about 0.1 s


def record_by_id(record_id: uuid.UUID) -> Record | None:
    """The record with this primary key."""
    return Record.objects.filter(pk=record_id).first()


def record_by_job(job_id: uuid.UUID) -> Record | None:
    """The record of one job's clip."""
    return Record.objects.filter(job_id=job_id, kind=Record.Kind.OUTPUT).first()


def require_record(job_id: uuid.UUID) -> Record:
    """The record of one job's clip. Raises RecordMissing."""
    record = record_by_job(job_id)
    if record is None:
        raise RecordMissing(f"No record stands for job {job_id}; submit it again.")
    return record


def record_by_watermark_id(watermark_id: str) -> Record | None:
    """The record that carries this watermark id (16 hex digits)."""
    return Record.objects.filter(watermark_id=watermark_id.lower()).first()


def record_of_mark(watermark_id: str | None, key_name: str | None) -> Record | None:
    """The record that a mark leads to: its id, carried by the very key that the record was marked with.

    Ids are public and one studio's key may be measured from its outputs; it must not speak for the outputs of others.
    """
    return Record.objects.filter(watermark_id=watermark_id.lower(), key_name=key_name).first() if watermark_id else None


def record_by_still_key(key: int) -> Record | None:
    """The record whose stills carry this 32-bit number."""
    return Record.objects.filter(still_key__key=key).first()


def still_keys_given() -> int:
    """How many numbers stills may carry."""
    return StillKey.objects.count()


def record_by_manifest(manifest_id: str) -> Record | None:
    """The record sealed with the manifest of this URN."""
    return Record.objects.filter(manifest_id=manifest_id).first()


def record_by_binding(*, alg: str, value: str) -> Record | None:
    """The record that a soft binding (base64 value) resolves to."""
    found = SoftBinding.objects.select_related("record").filter(alg=alg, value=value).first()
    return found.record if found else None


def candidates_by_fingerprint(fingerprint: VideoFingerprint, *, limit: int = CANDIDATES) -> Sequence[Record]:
    """Sealed records whose picture resembles this one, in a cropped or mirrored copy too, best first."""
    matches = top_matches(fingerprint, limit=limit)
    found = Record.objects.in_bulk([match.record_id for match in matches])
    return [found[match.record_id] for match in matches]


def record_view(record: Record) -> RecordView:
    """What a verdict may know of a record."""
    return RecordView(
        record_id=record.pk,
        watermark_id=record.watermark_id,
        job_id=record.job_id,
        system=record.system,
        system_version=record.system_version,
        studio_public_name=record.studio_public_name,
        created_at=record.created_at,
        sealed=record.sealed_at is not None,
        manifest_id=record.manifest_id,
        manifest_sha256=record.manifest_sha256 or None,
        signer_serial=record.signer_serial or None,
        duration_s=record.duration_s,
        preview=record.kind == Record.Kind.PREVIEW,
    )
