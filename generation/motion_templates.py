"""Motion templates: recorded from a cleared driver, taken back, and asked about at each use (misuse register A3).

A template holds the landmarks of one face and no picture and no sound. Landmarks carry the geometry of a face, so the file is
personal data: it goes to the studio that recorded it, and is not kept here.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from safetensors.numpy import load_file

from audit.services import record_event
from consent import gate
from consent.faces.observed import DriverSurvey, ObservedFace, Side, TrackArrays
from consent.selectors import consents_by_id
from generation import storage
from generation.casting import inputs_of
from generation.cleared import rate_of
from generation.errors import IllegalMove, RefusedByRule
from generation.models import Asset, Job, MotionTemplate
from generation.motion_file import Motion, MotionFacts, read_motion, write_motion
from generation.release import require_releasable, require_unchanged
from generation.revocation import cancel_jobs_driven_by
from generation.states import Status
from media.tracking.weights import DIGESTS
from settings.keys import motion_public_keys, motion_signing_key

RECORDABLE = frozenset({Status.CLEARED, Status.RENDERING, Status.SEALING, Status.RELEASED})
TRACKER = f"face_landmarks {DIGESTS['face_landmarks'][:16]}"


@dataclass(frozen=True, slots=True)
class Recording:
    """A template that was just recorded: its row, and the signed file, which exists nowhere else."""

    template: MotionTemplate
    content: bytes


def record(*, job: Job, face: str, actor: str) -> Recording:
    """Record one driving face of a cleared job. The consents behind the job are asked again.

    Raises IllegalMove for a job that is not cleared, ConsentRefused for a face that is no covered performer or whose consent
    ended, ArtefactChanged when the cleared motion is not the one that was decided on.
    """
    if job.status not in RECORDABLE:
        raise IllegalMove(f"This job is {job.status}; record from a job that was cleared and still stands.")
    with transaction.atomic():
        require_releasable(job)
        consent_id = gate.require_performer(decision_snapshot=job.decision or {}, face=face)
        consent = consents_by_id(ids=[consent_id])[consent_id]
        asset = inputs_of(job)[face.partition(":")[0]]
        track = _track(job, face)
        facts = MotionFacts(
            template=uuid.uuid4(),
            studio=job.studio_id,
            person=consent.person_id,
            consent=consent_id,
            face=face,
            frames=len(track.presence),
            frame_rate=rate_of(asset),
            width=asset.facts["width"],
            height=asset.facts["height"],
            tracker=TRACKER,
            recorded_at=timezone.now(),
        )
        content = write_motion(Motion(facts, track.landmarks, track.presence), motion_signing_key())
        return Recording(_row_of(facts, job, hashlib.sha256(content).hexdigest(), actor), content)


def _row_of(facts: MotionFacts, job: Job, sha256: str, actor: str) -> MotionTemplate:
    template = MotionTemplate.objects.create(
        pk=facts.template,
        studio_id=facts.studio,
        person_id=facts.person,
        consent_id=facts.consent,
        job=job,
        face=facts.face,
        sha256=sha256,
        frames=facts.frames,
        frame_rate=str(facts.frame_rate),
        recorded_by=actor,
        recorded_at=facts.recorded_at,
    )
    _log(template, "motion_template.recorded", actor, {"job": str(job.pk), "face": facts.face, "sha256": sha256})
    return template


def revoke(*, template: MotionTemplate, reason: str, actor: str) -> MotionTemplate:
    """Take a template back: no job uses it any more, and those under way end. Doing it again changes nothing."""
    with transaction.atomic():
        changed = MotionTemplate.objects.filter(pk=template.pk, revoked_at=None).update(
            revoked_at=timezone.now(), revoked_reason=reason[:200]
        )
        template.refresh_from_db()
        if changed:
            cancel_jobs_driven_by(template, actor=actor)
            _log(template, "motion_template.revoked", actor, {"reason": template.revoked_reason})
    return template


def _log(template: MotionTemplate, action: str, actor: str, detail: dict[str, str]) -> None:
    record_event(
        actor=actor,
        action=action,
        subject_type="motion_template",
        subject_id=str(template.pk),
        studio_id=template.studio_id,
        detail=detail,
    )


def read(path: Path) -> Motion:
    """The template in a file. Raises NoMotionTemplate unless this platform signed it, bit for bit."""
    return read_motion(path.read_bytes(), motion_public_keys(), frames_max=settings.MEDIA_LIMITS.video_frames)


def require_usable(asset: Asset) -> MotionTemplate:
    """The row behind a normalised template, for its own studio. Raises RefusedByRule when there is none or it was revoked.

    Inside a transaction the row stays locked until it ends, so that a revocation either comes first and is seen, or waits.
    """
    rows = MotionTemplate.objects.select_for_update(no_key=True) if connection.in_atomic_block else MotionTemplate.objects.all()
    row = rows.filter(pk=asset.facts.get("template"), studio_id=asset.studio_id, sha256=asset.normalised_sha256).first()
    if row is None:
        raise RefusedByRule(
            "This motion template was not recorded by this studio, or its record is gone; record the performance again.",
            code="template_unknown",
        )
    if row.revoked_at is not None:
        raise RefusedByRule(f"The {row} was revoked; record the performance again.", code="template_revoked")
    return row


def require_all_usable(job: Job) -> None:
    """Ask about every motion template that drives a job, always in the same order. Raises RefusedByRule."""
    templates = [asset for asset in inputs_of(job).values() if asset.kind == Asset.Kind.MOTION]
    for asset in sorted(templates, key=lambda asset: str(asset.facts.get("template"))):
        require_usable(asset)


def survey(asset: Asset, label: str) -> DriverSurvey:
    """A template as a driver: one face, seen by nobody now, and recorded under a consent that the gate asks about.

    Raises NoMotionTemplate or RefusedByRule.
    """
    row, motion = require_usable(asset), read(storage.resolve(asset.normalised_path))
    name, facts = f"{label}:1", motion.facts
    face = ObservedFace(
        name=name,
        side=Side.DRIVER,
        box=(0.0, 0.0, 0.0, 0.0),
        embedding=None,
        samples=None,
        last_frame=facts.frames - 1,
        frames=int(np.count_nonzero(motion.presence)),
        recorded_under=row.consent_id,
        note=str(row),
    )
    track = TrackArrays(motion.landmarks, motion.presence)
    return DriverSurvey((face,), {name: track}, facts.frames, facts.frame_rate, facts.width, facts.height)


def _track(job: Job, face: str) -> TrackArrays:
    require_unchanged(job.render_facts["motion_path"], job.motion_sha256, "cleared motion")
    tensors = load_file(storage.resolve(job.render_facts["motion_path"]))
    return TrackArrays(tensors[f"{face}.landmarks"], tensors[f"{face}.presence"])


def answer(template: MotionTemplate) -> dict[str, object]:
    """How a template reads to its studio."""
    return {
        "template": str(template.pk),
        "person": str(template.person_id),
        "consent": str(template.consent_id),
        "job": str(template.job_id) if template.job_id else None,
        "face": template.face,
        "frames": template.frames,
        "frame_rate": template.frame_rate,
        "seconds": round(float(template.frames / Fraction(template.frame_rate)), 3),
        "sha256": template.sha256,
        "recorded": template.recorded_at.isoformat(),
        "revoked": template.revoked_at.isoformat() if template.revoked_at else None,
    }
