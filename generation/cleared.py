"""What the gate cleared of a job, in the terms of the engines: the source, and a performance for each face that is cast."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import partial

from safetensors.torch import load_file
from torch import Tensor

from generation import storage
from generation.casting import Pair, inputs_of
from generation.engines.base import FaceTrack, Performance, SourceFace, Still, VideoSource
from generation.models import Asset, Job
from media.errors import BadInput
from media.video import read_frame, read_frames, read_still

PLAN = "plan"
PLANNED_FACTS = ("width", "height", "frame_rate", "frames", "has_audio")
Boxes = Mapping[str, Sequence[float]]  # where each face of the source is: x0, y0, x1, y1 in pixels


def bindings_of(inputs: Mapping[str, Asset], cast: Sequence[Pair], boxes: Boxes) -> dict[str, str]:
    """What a decision holds for, as SHA-256 by name: each normalised input, and the plan of who moves whom, where and how fast.

    Whoever can write to the database thus changes none of it behind the gate (misuse register A16).
    """
    plan = {
        "cast": [list(pair) for pair in cast],
        "boxes": {face: [float(value) + 0.0 for value in box] for face, box in boxes.items()},  # the database keeps no -0.0
        "inputs": {name: [str(asset.kind), *(asset.facts.get(fact) for fact in PLANNED_FACTS)] for name, asset in inputs.items()},
    }
    digest = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
    return {**{name: asset.normalised_sha256 for name, asset in inputs.items()}, PLAN: digest}


def source_of(job: Job) -> Still | VideoSource:
    """The normalised portrait as engines take it."""
    asset = job.portrait
    path = storage.resolve(asset.normalised_path)
    if asset.kind != Asset.Kind.VIDEO:
        return Still(read_still(path))
    facts = asset.facts
    return VideoSource(
        frames=partial(read_frames, path),
        frame_rate=rate_of(asset),
        frame_count=facts["frames"],
        width=facts["width"],
        height=facts["height"],
        frame_at=partial(read_frame, path),
    )


def performances_of(job: Job) -> list[Performance]:
    """The cleared track of each driving face with the face that it moves, the lead driver first.

    Reads the job's motion file: call `generation.stages.render.require_inputs_stand` before.
    """
    tensors = load_file(storage.resolve(job.render_facts["motion_path"]))
    inputs = inputs_of(job)
    boxes, filmed = job.render_facts["portrait_boxes"], job.portrait.kind == Asset.Kind.VIDEO
    performances = []
    for face, driver in job.render_facts["cast"]:
        if face not in boxes:
            raise BadInput(f"The portrait shows no {face}; cast a face that was seen in it and submit the job again.")
        x0, y0, x1, y1 = boxes[face]
        own = track_of(face, tensors, inputs) if filmed else None
        performances.append(Performance(face=SourceFace((x0, y0, x1, y1), own), track=track_of(driver, tensors, inputs)))
    return performances


def track_of(face: str, tensors: Mapping[str, Tensor], inputs: Mapping[str, Asset]) -> FaceTrack:
    """One face's track out of a motion file. Raises BadInput for a face that was not seen."""
    asset = inputs.get(face.partition(":")[0])
    if asset is None or f"{face}.landmarks" not in tensors:
        raise BadInput(f"No {face} was found in the performances; cast a face that was seen and submit the job again.")
    return FaceTrack(
        landmarks=tensors[f"{face}.landmarks"],
        presence=tensors[f"{face}.presence"],
        frame_rate=rate_of(asset),
        width=asset.facts["width"],
        height=asset.facts["height"],
    )


def rate_of(asset: Asset) -> Fraction:
    """The exact frame rate of a normalised video or template."""
    return Fraction(asset.facts["frame_rate"])


def output_rate(job: Job) -> Fraction:
    """The frame rate of the clip: the source's when that is a video, else the lead driver's."""
    return rate_of(job.portrait if job.portrait.kind == Asset.Kind.VIDEO else job.driving)


def output_frames(job: Job) -> int:
    """How many frames the clip has: one for each of the source's, or of the lead driver's, as long as both last."""
    if job.portrait.kind != Asset.Kind.VIDEO:
        return int(job.driving.facts["frames"])
    lead_s = job.driving.facts["frames"] / rate_of(job.driving)
    return min(int(job.portrait.facts["frames"]), -int(-lead_s * rate_of(job.portrait) // 1))
