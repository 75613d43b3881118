"""CLEAR: the inputs become the exact pixels that will be rendered, every face in them is looked at, and the gate is asked.

The decision is bound to the SHA-256 of both normalised files (misuse register A3). Of the driver, only the landmarks of the
faces that were looked at go on: the renderer never sees any other motion.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from django.conf import settings
from django.db import transaction
from safetensors.torch import save_file
from torch import Tensor

from consent import gate
from consent.faces.observed import DriverSurvey, ObservedFace
from consent.faces.survey import survey_driver, survey_still
from consent.policy import COMMERCIAL_PURPOSES, Reason, Verdict
from generation import dispatch, engines, screening, storage
from generation.claims import Claim
from generation.errors import RefusedByRule
from generation.models import Asset, Job
from generation.states import Stage, Status
from generation.transitions import SYSTEM_ACTOR, move
from media.digests import file_sha256
from media.errors import BadInput
from media.frames import FrameStream
from media.video import normalise_still, normalise_video, read_frames, read_still


def run(held: Claim) -> Job:
    """Normalise, survey, decide. Raises BadInput, RefusedByRule, or consent's ConsentRefused."""
    job = held.job
    _require_licence(job)
    for asset in (job.portrait, job.driving):
        _normalise_named(asset)
        held.check()
    portrait_faces = _survey_portrait(job.portrait)
    driver = _survey_driver(held, job.driving)
    observed = (*portrait_faces, *driver.faces)
    named = _named_consents(job, observed)
    assessment = gate.assess(
        studio_id=job.studio_id,
        purpose=job.purpose,
        territories=job.territories,
        declared_fictional=job.declared_fictional,
        named=named,
        observed=observed,
        extra_reasons=_refusals_beyond_faces(job),
        portrait_sha256=job.portrait.normalised_sha256,
        driver_sha256=job.driving.normalised_sha256,
    )
    # kept whatever is decided: a studio sees which consents were proposed, and which face lacks one
    Job.objects.filter(pk=job.pk, lease_token=held.token).update(named_consents=_as_text(named))
    gate.require_not_refused(assessment)
    boxes = {face.name: [round(value, 1) for value in face.box] for face in portrait_faces}
    return _finish(held, assessment, named, driver, boxes)


def _named_consents(job: Job, observed: Sequence[ObservedFace]) -> dict[str, uuid.UUID]:
    """The consent of each face: what the job committed to, then what is proposed for faces left out."""
    named = {face: uuid.UUID(consent) for face, consent in job.named_consents.items()}
    if not job.propose_consents:
        return named
    proposed = gate.propose(studio_id=job.studio_id, purpose=job.purpose, territories=job.territories, observed=observed)
    return {**proposed, **named}


def _require_licence(job: Job) -> None:
    licence = engines.entry(job.engine).licence
    if job.purpose in COMMERCIAL_PURPOSES and not licence.commercial_use:
        raise RefusedByRule(
            f"The licence of engine {job.engine} forbids commercial use; choose another engine.", code="licence_non_commercial"
        )


def _normalise_named(asset: Asset) -> None:
    try:
        _normalise(asset)
    except BadInput as problem:
        side = "Portrait" if asset.kind == Asset.Kind.STILL else "Performance"
        raise BadInput(f"{side}: {problem.message}") from problem


def _normalise(asset: Asset) -> None:
    """Normalise an asset once. A second job finds the file there, with its digest checked."""
    upload = storage.resolve(asset.upload_path)
    if asset.normalised_sha256:
        known = storage.resolve(asset.normalised_path)
        if known.is_file() and file_sha256(known) == asset.normalised_sha256:
            return
    if asset.kind == Asset.Kind.STILL:
        still = normalise_still(upload, storage.normalised_file(asset.pk, ".png"), limits=settings.MEDIA_LIMITS)
        path, digest = still.path, still.sha256
        facts: dict[str, Any] = {"width": still.width, "height": still.height, "notes": list(still.notes)}
        if still.under_alpha_path:
            facts["under_alpha"] = storage.relative(still.under_alpha_path)
    else:
        video = normalise_video(upload, storage.normalised_file(asset.pk, ".mp4"), limits=settings.MEDIA_LIMITS)
        path, digest = video.path, video.sha256
        facts = {
            "width": video.width,
            "height": video.height,
            "frame_rate": str(video.frame_rate),
            "frames": video.frame_count,
            "seconds": video.duration_s,
            "has_audio": video.has_audio,
            "video_streams": video.video_streams,
            "notes": list(video.notes),
        }
    asset.normalised_path, asset.normalised_sha256, asset.facts = storage.relative(path), digest, facts
    asset.save(update_fields=["normalised_path", "normalised_sha256", "facts"])


def _survey_portrait(asset: Asset) -> tuple[ObservedFace, ...]:
    hidden = asset.facts.get("under_alpha")
    faces = survey_still(
        read_still(storage.resolve(asset.normalised_path)),
        read_still(storage.resolve(hidden)) if hidden else None,
        engine=gate.face_engine(),
    )
    if not faces:
        raise BadInput("No usable face was found in the still; choose a picture of a person whose face is at least 64 px wide.")
    return faces


def _survey_driver(held: Claim, asset: Asset) -> DriverSurvey:
    def watched(path: Path) -> FrameStream:
        for batch in read_frames(path):
            held.check()
            yield batch

    survey = survey_driver(
        watched(storage.resolve(asset.normalised_path)),
        frame_rate=Fraction(asset.facts["frame_rate"]),
        engine=gate.face_engine(),
    )
    if not survey.faces:
        raise BadInput("No face was found in the driving video; record the performer's face from the front, well lit.")
    return survey


def _as_text(named: dict[str, uuid.UUID]) -> dict[str, str]:
    return {face: str(consent) for face, consent in named.items()}


def _refusals_beyond_faces(job: Job) -> list[Reason]:
    if job.driving.facts.get("video_streams", 1) <= 1:
        return []
    message = "The driving file holds more than one video stream; export it again with the performance alone."
    return [Reason("second_video_stream", message, "driver:stream:2")]


def _tensors(driver: DriverSurvey) -> dict[str, Tensor]:
    return {
        f"{name}.{part}": torch.from_numpy(values)
        for name, track in driver.tracks.items()
        for part, values in (("landmarks", track.landmarks), ("presence", track.presence))
    }


def _finish(
    held: Claim,
    assessment: gate.Assessment,
    named: dict[str, uuid.UUID],
    driver: DriverSurvey,
    portrait_boxes: dict[str, list[float]],
) -> Job:
    job = held.job
    motion = storage.motion_file(job.pk, job.attempt)
    save_file(_tensors(driver), motion)
    reasons = [*assessment.decision.reasons, *screening.reasons_for_review(job)]
    # by the verdict, not by its reasons alone: a review that forgot to say why must not clear a job
    cleared = assessment.outcome is Verdict.ALLOW and not reasons
    target = Status.CLEARED if cleared else Status.IN_REVIEW
    with transaction.atomic():
        moved = move(
            job_id=job.pk,
            source=Status.SUBMITTED,
            target=target,
            actor=SYSTEM_ACTOR,
            lease_token=held.token,
            stage=Stage.RENDER,
            decision=assessment.snapshot(),
            named_consents=_as_text(named),
            reasons=[reason.as_dict() for reason in reasons],
            motion_sha256=file_sha256(motion),
            render_facts={"motion_path": storage.relative(motion), "portrait_boxes": portrait_boxes},
            frames_total=driver.frame_count,
            detail={"outcome": assessment.decision.outcome.value, "policy": assessment.decision.policy_version},
        )
        if target is Status.CLEARED:
            dispatch.enqueue_after_commit(job.pk, Stage.RENDER)
    return moved
