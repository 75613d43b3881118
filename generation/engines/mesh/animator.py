"""The mesh engine: a geometric animator that moves the pixels of a still or a video and needs no model of a face's looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from generation.engines.base import (
    WHOLE_SOURCE,
    Licence,
    Options,
    OutputShape,
    Performance,
    Prepared,
    Regions,
    SourceFace,
    Still,
    UnusableSource,
    VideoSource,
)
from generation.engines.mesh import topology
from generation.engines.mesh.analyse import FoundFace, StillAnalyser, TrackingAnalyser
from generation.engines.mesh.casting import Act, Drivers, Timing, cast_acts, face_of, lead_of, to_device
from generation.engines.mesh.composite import FaceModel, calm_map, map_step, render, territory
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.framing import choose_frame
from generation.engines.mesh.layers import build_layers
from generation.engines.mesh.motion import Driver
from generation.engines.mesh.reading import Correction, Reader, learn, sample_frames
from generation.engines.mesh.retarget import Pose
from generation.engines.mesh.source import choose_region, require_usable_face, rest_face
from generation.engines.mesh.tiles import cover
from generation.engines.mesh.video_source import PreparedVideo, Remake, draw_frames, prepare_video, remake
from media.frames import FrameBatch
from media.tracking.landmarker import FaceLandmarker

NAME = "mesh"
VERSION = "2.1.0"
LICENCE = Licence(name="Apache-2.0", commercial_use=True, source="https://github.com/google-ai-edge/mediapipe")


@dataclass(frozen=True, slots=True)
class PreparedStill:
    """A still with every usable face made ready."""

    picture: Tensor  # uint8 (H, W, 3), even sides, on the engine's device
    faces: tuple[FaceModel, ...]

    @property
    def width(self) -> int:
        """Even number of columns of every output frame, in pixels."""
        return int(self.picture.shape[1])

    @property
    def height(self) -> int:
        """Even number of rows of every output frame, in pixels."""
        return int(self.picture.shape[0])


class MeshAnimator:
    """3-D mesh warp with layers; see `config` for its numbers. Deterministic for equal inputs, options and device."""

    name = NAME
    version = VERSION
    licence = LICENCE

    def __init__(
        self, analyser: StillAnalyser, device: str = "cpu", config: MeshConfig | None = None, reader: Reader | None = None
    ) -> None:
        """reader: reads back what was drawn, so that it can be put right; without one nothing is."""
        self._analyser, self._reader = analyser, reader
        self._device = torch.device(device)
        self._config = config or MeshConfig()
        self._drivers = Drivers(self._config)
        self._corrections: WeakKeyDictionary[Driver, Correction | None] = WeakKeyDictionary()

    def prepare(
        self, source: Still | VideoSource, shape: OutputShape = WHOLE_SOURCE, faces: Sequence[SourceFace] = ()
    ) -> PreparedStill | PreparedVideo:
        """Find and prepare the faces that are to perform; of a still, all when none is named. Raises UnusableSource."""
        if isinstance(source, VideoSource):
            return prepare_video(source, shape, faces, self._model_in_video, self._config)
        rgb = source.rgb.cpu()
        usable = self._usable_faces(self._analyser.faces(rgb), (rgb.shape[0], rgb.shape[1]))
        chosen = [found.landmarks for found in usable if _is_named(found, faces)]
        if not chosen:
            raise UnusableSource("the chosen face cannot be animated (too small, turned away or cut off); choose another face")
        frame = choose_frame(chosen, (rgb.shape[0], rgb.shape[1]), shape, self._config)
        picture = frame.of_pixels(rgb)
        placed = [frame.of_points(found.landmarks.float().cpu()) for found in usable]
        models = []
        for index, found in enumerate(usable):
            if _is_named(found, faces):
                others = [landmarks for place, landmarks in enumerate(placed) if place != index]
                models.append(self._model(picture, found.landmarks, placed[index], others))
        return PreparedStill(picture.to(self._device), tuple(models))

    def _usable_faces(self, found: list[FoundFace], size: tuple[int, int]) -> list[FoundFace]:
        """The faces that can be animated; the reason for the last one that cannot is raised when none can."""
        if not found:
            raise UnusableSource("no human face was found in the still; use a portrait with a clearly visible face")
        usable, refusal = [], None
        for face in found:
            try:
                require_usable_face(face.landmarks, size, self._config)
            except UnusableSource as error:
                refusal = refusal or error
            else:
                usable.append(face)
        if refusal is not None and not usable:
            raise refusal
        return usable

    def _model(
        self, rgb: Tensor, source_landmarks: Tensor, landmarks: Tensor, others: list[Tensor], *, cut_out: bool = True
    ) -> FaceModel:
        """Cut, analyse and take apart the region around one face. rgb, landmarks and others: in pixels of the output."""
        config = self._config
        size = (rgb.shape[0], rgb.shape[1])
        region = choose_region(landmarks, size, config)
        part = rgb[region.top : region.bottom, region.left : region.right].contiguous()
        local = landmarks - torch.tensor([region.left, region.top, 0.0])
        rest = rest_face(local, config)
        rings = local[[469, 471, 474, 476], :2]
        radius = torch.stack([(rings[0] - rings[1]).norm(), (rings[2] - rings[3]).norm()]) / 2
        matte = self._analyser.alpha(part).float().cpu() if cut_out else torch.ones(part.shape[:2])
        calm = calm_map(region, size, rest, config)
        layers = build_layers(part.permute(2, 0, 1).float() / 255, matte, rest, radius, calm, config)
        model = FaceModel(
            landmarks=source_landmarks.float().cpu(),
            region=region,
            rest=rest,
            layers=layers,
            triangles=topology.mesh_triangles(len(config.ring_scales)),
            cover=cover(layers.skin[..., 3], calm, map_step(rest, config)),
            share=territory(region, landmarks, others, config) if others else None,
        )
        return to_device(model, self._device)

    def _model_in_video(self, rgb: Tensor, landmarks: Tensor, placed: Tensor) -> FaceModel:
        """The model of a face's neutral moment; a video keeps its background, so nothing is cut out."""
        return self._model(rgb, landmarks, placed, [], cut_out=False)

    def animate(self, prepared: Prepared, performances: Sequence[Performance], options: Options) -> Iterator[FrameBatch]:
        """Stream uint8 RGB batches. Raises UnusablePerformance before the first.

        A still gives a frame for each of the first performance's, a video one for each of its own. A video keeps its own head
        motion: `head_motion` is not used, and the region `pose` leaves it as it is.
        """
        lead = lead_of(performances)
        if isinstance(prepared, PreparedVideo):
            timing = Timing(prepared.source.frame_rate, prepared.length(lead))
            return self._film(prepared, self._remakes(prepared, performances, options, timing), timing)
        still, timing = _own(prepared), Timing(lead.frame_rate, lead.frame_count)
        return self._stream(still, self._acts(still, performances, options, timing), options, timing)

    def preview(self, prepared: Prepared, performances: Sequence[Performance], options: Options, at_s: float) -> Tensor:
        """The frame shown at `at_s` seconds, uint8 RGB (H, W, 3). Drivers are kept, so that the next call is quick."""
        lead = lead_of(performances)
        if isinstance(prepared, PreparedVideo):
            timing = Timing(prepared.source.frame_rate, prepared.length(lead))
            frame = timing.frame_at(at_s)
            shown = prepared.single(frame)[None].clone()
            draw_frames(shown, frame, self._remakes(prepared, performances, options, timing), self._config)
            return shown[0]
        still, timing = _own(prepared), Timing(lead.frame_rate, lead.frame_count)
        frame = timing.frame_at(at_s)
        acts = self._closed_loops(still, self._acts(still, performances, options, timing), options)
        return self._frames(still, acts, _poses(acts, frame, frame + 1), range(1))[0]

    def _acts(self, still: PreparedStill, performances: Sequence[Performance], options: Options, timing: Timing) -> list[Act]:
        models = [face_of(still.faces, performance.face) for performance in performances]
        return cast_acts(models, performances, options, timing, self._drivers)

    def _closed_loops(self, still: PreparedStill, acts: list[Act], options: Options) -> list[Act]:
        """The acts, put right by how their own frames are read.

        A part of the face alone leaves the rest exactly as it is, and a head that keeps still has nothing to put right.
        """
        if self._reader is None or options.regions is not Regions.ALL or options.head_motion == 0:
            return acts
        return [self._closed_loop(still, act, options, self._reader) for act in acts]

    def _closed_loop(self, still: PreparedStill, act: Act, options: Options, reader: Reader) -> Act:
        """Learnt once for each driver that is kept, so anew for another face, smoothing, reference or mode of motion.

        From the performance without the other options: they share what was learnt.
        """
        driver = act.driver
        if driver not in self._corrections:
            plain = replace(act, retarget=act.retarget.with_options(Options(motion=options.motion)))
            poses = (plain.pose(i, i + 1) for i in sample_frames(len(driver), driver.reference))
            drawn = ((pose, self._frames(still, [plain], [pose], range(1))) for pose in poses)
            self._corrections[driver] = learn(drawn, reader, act.model.rest.height, act.model.region)
        correction, reference = self._corrections[driver], driver.block(driver.reference, driver.reference + 1)
        return act if correction is None else replace(act, retarget=act.retarget.corrected(correction, reference))

    def _remakes(
        self, video: PreparedVideo, performances: Sequence[Performance], options: Options, timing: Timing
    ) -> list[Remake]:
        faces = [video.face_of(performance.face) for performance in performances]
        options = replace(options, head_motion=0.0)
        acts = cast_acts([face.neutral for face in faces], performances, options, timing, self._drivers)
        return [remake(face, act, options.regions) for face, act in zip(faces, acts, strict=True)]

    @torch.inference_mode()
    def _film(self, video: PreparedVideo, remakes: list[Remake], timing: Timing) -> Iterator[FrameBatch]:
        done = 0
        for batch in video.shown():
            frames = batch.rgb[: timing.frame_count - done].clone()
            draw_frames(frames, done, remakes, self._config)
            seconds = torch.arange(done, done + len(frames), dtype=torch.float64) / float(timing.frame_rate)
            yield FrameBatch(frames, seconds)
            done += len(frames)
            if done >= timing.frame_count:
                return

    def _stream(self, prepared: PreparedStill, acts: list[Act], options: Options, timing: Timing) -> Iterator[FrameBatch]:
        acts = self._closed_loops(prepared, acts, options)
        count = max(1, min(self._config.batch_frames, self._config.batch_pixels // (prepared.width * prepared.height)))
        block = max(1, self._config.pose_frames // count) * count
        for first in range(0, timing.frame_count, block):
            last = min(first + block, timing.frame_count)
            poses = _poses(acts, first, last)
            for start in range(first, last, count):
                stop = min(start + count, last)
                seconds = torch.arange(start, stop, dtype=torch.float64) / float(timing.frame_rate)
                yield FrameBatch(self._frames(prepared, acts, poses, range(start - first, stop - first)), seconds)

    @torch.inference_mode()
    def _frames(self, prepared: PreparedStill, acts: list[Act], poses: list[Pose], shown: range) -> Tensor:
        """The frames of poses that are shown, uint8 (B, H, W, 3)."""
        frames = prepared.picture.expand(len(shown), -1, -1, -1).clone()
        for index, frame in zip(shown, frames, strict=True):
            for act, pose in zip(acts, poses, strict=True):
                render(act.model, pose, index, act.canvas, frame, self._config)
        return frames


@torch.inference_mode()
def _poses(acts: list[Act], start: int, stop: int) -> list[Pose]:
    """Frames start .. stop of each act; a few at once cost little more than one."""
    return [act.pose(start, stop) for act in acts]


def _is_named(found: FoundFace, faces: Sequence[SourceFace]) -> bool:
    """Whether a face's middle lies in one of the boxes, or no boxes were named."""
    x, y = found.landmarks[: topology.FACE_POINTS, :2].mean(0).tolist()
    return not faces or any(f.box[0] <= x <= f.box[2] and f.box[1] <= y <= f.box[3] for f in faces)


def _own(prepared: Prepared) -> PreparedStill:
    """The still as this engine prepared it. Raises TypeError for another engine's."""
    if not isinstance(prepared, PreparedStill):
        raise TypeError("this was prepared by another engine; prepare the still with the mesh engine")
    return prepared


def load(device: str) -> MeshAnimator:
    """The engine with the tracking networks on a torch device."""
    landmarker = FaceLandmarker(device)  # one network looks at the still and reads what is drawn
    return MeshAnimator(TrackingAnalyser(landmarker, device), device, reader=landmarker)
