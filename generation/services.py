"""What people do to assets and jobs: upload, submit, cancel, approve, reject."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from django.conf import settings
from django.db import transaction

from audit.services import record_event
from generation import dispatch, engines, motion_templates, storage
from generation.casting import Casting, require_castable
from generation.errors import IdempotencyConflict, IllegalMove, InvalidRequest, TooManyJobs
from generation.job_request import JobRequest, check_request, request_digest
from generation.models import Asset, Job, Part
from generation.motion_file import file_bytes_max
from generation.release import require_releasable, require_unchanged
from generation.release_gate import require_may_leave
from generation.stages.render import require_inputs_stand
from generation.states import CANCELLABLE, FINAL, PARKED, Stage, Status
from generation.transitions import log_step, move
from media.errors import BadInput
from provenance.selectors import require_record
from users.models import Studio, User

UPLOAD_CHUNK_BYTES = 1 << 20
OPERATOR = "system:operator"
REJECTION_REASONS = frozenset(
    {"consent_doubtful", "likeness_mismatch", "sexual_content", "apparent_minor", "deceptive_use", "policy_other"}
)


def _byte_limit(kind: str) -> int:
    limits = settings.MEDIA_LIMITS
    by_kind = {Asset.Kind.STILL.value: limits.still_bytes, Asset.Kind.MOTION.value: file_bytes_max(limits.video_frames)}
    return int(by_kind.get(kind, limits.video_bytes))


def _store_upload(chunks: Iterable[bytes], destination: Path, limit_bytes: int) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with destination.open("wb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > limit_bytes:
                raise BadInput(f"The file is larger than {limit_bytes // 2**20} MB; upload a smaller one.")
            digest.update(chunk)
            file.write(chunk)
    if not size:
        raise BadInput("The file is empty; choose one with a picture or a video in it.")
    return digest.hexdigest(), size


def create_asset(
    *, studio: Studio, kind: str, file_name: str, chunks: Iterable[bytes], actor: str, user: User | None = None
) -> Asset:
    """Keep an upload as it came. Raises BadInput when it is empty or over the limit; then nothing is kept.

    What is in the file is looked at by the job's first stage, in a limited child process.
    """
    asset = Asset(studio=studio, kind=kind, file_name=PurePath(file_name).name[:255], created_by=user)
    destination = storage.upload_file(studio.pk, asset.pk)
    try:
        asset.upload_sha256, asset.upload_bytes = _store_upload(chunks, destination, _byte_limit(kind))
    except BadInput:
        destination.unlink(missing_ok=True)
        raise
    asset.upload_path = storage.relative(destination)
    with transaction.atomic():
        asset.save(force_insert=True)
        record_event(
            actor=actor,
            action="asset.uploaded",
            subject_type="asset",
            subject_id=str(asset.pk),
            studio_id=studio.pk,
            detail={"kind": kind, "sha256": asset.upload_sha256, "bytes": asset.upload_bytes},
        )
    return asset


def read_chunks(path: Path) -> Iterable[bytes]:
    """The bytes of a local file, in pieces."""
    with path.open("rb") as file:
        while chunk := file.read(UPLOAD_CHUNK_BYTES):
            yield chunk


def submit(
    *,
    studio: Studio,
    portrait: Asset,
    driving: Asset,
    request: JobRequest,
    actor: str,
    cast: Sequence[Casting] = (),
    idempotency_key: str | None = None,
    user: User | None = None,
) -> Job:
    """Queue a job. The same idempotency key with the same request answers the first job again.

    driving: the lead, which sets rate, length and sound. cast: which driving face moves which face of the portrait; left out, the
    faces of the lead and of the portrait are paired by size. Raises InvalidRequest, IdempotencyConflict or TooManyJobs.
    """
    check_request(request, list(engines.ENGINES))
    parts = require_castable(driving, cast)
    _require_usable_files(studio, portrait, [driving, *(part.driving for part in parts)], request)
    key = idempotency_key or uuid.uuid4().hex
    digest = request_digest(
        request,
        portrait.upload_sha256,
        driving.upload_sha256,
        [(part.driving.upload_sha256, part.driver_face, part.face) for part in parts],
    )
    with transaction.atomic():
        # one submission of a studio at a time: neither the key nor the limit can be passed twice
        Studio.objects.select_for_update(no_key=True).get(pk=studio.pk)
        earlier = Job.objects.filter(studio=studio, idempotency_key=key).first()
        if earlier is not None:
            return _same_request(earlier, digest)
        _require_room(studio)
        return _create_job(studio, portrait, driving, parts, request, key, digest, actor, user)


def _require_usable_files(studio: Studio, portrait: Asset, drivers: Sequence[Asset], request: JobRequest) -> None:
    if any(asset.studio_id != studio.pk for asset in (portrait, *drivers)):
        raise InvalidRequest("No such asset in this studio; upload the file here first.")
    if portrait.kind == Asset.Kind.MOTION or any(driver.kind == Asset.Kind.STILL for driver in drivers):
        raise InvalidRequest(
            "A job takes a still or a video as portrait and a video or a motion template as performance; swap or re-upload them."
        )
    if request.declared_fictional and portrait.kind == Asset.Kind.VIDEO:
        raise InvalidRequest("Whoever was filmed is real: only a still can be declared fictional; name the person's consent.")


def _same_request(earlier: Job, digest: str) -> Job:
    if earlier.request_sha256 != digest:
        raise IdempotencyConflict("This idempotency key was used for another request; choose a new key.")
    return earlier


def _require_room(studio: Studio) -> None:
    limit = settings.REQUEST_LIMITS.jobs_active_per_studio
    if Job.objects.filter(studio=studio).exclude(status__in=FINAL).count() >= limit:
        raise TooManyJobs(f"This studio has {limit} unfinished jobs, the most at one time; wait for some to end or cancel them.")


def _create_job(
    studio: Studio,
    portrait: Asset,
    driving: Asset,
    parts: Sequence[Casting],
    request: JobRequest,
    key: str,
    digest: str,
    actor: str,
    user: User | None,
) -> Job:
    job = Job.objects.create(
        studio=studio,
        created_by=user,
        idempotency_key=key,
        request_sha256=digest,
        portrait=portrait,
        driving=driving,
        purpose=request.purpose,
        territories=list(request.territories),
        declared_fictional=request.declared_fictional,
        engine=request.engine,
        options=dict(request.options),
        named_consents=dict(request.named_consents),
        propose_consents=request.propose_consents,
        waits_for_start=request.wait_for_start,
        frames_total=0,
    )
    Part.objects.bulk_create(
        Part(job=job, position=position, driving=part.driving, driver_face=part.driver_face, face=part.face)
        for position, part in enumerate(parts, start=1)
    )
    log_step(job=job, source="", actor=actor, detail={"purpose": job.purpose, "engine": job.engine})
    dispatch.enqueue_after_commit(job.pk, Stage.CLEAR)
    return job


def cancel(*, job: Job, actor: str, reason: str = "cancelled_by_studio", message: str = "Cancelled on request.") -> Job:
    """Stop a job wherever it stands before release. The worker notices at its next batch. Raises IllegalMove."""
    status = Status(job.status)
    if status not in CANCELLABLE:
        raise IllegalMove(f"A job that is {status} cannot be cancelled; a released clip is withdrawn instead.")
    reasons = [{"code": reason, "message": message, "face": None}]
    return move(job_id=job.pk, source=status, target=Status.CANCELLED, actor=actor, reasons=reasons, detail={"reason": reason})


def approve(*, job: Job, reviewer: User | None) -> Job:
    """Let a parked job go on: into rendering, or to release when it was held. The gate is asked again first.

    reviewer: a member of staff, or None for the operator at the command line.
    Raises IllegalMove for a job that is not parked or a reviewer of its own studio (misuse register A16), consent's
    ConsentRefused, RefusedByRule when a motion template of the job was taken back, ArtefactChanged when a file or the plan of
    who moves whom is not what was decided on, or the clip not the one that was sealed, and WatermarkKeyCompromised for a held
    clip whose mark proves nothing any more.
    """
    actor = _reviewing_actor(job, reviewer)
    job = Job.objects.select_related("studio", "portrait", "driving").get(pk=job.pk)
    if job.status in PARKED:  # the files before the transaction: reading them takes time, and it holds rows that others want
        require_inputs_stand(job)
    if job.status == Status.HELD:
        require_unchanged(job.output_path, job.output_sha256, "sealed clip")
    if job.status == Status.IN_REVIEW:
        with transaction.atomic():
            require_releasable(job)
            motion_templates.require_all_usable(job)
            cleared = move(
                job_id=job.pk,
                source=Status.IN_REVIEW,
                target=Status.CLEARED,
                actor=actor,
                stage=Stage.RENDER,
                reasons=[],
                detail={"approved": job.reasons},
            )
            dispatch.enqueue_after_commit(job.pk, Stage.RENDER)
        return cleared
    if job.status == Status.HELD:
        with transaction.atomic():
            require_may_leave(job, require_record(job.pk))
            return move(
                job_id=job.pk,
                source=Status.HELD,
                target=Status.RELEASED,
                actor=actor,
                reasons=[],
                detail={"approved": job.hold_reasons},
            )
    raise IllegalMove(f"This job is {job.status}; only jobs in review or held can be approved.")


def reject(*, job: Job, reviewer: User | None, reason: str) -> Job:
    """End a parked job by a reviewer's no. Raises IllegalMove, or InvalidRequest for a reason outside the taxonomy."""
    actor = _reviewing_actor(job, reviewer)
    if reason not in REJECTION_REASONS:
        raise InvalidRequest(f"Unknown reason {reason!r}; choose one of: {', '.join(sorted(REJECTION_REASONS))}.")
    if job.status not in (Status.IN_REVIEW, Status.HELD):
        raise IllegalMove(f"This job is {job.status}; only jobs in review or held can be rejected.")
    message = "A reviewer rejected this job; ask for the statement of reasons or appeal."
    reasons = [{"code": reason, "message": message, "face": None}]
    return move(
        job_id=job.pk,
        source=Status(job.status),
        target=Status.REJECTED,
        actor=actor,
        reasons=reasons,
        detail={"reason": reason},
    )


def _reviewing_actor(job: Job, reviewer: User | None) -> str:
    if reviewer is None:
        return OPERATOR
    if not reviewer.is_staff or reviewer.memberships.filter(studio_id=job.studio_id).exists():
        raise IllegalMove("Only staff outside the job's own studio may review it; sign in as such a reviewer.")
    return f"user:{reviewer.pk}"
