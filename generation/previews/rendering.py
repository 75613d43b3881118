"""One frame of a scene, with the prepared sources of the last few scenes at hand: preparing takes ten times as long. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from generation import engines
from generation.engines.base import Animator, Options, OutputShape, Performance, Prepared, Still, VideoSource
from generation.previews.marking import reduced

SCENES_KEPT = 2
SceneKey = tuple[str, ...]  # first the studio


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything a frame is made of but the options of the performance."""

    engine: str
    device: str
    source: Still | VideoSource
    shape: OutputShape
    performances: tuple[Performance, ...]


@dataclass(frozen=True, slots=True)
class _Stage:
    animator: Animator
    prepared: Prepared
    performances: tuple[Performance, ...]


class SceneRenderer:
    """Renders small frames in this process, one at a time. Memory: the prepared sources of `scenes_kept` scenes."""

    def __init__(self, scenes_kept: int = SCENES_KEPT) -> None:
        self._stages: OrderedDict[SceneKey, _Stage] = OrderedDict()
        self._scenes_kept = scenes_kept

    def frame(self, key: SceneKey, scene: Callable[[], Scene], options: Options, at_s: float) -> Tensor:
        """The frame at `at_s` seconds, uint8 RGB (H, W, 3), reduced to a preview's size and NOT YET MARKED.

        `scene` is called when the key is new or forgotten. Raises the engine's errors.
        """
        stage = self._stages.get(key) or self._set_up(key, scene())
        self._stages.move_to_end(key)
        return reduced(stage.animator.preview(stage.prepared, stage.performances, options, at_s).cpu())

    def _set_up(self, key: SceneKey, scene: Scene) -> _Stage:
        while len(self._stages) >= self._scenes_kept:
            self._stages.popitem(last=False)  # before the next one is made: never one more in memory than are kept
        animator = engines.load(scene.engine, scene.device)
        stage = _Stage(
            animator, animator.prepare(scene.source, scene.shape, [p.face for p in scene.performances]), scene.performances
        )
        self._stages[key] = stage
        return stage
