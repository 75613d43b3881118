"""RENDER: read -> animate -> label -> watermark -> encode, as one stream. An unmarked frame never reaches the disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from consent import gate
from consent.policy import Decision
from generation import dispatch, engines, motion_templates, storage
from generation.casting import inputs_of
from generation.claims import Claim
from generation.cleared import bindings_of, output_rate, performances_of, source_of
from generation.engines.base import Animator
from generation.labels import burn_in
from generation.models import Asset, Job
from generation.options import parse_options
from generation.release import require_releasable, require_unchanged, rests_on_attestation
from generation.states import Stage, Status
from generation.transitions import SYSTEM_ACTOR, move
from media.digests import file_sha256
from media.frames import FrameBatch
from media.video import VideoWriter, prefetch
from media.video.colour import to_yuv
from provenance.keys import embedder_of
from provenance.models import Record
from provenance.services import reserve_record

TEST_LABEL = "TEST - AI generated"
CRF = 18  # visually lossless for x264; the watermark survives far harder settings


def run(held: Claim) -> Job:
    """Render and mark. Raises consent's ConsentRefused, ArtefactChanged or an EngineError."""
    job = held.job
    decision = require_inputs_stand(job)
    record = reserve_record(
        job_id=job.pk,
        studio_id=job.studio_id,
        system=settings.CLAIM_GENERATOR,
        system_version=settings.VERSION,
        studio_public_name=job.studio.public_name,
    )
    Job.objects.filter(pk=job.pk, lease_token=held.token).update(watermark_id=record.watermark_id)
    animator = engines.load(job.engine, device=settings.ENGINE_DEVICE)
    destination = storage.work_folder(job.pk, Stage.RENDER, job.attempt) / "rendered.mp4"
    facts = _render(held, animator, record, destination, voice=decision.voice)
    with transaction.atomic():
        moved = move(
            job_id=job.pk,
            source=Status.RENDERING,
            target=Status.SEALING,
            actor=SYSTEM_ACTOR,
            lease_token=held.token,
            stage=Stage.PROVE,
            rendered_path=storage.relative(destination),
            rendered_sha256=file_sha256(destination),
            render_facts={**job.render_facts, **facts},
            frames_done=facts["frames"],
            detail={"frames": facts["frames"], "strength": job.watermark_strength},
        )
        dispatch.enqueue_after_commit(job.pk, Stage.PROVE)
    return moved


def require_inputs_stand(job: Job) -> Decision:
    """The consents still stand, no motion template was taken back, and every input, the motion and the plan of who moves whom are
    those that the gate decided on. Returns today's decision.
    """
    decision, inputs = require_releasable(job), inputs_of(job)
    for name, asset in inputs.items():
        require_unchanged(asset.normalised_path, asset.normalised_sha256, f"normalised {name}")
        if asset.kind == Asset.Kind.MOTION:
            motion_templates.require_usable(asset)
    planned = bindings_of(inputs, job.render_facts["cast"], job.render_facts["portrait_boxes"])
    gate.require_same_files(decision_snapshot=job.decision or {}, inputs=planned)
    require_unchanged(job.render_facts["motion_path"], job.motion_sha256, "cleared motion")
    return decision


def _render(held: Claim, animator: Animator, record: Record, destination: Path, *, voice: bool) -> dict[str, Any]:
    job = held.job
    label = TEST_LABEL if rests_on_attestation(job) else ""
    options = parse_options(job.options)
    performances, frame_rate = performances_of(job), output_rate(job)
    prepared = animator.prepare(source_of(job), options.shape, [performance.face for performance in performances])
    # one core animates while another marks and encodes
    frames = prefetch(animator.animate(prepared, performances, options.performance))
    labelled = burn_in(frames, label) if label else frames
    marked = embedder_of(record, strength=job.watermark_strength).embed(map(to_yuv, _counted(held, labelled)))
    audio = storage.resolve(job.driving.normalised_path) if voice and job.driving.facts["has_audio"] else None
    count = 0
    with (
        closing(frames),
        VideoWriter(
            destination,
            width=prepared.width,
            height=prepared.height,
            frame_rate=frame_rate,
            crf=CRF,
            codec=options.codec.value,
            audio_from=audio,
        ) as writer,
    ):
        for batch in marked:
            writer.write(batch)
            count += len(batch)
    return {
        "engine": animator.name,
        "engine_version": animator.version,
        "width": prepared.width,
        "height": prepared.height,
        "frame_rate": str(frame_rate),
        "frames": count,
        "seconds": float(count / frame_rate),
        "audio": audio is not None,
        "label": label,
    }


def _counted(held: Claim, batches: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
    for batch in batches:
        held.progress(len(batch))
        yield batch
