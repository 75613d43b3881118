"""SEAL: runs only in the signer's worker, and is told a job's id and nothing else (misuse register A16).

It believes nobody: consents, digests, self-test and the mark in the file are checked here again before the key is used. The
clip is released in the transaction that seals its record and asks the consents once more, holding their rows.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from consent.selectors import consents_of_decision
from generation import screening, storage
from generation.casting import inputs_of
from generation.claims import Claim
from generation.errors import ArtefactChanged, RefusedByRule, SignerOnly, WeakWatermark
from generation.models import Asset, Job
from generation.release import require_unchanged, rests_on_attestation
from generation.release_gate import require_may_leave
from generation.stages.render import require_inputs_stand
from generation.states import Stage, Status
from generation.transitions import SYSTEM_ACTOR, move
from media.video.untrusted import stream_untrusted
from provenance.credentials.manifest import (
    ConsentStatement,
    DigitalSourceType,
    Ingredient,
    ManifestInputs,
    Software,
    WatermarkBinding,
)
from provenance.credentials.pki import Signer
from provenance.credentials.sign import SealedFile, seal_output
from provenance.examine import look
from provenance.fingerprint.video import ALGORITHM as FINGERPRINT_ALG
from provenance.fusion import Content
from provenance.keys import detector_of
from provenance.models import Record
from provenance.selectors import require_record
from provenance.services import OutputFacts, seal_record
from provenance.signing import signer
from provenance.watermark.self_test import REQUIRED_NATS

SIGNER_ROLE = "signer"
MEDIA_TYPE_BY_KIND = {
    Asset.Kind.STILL.value: "image/png",
    Asset.Kind.VIDEO.value: "video/mp4",
    Asset.Kind.MOTION.value: "application/octet-stream",
}


def run(held: Claim) -> Job:
    """Re-check, sign, read back, release or hold. Raises ConsentRefused, ArtefactChanged, RefusedByRule or a ProvenanceError."""
    if settings.ROLE != SIGNER_ROLE:
        raise SignerOnly("Only the signer's worker may seal; start a worker for the queue `sign` with COUNTERSIGN_ROLE=signer.")
    job = held.job
    require_inputs_stand(job)
    rendered = _own_copy(job)
    _require_proven(job)
    claim_signer = signer()
    _require_fit_for(job, claim_signer)
    record = _own_record(job)
    content = look(stream_untrusted(rendered, limits=settings.MEDIA_LIMITS), detector=detector_of(record))
    _require_mark(content, record)
    held.check()
    sealed = seal_output(
        rendered_path=rendered,
        destination=rendered.with_name("sealed.mp4"),
        manifest_inputs=_manifest_inputs(job, record, content),
        signer=claim_signer,
    )
    held.check()
    return _release(held, record, sealed, content)


def _own_copy(job: Job) -> Path:
    """The rendered clip in the signer's own folder, digest checked there: nobody swaps it between the look and the signature."""
    copy = storage.work_folder(job.pk, Stage.SEAL, job.attempt) / "rendered.mp4"
    shutil.copyfile(storage.resolve(job.rendered_path), copy)
    require_unchanged(storage.relative(copy), job.rendered_sha256, "rendered clip")
    return copy


def _require_proven(job: Job) -> None:
    margins = job.self_test.get("margins_nats") or {}
    if not margins or min(margins.values()) < REQUIRED_NATS:
        raise WeakWatermark("The watermark's self-test is missing or too thin; submit the job again.")


def _require_fit_for(job: Job, claim_signer: Signer) -> None:
    if rests_on_attestation(job) and not claim_signer.development:
        raise RefusedByRule(
            "A consent that is only attested never gets a production signature; ask the person for a consent of their own.",
            code="attested_in_production",
        )


def _own_record(job: Job) -> Record:
    record = require_record(job.pk)
    if record.watermark_id != job.watermark_id:
        raise ArtefactChanged("The record of this job is not the one it was marked with; submit the job again.")
    return record


def _require_mark(content: Content, record: Record) -> None:
    if not content.mark.found or content.mark.watermark_id != record.watermark_id:
        raise ArtefactChanged("The rendered clip does not carry the mark of its record; submit the job again.")


def _manifest_inputs(job: Job, record: Record, content: Content) -> ManifestInputs:
    facts = job.render_facts
    ingredients = [
        Ingredient(name, asset.normalised_sha256, MEDIA_TYPE_BY_KIND[asset.kind]) for name, asset in inputs_of(job).items()
    ]
    return ManifestInputs(
        generator=Software(settings.CLAIM_GENERATOR, settings.VERSION),
        engine=Software(facts["engine"], facts["engine_version"]),
        source_type=DigitalSourceType.COMPOSITE_WITH_TRAINED,  # pasted back into the still
        ingredients=ingredients,
        binding=WatermarkBinding(settings.SOFT_BINDING_ALG, bytes.fromhex(record.watermark_id), content.mark.segments_s),
        consent=_consent_statement(job, record),
        fingerprint=content.picture.to_bytes(),
        fingerprint_alg=FINGERPRINT_ALG,
        visible_label=facts["label"] or None,
    )


def _consent_statement(job: Job, record: Record) -> ConsentStatement:
    consents = consents_of_decision(decision_snapshot=job.decision or {})
    scope = [[str(c.pk), c.role, sorted(c.purposes), sorted(c.territories), c.valid_until.isoformat()] for c in consents]
    return ConsentStatement(
        consent_ids=[str(consent.pk) for consent in consents],
        scope_sha256=hashlib.sha256(json.dumps(scope).encode()).hexdigest(),
        status_url=f"{settings.SITE_URL}/records/{record.watermark_id}",
        basis="consent" if consents else "declared_fictional",
    )


def _release(held: Claim, record: Record, sealed: SealedFile, content: Content) -> Job:
    job, facts = held.job, held.job.render_facts
    output = storage.output_file(job.pk, job.attempt)
    sealed.path.replace(output)
    holds = [*job.hold_reasons, *(reason.as_dict() for reason in screening.reasons_to_hold(job))]
    with transaction.atomic():
        require_may_leave(job, record)
        moved = move(
            job_id=job.pk,
            source=Status.SEALING,
            target=Status.HELD if holds else Status.RELEASED,
            actor=SYSTEM_ACTOR,
            lease_token=held.token,
            output_path=storage.relative(output),
            output_sha256=sealed.asset_sha256,
            manifest_id=sealed.manifest_id,
            hold_reasons=holds,
            detail={"watermark_id": record.watermark_id, "manifest_id": sealed.manifest_id},
        )
        seal_record(
            record_id=record.pk,
            sealed=sealed,
            facts=_output_facts(facts),
            self_test=job.self_test,
            fingerprint=content.picture,
            audio_fingerprint=content.sound,
        )
    _tidy(job, output)
    return moved


def _output_facts(facts: dict[str, Any]) -> OutputFacts:
    return OutputFacts(
        width=facts["width"],
        height=facts["height"],
        frame_rate=Fraction(facts["frame_rate"]),
        frame_count=facts["frames"],
        duration_s=facts["seconds"],
    )


def _tidy(job: Job, output: Path) -> None:
    storage.clear_work(job.pk)
    storage.clear_other_outputs(job.pk, keep=output)
