"""The mesh engine: a geometric animator that moves the pixels of a still and needs no model of a face's looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TypeVar, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from generation.engines.base import (
    WHOLE_SOURCE,
    FaceTrack,
    Licence,
    Options,
    OutputShape,
    Performance,
    Prepared,
    SourceFace,
    Still,
    UnusablePerformance,
    UnusableSource,
    VideoSource,
)
from generation.engines.mesh.analyse import FoundFace, StillAnalyser, TrackingAnalyser
from generation.engines.mesh.composite import FaceModel, paste, paste_weight, render, territory
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.layers import build_layers
from generation.engines.mesh.motion import Driver
from generation.engines.mesh.retarget import Retarget
from generation.engines.mesh.source import choose_region, require_usable_face, rest_face
from media.frames import FrameBatch

NAME = "mesh"
VERSION = "1.0.0"
LICENCE = Licence(name="Apache-2.0", commercial_use=True, source="https://github.com/google-ai-edge/mediapipe")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PreparedStill:
    """A still with every usable face made ready."""

    picture: Tensor  # (3, H, W) in 0..1, even sides, on the engine's device
    faces: tuple[FaceModel, ...]

    @property
    def width(self) -> int:
        """Even number of columns of every output frame, in pixels."""
        return int(self.picture.shape[2])

    @property
    def height(self) -> int:
        """Even number of rows of every output frame, in pixels."""
        return int(self.picture.shape[1])


@dataclass(frozen=True, slots=True)
class _Act:
    """One face of the still with the driver that moves it."""

    model: FaceModel
    driver: Driver
    retarget: Retarget


class MeshAnimator:
    """3-D mesh warp with layers; see `config` for its numbers. Deterministic for equal inputs, options and device."""

    name = NAME
    version = VERSION
    licence = LICENCE

    def __init__(self, analyser: StillAnalyser, device: str = "cpu", config: MeshConfig | None = None) -> None:
        self._analyser = analyser
        self._device = torch.device(device)
        self._config = config or MeshConfig()

    def prepare(self, source: Still | VideoSource, shape: OutputShape = WHOLE_SOURCE) -> PreparedStill:
        """Find and prepare the faces of a still. Raises UnusableSource."""
        if isinstance(source, VideoSource):
            raise UnusableSource("the mesh engine animates stills, not videos; upload a still portrait or choose another engine")
        height, width = source.rgb.shape[0] // 2 * 2, source.rgb.shape[1] // 2 * 2
        rgb = source.rgb[:height, :width].cpu()
        usable = self._usable_faces(self._analyser.faces(rgb))
        picture = rgb.permute(2, 0, 1).float() / 255
        models = tuple(self._model(rgb, picture, face, [f.landmarks for f in usable if f is not face]) for face in usable)
        return PreparedStill(picture.to(self._device), models)

    def _usable_faces(self, found: list[FoundFace]) -> list[FoundFace]:
        """The faces that can be animated; the reason for the last one that cannot is raised when none can."""
        if not found:
            raise UnusableSource("no face was found in the still; use a portrait with a clearly visible face")
        usable, refusal = [], None
        for face in found:
            try:
                require_usable_face(face.landmarks, self._config)
            except UnusableSource as error:
                refusal = refusal or error
            else:
                usable.append(face)
        if refusal is not None and not usable:
            raise refusal
        return usable

    def _model(self, rgb: Tensor, picture: Tensor, face: FoundFace, others: list[Tensor]) -> FaceModel:
        """Cut, analyse and take apart the region around one face."""
        config = self._config
        size = (rgb.shape[0], rgb.shape[1])
        landmarks = face.landmarks.float().cpu()
        region = choose_region(landmarks, size, config)
        rows, columns = slice(region.top, region.bottom), slice(region.left, region.right)
        image = _resize(picture[:, rows, columns], region.size)
        matte = _resize(self._analyser.alpha(rgb[rows, columns].contiguous())[None].float().cpu(), region.size)[0]
        ratio = torch.tensor(
            [region.size[1] / (region.right - region.left), region.size[0] / (region.bottom - region.top), region.scale]
        )
        local = (landmarks - torch.tensor([region.left, region.top, 0.0])) * ratio
        rest = rest_face(local, config)
        rings = local[[469, 471, 474, 476], :2]
        radius = torch.stack([(rings[0] - rings[1]).norm(), (rings[2] - rings[3]).norm()]) / 2
        model = FaceModel(
            landmarks=landmarks,
            region=region,
            rest=rest,
            layers=build_layers(image, matte, rest, radius, config),
            paste_weight=paste_weight(region, size, config) * territory(region, landmarks, others, config),
        )
        return _to_device(model, self._device)

    def animate(self, prepared: Prepared, performances: Sequence[Performance], options: Options) -> Iterator[FrameBatch]:
        """Stream uint8 RGB batches, one output frame per driver frame. Raises UnusablePerformance before the first batch."""
        still = _own(prepared)
        acts = self._cast(still, performances, options)
        track = performances[0].track
        return self._stream(still, acts, track)

    def preview(self, prepared: Prepared, performances: Sequence[Performance], options: Options, at_s: float) -> Tensor:
        """The frame shown at `at_s` seconds, uint8 RGB (H, W, 3)."""
        still = _own(prepared)
        acts = self._cast(still, performances, options)
        track = performances[0].track
        frame = min(max(int(at_s * track.frame_rate), 0), track.frame_count - 1)
        return self._frames(still, acts, frame, frame + 1)[0]

    def _cast(self, prepared: PreparedStill, performances: Sequence[Performance], options: Options) -> list[_Act]:
        """Give every performance its face and its driver."""
        if not performances:
            raise UnusablePerformance("no performance was given; choose a driving video for at least one face")
        tracks = [performance.track for performance in performances]
        if any(t.frame_count != tracks[0].frame_count or t.frame_rate != tracks[0].frame_rate for t in tracks):
            raise UnusablePerformance("the driving clips differ in length or frame rate; cut them to the same length and rate")
        acts = []
        for performance in performances:
            model = _face_of(prepared, performance.face)
            driver = Driver(performance.track, options, self._config)
            retarget = Retarget(_to_device(model.rest, torch.device("cpu")), driver.neutral, options, self._config)
            acts.append(_Act(model, driver, retarget))
        return acts

    def _stream(self, prepared: PreparedStill, acts: list[_Act], track: FaceTrack) -> Iterator[FrameBatch]:
        for start in range(0, track.frame_count, self._config.batch_frames):
            stop = min(start + self._config.batch_frames, track.frame_count)
            seconds = torch.arange(start, stop, dtype=torch.float64) / float(track.frame_rate)
            yield FrameBatch(self._frames(prepared, acts, start, stop), seconds)

    @torch.inference_mode()
    def _frames(self, prepared: PreparedStill, acts: list[_Act], start: int, stop: int) -> Tensor:
        """Frames start .. stop, uint8 (B, H, W, 3)."""
        poses = [_to_device(act.retarget(act.driver.block(start, stop)), self._device) for act in acts]
        frames = []
        for index in range(stop - start):
            picture = prepared.picture.clone()
            for act, pose in zip(acts, poses, strict=True):
                paste(render(act.model, pose, index, self._config), picture, act.model)
            frames.append((picture * 255 + 0.5).to(torch.uint8).permute(1, 2, 0))
        return torch.stack(frames)


def _resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(C, h, w) to another size, with averaging when it shrinks."""
    if tuple(image.shape[1:]) == size:
        return image.clone()
    return F.interpolate(image[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0].clamp(0, 1)


def _to_device(value: T, device: torch.device) -> T:
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


def _own(prepared: Prepared) -> PreparedStill:
    """The still as this engine prepared it. Raises TypeError for another engine's."""
    if not isinstance(prepared, PreparedStill):
        raise TypeError("this was prepared by another engine; prepare the still with the mesh engine")
    return prepared


def _face_of(prepared: PreparedStill, face: SourceFace) -> FaceModel:
    """The prepared face whose centre lies nearest to the named box's, if it lies inside it."""
    x0, y0, x1, y1 = face.box
    centres = torch.stack([model.landmarks[:468, :2].mean(0) for model in prepared.faces])
    distance = (centres - torch.tensor([(x0 + x1) / 2, (y0 + y1) / 2])).norm(dim=1)
    nearest = int(distance.argmin())
    x, y = centres[nearest].tolist()
    if not (x0 <= x <= x1 and y0 <= y <= y1):
        raise UnusableSource("the chosen face cannot be animated (too small or turned away); choose another face of the still")
    return prepared.faces[nearest]


def load(device: str) -> MeshAnimator:
    """The engine with the tracking networks on a torch device."""
    return MeshAnimator(TrackingAnalyser(device), device)
