"""From a job's row to the scene that a preview is rendered from: the cleared inputs and the cleared tracks, nothing else."""

from __future__ import annotations

from dataclasses import replace

from django.conf import settings

from generation.cleared import performances_of, source_of
from generation.engines.base import OutputShape
from generation.models import Job
from generation.previews.marking import LONG_SIDE_PX
from generation.previews.rendering import Scene, SceneKey


def scene_key(job: Job, shape: OutputShape) -> SceneKey:
    """What a scene is made of, by digest: equal keys mean equal scenes."""
    return (str(job.pk), job.engine, job.portrait.normalised_sha256, job.motion_sha256, shape.framing)


def scene_of(job: Job, shape: OutputShape) -> Scene:
    """The scene of a job whose inputs stand, at about a preview's size."""
    return Scene(
        engine=job.engine,
        device=settings.PREVIEW_DEVICE,
        source=source_of(job),
        shape=replace(shape, short_side=LONG_SIDE_PX),
        performances=tuple(performances_of(job)),
    )
