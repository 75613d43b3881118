"""A cleared job whose previews are rendered in the test's own process by an engine that takes no time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from casting_material import upload
from numpy.typing import NDArray
from PIL import Image
from quick_engine import NAME
from stage_material import HER, HIM, agree, write_driver, write_portrait
from torch import Tensor

from consent.policy import Role
from generation import services
from generation.engines.base import Options
from generation.job_request import JobRequest
from generation.models import Asset, Job
from generation.pipeline import run_stage
from generation.previews.marking import reduced
from generation.previews.rendering import PreparedScene, Scene, SceneKey
from generation.states import Stage
from users.models import Studio


class CountingRenderer:
    """Renders in the test's own process, counts what it is asked, and keeps the bare frames that were never to be seen."""

    def __init__(self) -> None:
        self.bare: list[Tensor] = []
        self.stages: dict[SceneKey, PreparedScene] = {}

    @property
    def scenes(self) -> int:
        return len(self.stages)

    def frame(self, key: SceneKey, scene: Callable[[], Scene], options: Options, at_s: float) -> Tensor:
        if key not in self.stages:
            self.stages[key] = PreparedScene(scene())
        stage = self.stages[key]
        self.bare.append(reduced(stage._animator.preview(stage._prepared, stage._scene.performances, options, at_s)))
        return stage.frame(options, at_s)


def submitted_job(studio: Studio, folder: Path, *, frames: int | None = None, wait: bool = False, fictional: bool = False) -> Job:
    """A job whose performer agreed, and whose depicted person agreed or is declared fictional."""
    consents = {"driver:1": agree(studio, HIM, Role.PERFORMER)}
    if not fictional:
        consents["portrait:1"] = agree(studio, HER, Role.DEPICTED)
    request = JobRequest(
        "internal_test",
        NAME,
        declared_fictional=fictional,
        named_consents={face: str(consent.pk) for face, consent in consents.items()},
        wait_for_start=wait,
    )
    length = {} if frames is None else {"frames": frames}
    return services.submit(
        studio=studio,
        portrait=upload(studio, Asset.Kind.STILL, write_portrait(folder / "portrait.png")),
        driving=upload(studio, Asset.Kind.VIDEO, write_driver(folder / "driving.mp4", **length)),
        request=request,
        actor="system:test",
    )


def cleared(job: Job) -> Job:
    run_stage(stage=Stage.CLEAR, job_id=job.pk)
    return Job.objects.select_related("studio", "portrait", "driving").get(pk=job.pk)


def pixels(png: bytes, path: Path) -> NDArray[np.uint8]:
    """A PNG as somebody who saved it reads it, uint8 (H, W, 3)."""
    path.write_bytes(png)
    return np.array(Image.open(path))


def as_frames(pictures: list[NDArray[np.uint8]]) -> Tensor:
    return torch.from_numpy(np.stack(pictures))
