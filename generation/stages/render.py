"""RENDER: read -> animate -> label -> watermark -> encode, as one stream. An unmarked frame never reaches the disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from safetensors.torch import load_file

from consent import gate
from consent.policy import Decision
from generation import dispatch, engines, storage
from generation.claims import Claim
from generation.engines.base import Animator, FaceTrack, Performance, SourceFace, Still
from generation.engines.tracks import bridged_stretches
from generation.labels import burn_in
from generation.models import Job
from generation.options import parse_options
from generation.release import require_releasable, require_unchanged, rests_on_attestation
from generation.states import Stage, Status
from generation.transitions import SYSTEM_ACTOR, move
from media.digests import file_sha256
from media.frames import FrameBatch
from media.video import VideoWriter, read_still
from media.video.colour import to_yuv
from provenance.models import Record
from provenance.selectors import watermark_key
from provenance.services import reserve_record
from provenance.watermark import SCHEME_1, Embedder

TEST_LABEL = "TEST - AI generated"
CRF = 18  # visually lossless for x264; the watermark survives far harder settings


def run(held: Claim) -> Job:
    """Render and mark. Raises consent's ConsentRefused, ArtefactChanged or an EngineError."""
    job = held.job
    decision = require_inputs_stand(job)
    record = reserve_record(
        job_id=job.pk,
        studio_id=job.studio_id,
        scheme=SCHEME_1.version,
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
    """The consents still stand, and both inputs and the motion are those that the gate decided on. Returns today's decision."""
    decision = require_releasable(job)
    for asset, what in ((job.portrait, "normalised portrait"), (job.driving, "normalised driver")):
        require_unchanged(asset.normalised_path, asset.normalised_sha256, what)
    gate.require_same_files(
        decision_snapshot=job.decision or {},
        portrait_sha256=job.portrait.normalised_sha256,
        driver_sha256=job.driving.normalised_sha256,
    )
    require_unchanged(job.render_facts["motion_path"], job.motion_sha256, "cleared motion")
    return decision


def _render(held: Claim, animator: Animator, record: Record, destination: Path, *, voice: bool) -> dict[str, Any]:
    job = held.job
    label = TEST_LABEL if rests_on_attestation(job) else ""
    options = parse_options(job.options)
    prepared = animator.prepare(Still(read_still(storage.resolve(job.portrait.normalised_path))), options.shape)
    frame_rate = Fraction(job.driving.facts["frame_rate"])
    performances = _performances(job, frame_rate)
    frames = animator.animate(prepared, performances, options.performance)
    labelled = burn_in(frames, label) if label else frames
    embedder = Embedder(watermark_key(record.key_name), int(record.watermark_id, 16), strength=job.watermark_strength)
    marked = embedder.embed(map(to_yuv, _counted(held, labelled)))
    audio = storage.resolve(job.driving.normalised_path) if voice and job.driving.facts["has_audio"] else None
    count = 0
    with VideoWriter(
        destination,
        width=prepared.width,
        height=prepared.height,
        frame_rate=frame_rate,
        crf=CRF,
        codec=options.codec.value,
        audio_from=audio,
    ) as writer:
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
        "bridged_s": [[gap.start_s, gap.end_s] for performance in performances for gap in bridged_stretches(performance.track)],
    }


def _counted(held: Claim, batches: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
    for batch in batches:
        held.progress(len(batch))
        yield batch


def _performances(job: Job, frame_rate: Fraction) -> list[Performance]:
    """Driving face n drives portrait face n, both counted by size; portrait faces beyond the drivers keep still."""
    tracks = load_file(storage.resolve(job.render_facts["motion_path"]))
    performances = []
    for portrait, (x0, y0, x1, y1) in job.render_facts["portrait_boxes"].items():
        driver = portrait.replace("portrait:", "driver:")
        if f"{driver}.landmarks" not in tracks:
            continue
        track = FaceTrack(
            landmarks=tracks[f"{driver}.landmarks"],
            presence=tracks[f"{driver}.presence"],
            frame_rate=frame_rate,
            width=job.driving.facts["width"],
            height=job.driving.facts["height"],
        )
        performances.append(Performance(face=SourceFace((x0, y0, x1, y1)), track=track))
    return performances
