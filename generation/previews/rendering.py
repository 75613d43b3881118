"""One frame of a scene with its faces found and crossed by the visible mark; a bare frame goes nowhere. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from generation import engines
from generation.engines.base import Framing, Options, OutputShape, Performance, Still, VideoSource
from generation.previews.marking import crossed
from media.frames import FrameBatch
from media.tracking import FaceLandmarker, FaceTracker, Roi

SceneKey = tuple[str, ...]  # first the studio
ROI_SCALE = 1.5  # side of the region that landmarks are looked for in, in sides of the face's box


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything a frame is made of but the options of the performance."""

    engine: str
    device: str
    source: Still | VideoSource
    shape: OutputShape
    performances: tuple[Performance, ...]


class PreparedScene:
    """A scene with its source prepared, which takes ten times as long as a frame. Raises the engine's errors."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._animator = engines.load(scene.engine, scene.device)
        self._prepared = self._animator.prepare(scene.source, scene.shape, [p.face for p in scene.performances])
        self._tracker, self._landmarker = FaceTracker(), FaceLandmarker()

    def frame(self, options: Options, at_s: float) -> Tensor:
        """The frame at `at_s` seconds, uint8 RGB (H, W, 3), small, with the visible mark and NOT YET the watermark."""
        bare = self._animator.preview(self._prepared, self._scene.performances, options, at_s).cpu()
        return crossed(bare, self._faces(bare))

    def _faces(self, bare: Tensor) -> list[Tensor]:
        """The landmarks (478, 3) of all faces that a frame shows; of one that performs also where no detector sees it."""
        moment = FrameBatch(bare[None], torch.zeros(1, dtype=torch.float64))
        seen = next(iter(self._tracker.track([moment]))).faces
        missed = [roi for roi in self._expected(bare) if not any(_holds(roi, *face.box.centre) for face in seen)]
        if not missed:
            return [face.landmarks for face in seen]
        more, _ = self._landmarker.landmarks(bare.expand(len(missed), -1, -1, -1), missed, passes=2)
        return [*(face.landmarks for face in seen), *more]

    def _expected(self, bare: Tensor) -> list[Roi]:
        """Where the faces that perform lie in the whole picture; a crop is laid around them, and large enough to be seen."""
        if self._scene.shape.framing is Framing.CROP:
            return []
        source = self._scene.source
        width = source.rgb.shape[1] if isinstance(source, Still) else source.width
        scale = bare.shape[1] / width
        boxes = [[side * scale for side in performance.face.box] for performance in self._scene.performances]
        return [Roi((x0 + x1) / 2, (y0 + y1) / 2, ROI_SCALE * max(x1 - x0, y1 - y0), 0.0) for x0, y0, x1, y1 in boxes]


def _holds(roi: Roi, x: float, y: float) -> bool:
    return max(abs(x - roi.centre_x), abs(y - roi.centre_y)) < roi.side / 2
