"""Reads of `provenance`."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from provenance.fingerprint.index import promising, sketch
from provenance.fingerprint.video import VideoFingerprint
from provenance.models import Record, SoftBinding
from provenance.signals import RecordView
from provenance.watermark import derive_key
from settings.keys import watermark_master_key

CANDIDATES = 8  # full comparisons per search by content; each takes about 0.1 s
ISSUED_IDS_MAX = 50_000  # beyond this the detector decodes freely


def watermark_key(key_name: str) -> bytes:
    """The 32-byte watermark key of one name."""
    return derive_key(watermark_master_key(), key_name)


def live_keys() -> dict[str, bytes]:
    """Every key that marked a record of ours, newest first: what a detector tries."""
    names = Record.objects.order_by("-created_at").values_list("key_name", flat=True)
    return {name: watermark_key(name) for name in dict.fromkeys(names.iterator())}


def issued_ids() -> list[int] | None:
    """Every watermark id ever reserved, or None when there are too many to compare with one by one."""
    if Record.objects.count() > ISSUED_IDS_MAX:
        return None
    return [int(value, 16) for value in Record.objects.values_list("watermark_id", flat=True)]


def record_by_id(record_id: uuid.UUID) -> Record | None:
    """The record with this primary key."""
    return Record.objects.filter(pk=record_id).first()


def record_by_job(job_id: uuid.UUID) -> Record | None:
    """The record of one job's clip."""
    return Record.objects.filter(job_id=job_id, kind=Record.Kind.OUTPUT).first()


def record_by_watermark_id(watermark_id: str) -> Record | None:
    """The record that carries this watermark id (16 hex digits)."""
    return Record.objects.filter(watermark_id=watermark_id.lower()).first()


def record_by_manifest(manifest_id: str) -> Record | None:
    """The record sealed with the manifest of this URN."""
    return Record.objects.filter(manifest_id=manifest_id).first()


def record_by_binding(*, alg: str, value: str) -> Record | None:
    """The record that a soft binding (base64 value) resolves to."""
    found = SoftBinding.objects.select_related("record").filter(alg=alg, value=value).first()
    return found.record if found else None


def candidates_by_fingerprint(fingerprint: VideoFingerprint, *, limit: int = CANDIDATES) -> Sequence[Record]:
    """Sealed records whose picture resembles this one, best first. One pass over 64 bytes per record."""
    stored = Record.objects.filter(sealed_at__isnull=False).values_list("pk", "sketch").iterator()
    keys = promising(sketch(fingerprint), ((key, bytes(value)) for key, value in stored), limit=limit)
    found = Record.objects.in_bulk(keys)
    return [found[key] for key in keys]


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
