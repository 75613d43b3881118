"""What the gate cleared of a job, in the terms of the engines: the source, and a performance for each face that is cast."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import partial

from safetensors.torch import load_file
from torch import Tensor

from generation import storage
from generation.casting import inputs_of
from generation.engines.base import FaceTrack, Performance, SourceFace, Still, VideoSource
from generation.models import Asset, Job
from media.video import read_frames, read_still


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
        x0, y0, x1, y1 = boxes[face]
        own = track_of(face, tensors, inputs) if filmed else None
        performances.append(Performance(face=SourceFace((x0, y0, x1, y1), own), track=track_of(driver, tensors, inputs)))
    return performances


def track_of(face: str, tensors: Mapping[str, Tensor], inputs: Mapping[str, Asset]) -> FaceTrack:
    """One face's track out of a motion file."""
    asset = inputs[face.partition(":")[0]]
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
