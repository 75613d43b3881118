"""Who performs what: each performance with its face, its driver's motion and the canvas it is drawn on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from fractions import Fraction
from typing import TypeVar, cast

import torch
from torch import Tensor

from generation.engines.base import FaceTrack, Options, Performance, SourceFace, UnusablePerformance, UnusableSource
from generation.engines.mesh import topology
from generation.engines.mesh.composite import FaceModel
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.motion import Driver
from generation.engines.mesh.retarget import Pose, Retarget
from generation.engines.tracks import resample

KEPT_DRIVERS = 8  # as many as perform in one job: a preview is asked for again and again with the same ones

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Act:
    """One face of the source with the driver that moves it."""

    model: FaceModel
    driver: Driver
    retarget: Retarget
    canvas: Tensor  # (3, H, W) of the region, drawn over frame by frame

    def pose(self, start: int, stop: int) -> Pose:
        """Frames start .. stop, on the device of the face."""
        return to_device(self.retarget(self.driver.block(start, stop)), self.canvas.device)


@dataclass(frozen=True, slots=True)
class Timing:
    """Rate and length of the output."""

    frame_rate: Fraction
    frame_count: int

    def frame_at(self, at_s: float) -> int:
        """The frame shown at `at_s` seconds."""
        return min(max(int(at_s * self.frame_rate), 0), self.frame_count - 1)


class Drivers:
    """Makes drivers, and keeps those of the last job: a driver reads its whole track, a slider asks for one frame of it."""

    def __init__(self, config: MeshConfig) -> None:
        self.config = config
        self._kept: OrderedDict[tuple[object, ...], tuple[FaceTrack, Tensor, Driver]] = OrderedDict()

    def of(self, track: FaceTrack, timing: Timing, options: Options, model: FaceModel) -> Driver:
        """The driver of a track for a face, at the output's rate and length. Raises UnusablePerformance."""
        reference = options.reference
        if reference is not None:
            reference = round(reference * timing.frame_rate / track.frame_rate)  # it was counted in the driver's own frames
        # All that a driver depends on.
        plain = Options(motion=options.motion, smoothing=options.smoothing, reference=reference)
        key = (id(track.landmarks), id(model.landmarks), timing, plain)
        if key not in self._kept:
            driver = Driver(resample(track, timing.frame_rate, timing.frame_count), plain, self.config)
            # Track and face are held so that their ids stay their own.
            self._kept[key] = (track, model.landmarks, driver.facing(model.landmarks))
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT_DRIVERS:
            self._kept.popitem(last=False)
        return self._kept[key][2]


def cast_acts(
    models: Sequence[FaceModel], performances: Sequence[Performance], options: Options, timing: Timing, drivers: Drivers
) -> list[Act]:
    """Give every performance its driver; models[i] is the face of performances[i]. Raises UnusablePerformance."""
    acts = []
    for model, performance in zip(models, performances, strict=True):
        driver = drivers.of(performance.track, timing, options, model)
        retarget = Retarget(to_device(model.rest, torch.device("cpu")), driver.neutral, options, drivers.config)
        acts.append(Act(model, driver, retarget, torch.empty(3, *model.region.size, device=model.layers.plate.device)))
    return acts


def lead_of(performances: Sequence[Performance]) -> FaceTrack:
    """The track that sets rate and length. Raises UnusablePerformance when there is none."""
    if not performances:
        raise UnusablePerformance("no performance was given; choose a driving video for at least one face")
    return performances[0].track


def face_of(models: Sequence[FaceModel], face: SourceFace) -> FaceModel:
    """The prepared face whose centre lies nearest to the named box's, if it lies inside it."""
    x0, y0, x1, y1 = face.box
    centres = torch.stack([model.landmarks[: topology.FACE_POINTS, :2].mean(0) for model in models])
    distance = (centres - torch.tensor([(x0 + x1) / 2, (y0 + y1) / 2])).norm(dim=1)
    nearest = int(distance.argmin())
    x, y = centres[nearest].tolist()
    if not (x0 <= x <= x1 and y0 <= y <= y1):
        raise UnusableSource("the chosen face cannot be animated (too small or turned away); choose another face of the still")
    return models[nearest]


def to_device(value: T, device: torch.device) -> T:
    """A copy of a (nested) dataclass with its tensors on a device."""
    return cast(T, _moved(value, device))


def _moved(value: object, device: torch.device) -> object:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, tuple):
        return tuple(_moved(item, device) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _moved(getattr(value, f.name), device) for f in fields(value)})
    return value
