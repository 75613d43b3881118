"""Writes of `provenance`: reserving a record before rendering, sealing it once the file is signed."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit.services import record_event
from provenance.credentials.sign import SealedFile
from provenance.errors import RecordMissing, RecordSealed
from provenance.fingerprint.audio import AudioFingerprint
from provenance.fingerprint.index import sketch
from provenance.fingerprint.video import VideoFingerprint
from provenance.models import Record, SoftBinding

WATERMARK_ID_BITS = 64


@dataclass(frozen=True, slots=True)
class OutputFacts:
    """What the rendered file is: pixels, exact frames per second, frames, seconds."""

    width: int
    height: int
    frame_rate: Fraction
    frame_count: int
    duration_s: float


def watermark_key_name(studio_id: uuid.UUID, day: date, kind: str = Record.Kind.OUTPUT) -> str:
    """The name of the key that marks a studio's outputs in one month. Rotation makes averaging many outputs gain little.

    Previews are marked so strongly that their key could be measured: they have another one.
    """
    month = f"{studio_id}/{day:%Y-%m}"
    return month if kind == Record.Kind.OUTPUT else f"{month}/{kind}"


def reserve_record(
    *,
    job_id: uuid.UUID,
    studio_id: uuid.UUID,
    scheme: int,
    system: str,
    system_version: str,
    studio_public_name: str | None = None,
    kind: str = Record.Kind.OUTPUT,
) -> Record:
    """The record of a job, or of a month's previews, with its random 64-bit watermark id; the same one at every call for it.

    A restarted job must go on with the id it had, or two outputs of it could exist. job_id: for previews, what their caller
    derived from studio and month.
    """
    with transaction.atomic():
        record, created = Record.objects.get_or_create(
            job_id=job_id,
            kind=kind,
            defaults={
                "watermark_id": f"{secrets.randbits(WATERMARK_ID_BITS):016x}",
                "key_name": watermark_key_name(studio_id, timezone.now().date(), kind),
                "scheme": scheme,
                "studio_id": studio_id,
                "studio_public_name": studio_public_name,
                "system": system,
                "system_version": system_version,
            },
        )
        if created:
            _log(record, "record.reserved", {"watermark_id": record.watermark_id, "key_name": record.key_name})
    return record


def seal_record(
    *,
    record_id: uuid.UUID,
    sealed: SealedFile,
    facts: OutputFacts,
    self_test: Mapping[str, object],
    fingerprint: VideoFingerprint,
    audio_fingerprint: AudioFingerprint | None,
) -> Record:
    """Fills a reserved record, once. Raises RecordSealed when it was filled before, RecordMissing when nothing was reserved."""
    with transaction.atomic():
        claimed = Record.objects.filter(pk=record_id, sealed_at__isnull=True).update(
            sealed_at=timezone.now(),
            manifest_id=sealed.manifest_id,
            manifest_sha256=sealed.manifest_sha256,
            manifest_store=sealed.store,
            signer_serial=sealed.signer_serial,
            development_signer=sealed.development,
            asset_sha256=sealed.asset_sha256,
            width=facts.width,
            height=facts.height,
            frame_rate=str(facts.frame_rate),
            frame_count=facts.frame_count,
            duration_s=facts.duration_s,
            self_test=dict(self_test),
            fingerprint=fingerprint.to_bytes(),
            audio_fingerprint=audio_fingerprint.to_bytes() if audio_fingerprint else None,
            sketch=sketch(fingerprint),
        )
        record = Record.objects.filter(pk=record_id).first()
        if record is None:
            raise RecordMissing(f"No record {record_id} was reserved; reserve it before rendering.")
        if not claimed:
            raise RecordSealed(f"Record {record_id} is sealed already; release the file it was sealed with.")
        SoftBinding.objects.create(alg=settings.SOFT_BINDING_ALG, value=watermark_binding_value(record), record=record)
        _log(record, "record.sealed", {"manifest_id": sealed.manifest_id, "asset_sha256": sealed.asset_sha256})
    return record


def watermark_payload(record: Record) -> int:
    """The watermark id as the unsigned number that is embedded."""
    return int(record.watermark_id, 16)


def watermark_binding_value(record: Record) -> str:
    """The watermark id as a soft binding's value, base64 of its 8 bytes."""
    return base64.b64encode(bytes.fromhex(record.watermark_id)).decode("ascii")


def _log(record: Record, action: str, detail: Mapping[str, object]) -> None:
    record_event(
        actor="system",
        action=action,
        subject_type="record",
        subject_id=str(record.pk),
        studio_id=record.studio_id,
        detail={"job_id": str(record.job_id), **detail},
    )
