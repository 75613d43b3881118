"""CLEAR: the inputs become the exact pixels that will be rendered, every face in them is looked at, and the gate is asked.

The decision is bound to the SHA-256 of every normalised file and of the plan of who moves whom (misuse register A3). Of drivers,
and of a source that is a video, only the landmarks of the faces that were looked at go on: the renderer never sees any other
motion.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from django.db import transaction
from safetensors.torch import save_file
from torch import Tensor

from consent import gate
from consent.faces.observed import CountedBy, DriverSurvey, ObservedFace, Side, TrackArrays
from consent.faces.survey import survey_driver, survey_still
from consent.policy import COMMERCIAL_PURPOSES, Reason, Verdict
from consent.wording import FIX
from generation import dispatch, engines, motion_templates, screening, storage
from generation.casting import SOURCE, Pair, inputs_of, pairs_of
from generation.claims import Claim
from generation.cleared import Boxes, bindings_of, output_frames, track_of
from generation.engines.base import (
    MAX_OUTPUT_SIDE_PX,
    FaceTrack,
    Framing,
    OutputShape,
    UnusablePerformance,
    UnusableSource,
)
from generation.engines.tracks import require_usable
from generation.errors import RefusedByRule
from generation.models import Asset, Job
from generation.options import parse_options
from generation.stages.intake import normalise_input
from generation.states import Stage, Status
from generation.transitions import SYSTEM_ACTOR, move
from generation.usable import why_unusable
from generation.warnings import warnings_of
from media.digests import file_sha256
from media.errors import BadInput
from media.frames import FrameStream
from media.video import prefetch, read_frames, read_still
from provenance.watermark.embedder import SMALLEST_SIDE_PX


@dataclass(frozen=True, slots=True)
class Sighting:
    """Every face of a job's inputs, and the tracks of those that move, under the same names."""

    faces: tuple[ObservedFace, ...]
    tracks: Mapping[str, TrackArrays]

    def tensors(self) -> dict[str, Tensor]:
        """The tracks as they are kept for the renderer."""
        return {
            f"{name}.{part}": torch.from_numpy(values)
            for name, track in self.tracks.items()
            for part, values in (("landmarks", track.landmarks), ("presence", track.presence))
        }

    def boxes(self) -> Boxes:
        """Where the faces of the source are, in pixels."""
        return {face.name: [round(value, 1) for value in face.box] for face in self.faces if face.side is Side.PORTRAIT}


def run(held: Claim) -> Job:
    """Normalise, survey, decide. Raises BadInput, an EngineError, RefusedByRule, or consent's ConsentRefused."""
    job = held.job
    _require_licence(job)
    inputs = inputs_of(job)
    for name, asset in inputs.items():
        normalise_input(name, asset)
        held.check()
    _require_markable(inputs[SOURCE], parse_options(job.options).shape)
    seen = _look(held, inputs)
    cast = pairs_of(job, _usable_faces(seen), seen.tracks)
    named = _named_consents(job, seen.faces)
    assessment = gate.assess(
        studio_id=job.studio_id,
        purpose=job.purpose,
        territories=job.territories,
        declared_fictional=job.declared_fictional,
        named=named,
        observed=seen.faces,
        extra_reasons=_refusals_beyond_faces(inputs),
        inputs=bindings_of(inputs, cast, seen.boxes()),
    )
    # kept whatever is decided: a studio sees which consents were proposed, and which face lacks one
    Job.objects.filter(pk=job.pk, lease_token=held.token).update(named_consents=_as_text(named))
    gate.require_not_refused(assessment)
    return _finish(held, assessment, named, inputs, seen, cast)


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


def _require_markable(source: Asset, shape: OutputShape) -> None:
    """Raise BadInput for a portrait whose clip would be too small for the watermark, before anything is looked at."""
    if shape.short_side is not None:  # every size that can be asked for is large enough
        return
    sides = (source.facts["width"], source.facts["height"])
    # of a crop the square around the faces counts, which no limit scales down
    scale = min(1.0, MAX_OUTPUT_SIDE_PX / max(sides)) if shape.framing is Framing.FULL else 1.0
    if min(sides) * scale < SMALLEST_SIDE_PX:
        raise BadInput(
            f"Portrait: its clip would be {min(sides) * scale:.0f} pixels on the short side and at least {SMALLEST_SIDE_PX} are "
            "needed; use a larger or less narrow picture, or choose a short_side."
        )


def _look(held: Claim, inputs: Mapping[str, Asset]) -> Sighting:
    """Look at every frame of every input."""
    source = inputs[SOURCE]
    surveys = [] if source.kind == Asset.Kind.STILL else [_survey_video(held, source, SOURCE, Side.PORTRAIT)]
    faces = list(_survey_portrait(source)) if source.kind == Asset.Kind.STILL else []
    for name, asset in inputs.items():
        if name != SOURCE:
            template = asset.kind == Asset.Kind.MOTION
            surveys.append(motion_templates.survey(asset, name) if template else _survey_video(held, asset, name, Side.DRIVER))
    tracks = {name: track for survey in surveys for name, track in survey.tracks.items()}
    return Sighting((*faces, *(face for survey in surveys for face in survey.faces)), tracks)


def _survey_portrait(asset: Asset) -> tuple[ObservedFace, ...]:
    hidden = asset.facts.get("under_alpha")
    faces = survey_still(
        read_still(storage.resolve(asset.normalised_path)),
        read_still(storage.resolve(hidden)) if hidden else None,
        engine=gate.face_engine(),
    )
    if not faces:
        raise BadInput(
            "No usable face was found in the still; choose a picture of a person's face that is at least 64 px high "
            "and turned no further than 60 degrees from the camera."
        )
    return faces


def _survey_video(held: Claim, asset: Asset, name: str, side: Side) -> DriverSurvey:
    def watched(frames: FrameStream) -> FrameStream:
        for batch in frames:
            held.check()
            yield batch

    with closing(prefetch(read_frames(storage.resolve(asset.normalised_path)))) as frames:
        survey = survey_driver(
            watched(frames),
            frame_rate=Fraction(asset.facts["frame_rate"]),
            engine=gate.face_engine(),
            side=side,
            label=name,
        )
    if not survey.faces:
        what = "portrait video" if side is Side.PORTRAIT else "driving video"
        raise BadInput(f"No face was found in the {what}; film the face from the front, well lit.")
    return survey


def _usable_faces(seen: Sighting) -> list[str]:
    """The faces of the source that can be animated; a doubtful one is none. Raises UnusableSource when none can, saying why."""
    problems: dict[str, str] = {}
    for face in seen.faces:
        if face.side is Side.PORTRAIT and not face.hidden and face.counted_by is not CountedBy.DOUBT:
            problems[face.name] = why_unusable(_landmarks_of(face, seen), face.box[3] - face.box[1])
    usable = [name for name, problem in problems.items() if not problem]
    if problems and not usable:
        name, problem = next(iter(problems.items()))
        raise UnusableSource(f"{name} cannot be animated: {problem}.")
    return usable


def _landmarks_of(face: ObservedFace, seen: Sighting) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """(T, 478, 3), of the frames that show the face; none when nothing could place its features, which the gate refuses."""
    if face.landmarks is not None:
        return face.landmarks[None]
    track = seen.tracks.get(face.name)
    if track is None:
        return np.empty((0, 478, 3), dtype=np.float32)
    return track.landmarks[np.isfinite(track.landmarks).all(axis=(1, 2))]


def _as_text(named: dict[str, uuid.UUID]) -> dict[str, str]:
    return {face: str(consent) for face, consent in named.items()}


def _refusals_beyond_faces(inputs: Mapping[str, Asset]) -> list[Reason]:
    several = [name for name, asset in inputs.items() if asset.facts.get("video_streams", 1) > 1]
    return [Reason("second_video_stream", FIX["second_video_stream"].format(face=name), f"{name}:stream:2") for name in several]


def _require_performances(driving: Mapping[str, FaceTrack]) -> None:
    """Raise UnusablePerformance, naming the face, before anything is rendered of a track that is mostly bridges."""
    for name, track in driving.items():
        try:
            require_usable(track)
        except UnusablePerformance as problem:
            raise UnusablePerformance(f"{name}: {problem.message}") from problem


def _finish(
    held: Claim,
    assessment: gate.Assessment,
    named: dict[str, uuid.UUID],
    inputs: Mapping[str, Asset],
    seen: Sighting,
    cast: Sequence[Pair],
) -> Job:
    job, tensors = held.job, seen.tensors()
    driving = {driver: track_of(driver, tensors, inputs) for _, driver in cast}
    _require_performances(driving)
    motion = storage.motion_file(job.pk, job.attempt)
    save_file(tensors, motion)
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
            render_facts={
                "motion_path": storage.relative(motion),
                "portrait_boxes": seen.boxes(),
                "cast": cast,
                "warnings": warnings_of(job, assessment.decision, cast, driving),
            },
            frames_total=output_frames(job),
            detail={"outcome": assessment.decision.outcome.value, "policy": assessment.decision.policy_version},
        )
        if target is Status.CLEARED:
            dispatch.enqueue_after_commit(job.pk, Stage.RENDER)
    return moved
