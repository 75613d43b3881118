"""Writes of `provenance`: reserving a record before rendering, sealing it once the file is signed."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit.services import record_event
from provenance.credentials.sign import SealedFile
from provenance.errors import RecordMissing, RecordSealed, WatermarkKeyUnknown
from provenance.fingerprint.audio import AudioFingerprint
from provenance.fingerprint.index import sketch
from provenance.fingerprint.video import VideoFingerprint
from provenance.fingerprint_index import add_to_index
from provenance.keys import MARKING_SCHEME
from provenance.models import Record, SoftBinding, StillKey, WatermarkKey

WATERMARK_ID_BITS = 64


@dataclass(frozen=True, slots=True)
class OutputFacts:
    """What the rendered file is: pixels, exact frames per second, frames, seconds."""

    width: int
    height: int
    frame_rate: Fraction
    frame_count: int
    duration_s: float


def live_key(*, studio_id: uuid.UUID, day: date, kind: str = Record.Kind.OUTPUT) -> WatermarkKey:
    """The key that marks a studio's outputs in one month; a new one when there is none, or the last one was retired.

    Rotation makes averaging many outputs gain little. Previews are marked so strongly that their key could be measured: they
    have another one.
    """
    purpose: dict[str, Any] = {"studio_id": studio_id, "kind": kind, "month": f"{day:%Y-%m}", "scheme": MARKING_SCHEME.version}
    parts = [str(studio_id), purpose["month"], *([kind] if kind != Record.Kind.OUTPUT else []), f"scheme-{purpose['scheme']}"]
    earlier = WatermarkKey.objects.filter(**purpose).exclude(state=WatermarkKey.State.LIVE).count()
    name = "/".join([*parts, *([str(earlier)] if earlier else [])])
    key, _ = WatermarkKey.objects.get_or_create(**purpose, state=WatermarkKey.State.LIVE, defaults={"name": name})
    return key


def end_keys(*, names: Collection[str], state: WatermarkKey.State, actor: str, reason: str) -> list[WatermarkKey]:
    """Retire keys, or declare them compromised; the next output gets a new one. Keys that stand there already stay as they are.

    Marks of retired keys still count. Those of compromised ones still lead to their record, but prove nothing. Raises
    WatermarkKeyUnknown, and then changes nothing.
    """
    earlier = [WatermarkKey.State.LIVE, *([WatermarkKey.State.RETIRED] if state == WatermarkKey.State.COMPROMISED else [])]
    with transaction.atomic():
        keys = list(WatermarkKey.objects.select_for_update().filter(name__in=names).order_by("name"))
        unknown = set(names) - {key.name for key in keys}
        if unknown:
            raise WatermarkKeyUnknown(f"There is no watermark key {min(unknown)!r}; `watermark_keys list` names them.")
        ended = [key for key in keys if key.state in earlier]
        for key in ended:
            key.state, key.changed_at = state, timezone.now()
            key.save(update_fields=["state", "changed_at"])
            record_event(
                actor=actor,
                action=f"watermark_key.{state}",
                subject_type="watermark_key",
                subject_id=key.name,
                studio_id=key.studio_id,
                detail={"reason": reason},
            )
    return ended


def reserve_record(
    *,
    job_id: uuid.UUID,
    studio_id: uuid.UUID,
    system: str,
    system_version: str,
    studio_public_name: str | None = None,
) -> Record:
    """The record of a job with its random 64-bit watermark id; the same one at every call for it.

    A restarted job must go on with the id it had, or two outputs of it could exist.
    """
    reserved = Record.objects.filter(job_id=job_id, kind=Record.Kind.OUTPUT).first()
    naming = {"system": system, "system_version": system_version, "studio_public_name": studio_public_name}
    return reserved or _reserved(job_id, live_key(studio_id=studio_id, day=timezone.now().date()), naming)


def reserve_preview_record(
    *, studio_id: uuid.UUID, system: str, system_version: str, studio_public_name: str | None = None
) -> Record:
    """The record of all previews that one key of a studio marks, usually those of a month.

    They share one watermark id: averaging pictures of many jobs would weaken marks that differ, and strengthens this one.
    """
    key = live_key(studio_id=studio_id, day=timezone.now().date(), kind=Record.Kind.PREVIEW)
    naming = {"system": system, "system_version": system_version, "studio_public_name": studio_public_name}
    return _reserved(uuid.uuid5(studio_id, f"previews/{key.name}"), key, naming)


def _reserved(job_id: uuid.UUID, key: WatermarkKey, naming: Mapping[str, str | None]) -> Record:
    with transaction.atomic():
        record, created = Record.objects.get_or_create(
            job_id=job_id,
            kind=key.kind,
            defaults={
                "watermark_id": f"{secrets.randbits(WATERMARK_ID_BITS):016x}",
                "key_name": key.name,
                "scheme": key.scheme,
                "studio_id": key.studio_id,
                **naming,
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
        add_to_index(record=record, fingerprint=fingerprint)
        SoftBinding.objects.create(alg=settings.SOFT_BINDING_ALG, value=watermark_binding_value(record), record=record)
        _log(record, "record.sealed", {"manifest_id": sealed.manifest_id, "asset_sha256": sealed.asset_sha256})
    return record


def still_key_of(record: Record) -> int:
    """The 32-bit number for stills of an output, drawn at the first call.

    Half of its bits are set, give or take four: what a decoder makes of a flat or periodic picture is no key of ours.
    """
    drawn = iter(lambda: secrets.randbits(32), None)
    free = next(key for key in drawn if abs(key.bit_count() - 16) <= 4 and not StillKey.objects.filter(key=key).exists())
    return StillKey.objects.get_or_create(record=record, defaults={"key": free})[0].key


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
