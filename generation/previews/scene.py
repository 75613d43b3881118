"""From a job's row to the scene that a preview is rendered from: the cleared inputs and the cleared tracks, nothing else."""

from __future__ import annotations

from dataclasses import replace

from django.conf import settings

from generation.cleared import performances_of, source_of
from generation.engines.base import Framing, OutputShape
from generation.models import Job
from generation.previews.marking import LONG_SIDE_PX
from generation.previews.rendering import Scene, SceneKey

SMALL_FACE_PX = 90.0  # high, in a preview of the whole picture: under it nobody can judge an expression
CROP_HEIGHTS = 2.5  # heights of a face per side of a crop, with head and shoulders
WORTH_IT = 1.25  # times larger; for less, the whole picture tells more


def shown_shape(job: Job, shape: OutputShape) -> OutputShape:
    """What a preview shows of the shape asked for: performing faces that would be too small to judge are shown from near."""
    boxes = [job.render_facts["portrait_boxes"][face] for face, _ in job.render_facts["cast"]]
    if shape.framing is Framing.CROP or not boxes:
        return shape
    long_side = max(job.portrait.facts["width"], job.portrait.facts["height"])
    x0s, y0s, x1s, y1s = zip(*boxes, strict=True)
    height = max(bottom - top for top, bottom in zip(y0s, y1s, strict=True))
    side = max(max(x1s) - min(x0s), max(y1s) - min(y0s)) + (CROP_HEIGHTS - 1) * height
    small = height * LONG_SIDE_PX / long_side < SMALL_FACE_PX
    return replace(shape, framing=Framing.CROP) if small and long_side / side >= WORTH_IT else shape


def is_zoomed(job: Job, shape: OutputShape) -> bool:
    """Whether a preview shows the face from nearer than the clip will."""
    return shown_shape(job, shape).framing is not shape.framing


def scene_key(job: Job, shape: OutputShape) -> SceneKey:
    """The studio, and what a scene is made of, by digest: equal keys mean equal scenes."""
    framing = shown_shape(job, shape).framing
    return (str(job.studio_id), str(job.pk), job.engine, job.portrait.normalised_sha256, job.motion_sha256, framing)


def scene_of(job: Job, shape: OutputShape) -> Scene:
    """The scene of a job whose inputs stand, at about a preview's size."""
    return Scene(
        engine=job.engine,
        device=settings.PREVIEW_DEVICE,
        source=source_of(job),
        shape=replace(shown_shape(job, shape), short_side=LONG_SIDE_PX),
        performances=tuple(performances_of(job)),
    )
