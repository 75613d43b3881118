"""From a job's row to the scene that a preview is rendered from: the cleared inputs and the cleared tracks, nothing else."""

from __future__ import annotations

from dataclasses import replace

from django.conf import settings

from generation.cleared import performances_of, source_of
from generation.engines.base import Framing, OutputShape
from generation.models import Job
from generation.previews.marking import IN_THE_MIDDLE, LONG_SIDE_PX, Anchor
from generation.previews.rendering import Scene, SceneKey


def scene_key(job: Job, shape: OutputShape) -> SceneKey:
    """The studio, and what a scene is made of, by digest: equal keys mean equal scenes."""
    return (str(job.studio_id), str(job.pk), job.engine, job.portrait.normalised_sha256, job.motion_sha256, shape.framing)


def scene_of(job: Job, shape: OutputShape) -> Scene:
    """The scene of a job whose inputs stand, at about a preview's size."""
    return Scene(
        engine=job.engine,
        device=settings.PREVIEW_DEVICE,
        source=source_of(job),
        shape=replace(shape, short_side=LONG_SIDE_PX),
        performances=tuple(performances_of(job)),
    )


def anchor_of(job: Job, shape: OutputShape) -> Anchor:
    """Where the portrait's largest face lies in the picture that is shown; in a crop, which is laid around it, in the middle."""
    boxes = job.render_facts.get("portrait_boxes", {}).values()
    if shape.framing is Framing.CROP or not boxes:
        return IN_THE_MIDDLE
    x0, y0, x1, y1 = max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    width, height = job.portrait.facts["width"], job.portrait.facts["height"]
    long_side = max(width, height)
    return Anchor(((x0 + x1 - width) / 2) / long_side, ((y0 + y1 - height) / 2) / long_side, (y1 - y0) / long_side)
