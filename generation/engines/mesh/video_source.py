"""A face in a video performed anew: every frame keeps its light, its background and the pose of its head.

Each frame is its own texture: only the chosen parts of the face move, from where this frame shows them to where the driver's
expression puts them on the face's own neutral. The video's own head motion and blinks always stay; `Options.head_motion` is not
used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn import functional as F

from generation.engines.base import FaceTrack, OutputShape, Regions, SourceFace, UnusableSource, VideoSource
from generation.engines.mesh import geometry, topology
from generation.engines.mesh.casting import Act
from generation.engines.mesh.composite import FaceModel, calm_map, render
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.framing import Frame, choose_frame
from generation.engines.mesh.layers import Layers, as_levels, close_openings
from generation.engines.mesh.reference import choose_reference
from generation.engines.mesh.retarget import Pose
from generation.engines.mesh.source import choose_region, require_usable_face, with_rings
from generation.engines.mesh.tiles import Cover
from generation.engines.mesh.video_limits import OwnLids, lid_points, narrowed, near_side, own_lids, within_lids
from generation.engines.tracks import bridge, missing_frames, require_usable
from media.frames import FrameBatch

STABLE = [point for point in topology.STABLE if point not in topology.EYE_CORNERS[0] + topology.EYE_CORNERS[1]]

ModelOf = Callable[[Tensor, Tensor, Tensor], FaceModel]


@dataclass(frozen=True, slots=True)
class VideoFace:
    """One face of a video: where it is in every frame, and its neutral moment made ready like a still."""

    box: tuple[float, float, float, float]  # by which performances name it
    landmarks: Tensor  # (T, 478, 3) smoothed, pixels of the output
    presence: Tensor  # (T,) 0 where the face is missing, 1 some frames away from there
    neutral: FaceModel  # of the reference frame
    tone: Tensor  # (3,) mean colour of the face in the reference frame
    lids: OwnLids


@dataclass(slots=True)
class _Held:
    """The last single frame that was asked for."""

    index: int = -1
    rgb: Tensor | None = None


@dataclass(frozen=True, slots=True)
class PreparedVideo:
    """A video with the faces that are to perform."""

    source: VideoSource
    frame: Frame
    faces: tuple[VideoFace, ...]
    held: _Held = field(default_factory=_Held)

    @property
    def width(self) -> int:
        """Even number of columns of every output frame, in pixels."""
        return self.frame.width

    @property
    def height(self) -> int:
        """Even number of rows of every output frame, in pixels."""
        return self.frame.height

    def face_of(self, named: SourceFace) -> VideoFace:
        """The prepared face with the named one's box. Raises UnusableSource."""
        for face in self.faces:
            if face.box == named.box:
                return face
        raise UnusableSource("the chosen face was not prepared; prepare the video with every face that is to perform")

    def length(self, lead: FaceTrack) -> int:
        """Frames of the output: as long as the first performance lasts, and no longer than the video."""
        lasts = Fraction(lead.frame_count) / lead.frame_rate
        return max(1, min(self.source.frame_count, round(lasts * self.source.frame_rate)))

    def shown(self) -> Iterator[FrameBatch]:
        """The source's frames as the output frames them."""
        for batch in self.source.frames():
            native = self.frame.is_native and (batch.height, batch.width) == (self.height, self.width)
            yield batch if native else batch.with_pixels(torch.stack([self.frame.of_pixels(rgb) for rgb in batch.rgb]))

    def single(self, index: int) -> Tensor:
        """Frame `index`, uint8 (H, W, 3). The last one asked for is held: a slider asks for the same again."""
        if self.held.index != index or self.held.rgb is None:
            self.held.index, self.held.rgb = index, self.read(index)
        return self.held.rgb

    def read(self, index: int) -> Tensor:
        """Frame `index` as the output frames it, uint8 (H, W, 3); by a jump where the source offers one."""
        source = self.source
        rgb = source.frame_at(index) if source.frame_at is not None else _frame_at(source.frames(), index)
        return rgb if self.frame.is_native and tuple(rgb.shape[:2]) == (self.height, self.width) else self.frame.of_pixels(rgb)


def prepare_video(
    source: VideoSource, shape: OutputShape, faces: Sequence[SourceFace], model_of: ModelOf, config: MeshConfig
) -> PreparedVideo:
    """Find each face's neutral moment and make it ready. Raises UnusableSource."""
    tracks = [face.track for face in faces if face.track is not None]
    if not tracks or len(tracks) < len(faces):
        raise UnusableSource("the faces of a video are known by their tracks; name the face that is to perform with its track")
    smooth = [_smoothed(track, config) for track in tracks]
    extent = [points[~missing_frames(track)] for points, track in zip(smooth, tracks, strict=True)]
    around = [torch.cat([p.amin(1, keepdim=True), p.amax(1, keepdim=True)], 1).flatten(0, 1) for p in extent]
    frame = choose_frame([_outline_of(points) for points in around], (source.height, source.width), shape, config)
    bare = PreparedVideo(source, frame, ())
    ready = []
    for face, points, track in zip(faces, smooth, tracks, strict=True):
        reference = choose_reference(points, None, config)
        require_usable_face(points[reference], (source.height, source.width), config)
        rgb = bare.read(reference)
        placed = frame.of_points(points)
        model = model_of(rgb, points[reference], placed[reference])
        tone = _face_tone(rgb, placed[reference])
        lids = own_lids(bridge(track).cpu(), reference, config)
        ready.append(VideoFace(face.box, placed, _presence(track, config), model, tone, lids))
    return replace(bare, faces=tuple(ready))


def _outline_of(points: Tensor) -> Tensor:
    """A stand-in (478, 3) for a face that moves: its oval reaches as far as the face ever does. points: (N, 3)."""
    low, high = points.amin(0), points.amax(0)
    stand_in = torch.lerp(low, high, 0.5).repeat(topology.FACE_POINTS + 10, 1)
    stand_in[list(topology.OVAL)[0::2]], stand_in[list(topology.OVAL)[1::2]] = low, high
    return stand_in


def _smoothed(track: FaceTrack, config: MeshConfig) -> Tensor:
    """Landmarks (T, 478, 3) without gaps or jitter; ends held."""
    require_usable(track)
    points = bridge(track).cpu()
    kernel = geometry.savgol_kernel(config.smooth_half_window, config.smooth_order)
    halo = len(kernel) // 2
    frames = torch.arange(-halo, len(points) + halo).clamp(0, len(points) - 1)
    return geometry.smooth(points[frames].double(), kernel).float()


def _presence(track: FaceTrack, config: MeshConfig) -> Tensor:
    """(T,) 0 where the face is missing, rising to 1 over the frames beside, so that nothing jumps."""
    missing = missing_frames(track).cpu().float()[None, None]
    reach = config.fade_frames
    near = F.max_pool1d(missing, 2 * reach + 1, stride=1, padding=reach)
    share = 1 - F.avg_pool1d(F.pad(near, (reach, reach), mode="replicate"), 2 * reach + 1, stride=1)
    return (share * (1 - missing))[0, 0]


def _frame_at(stream: Iterator[FrameBatch], index: int) -> Tensor:
    """Frame `index` of a stream, uint8 (H, W, 3). Raises UnusableSource when the stream ends before."""
    done = 0
    for batch in stream:
        if index < done + len(batch):
            return batch.rgb[index - done].clone()
        done += len(batch)
    raise UnusableSource("the video has fewer frames than its face's track; normalise and track it again")


def _face_tone(rgb: Tensor, points: Tensor) -> Tensor:
    """(3,) mean colour, 0..1, of the inner face in a frame uint8 (H, W, 3). points: (478, 3) in its pixels."""
    low, high = points[list(topology.OVAL), :2].amin(0), points[list(topology.OVAL), :2].amax(0)
    inset = (high - low) * 0.2
    x0, y0 = (low + inset).long().clamp_min(0).tolist()
    x1, y1 = (high - inset).long().tolist()
    part = rgb[y0 : max(y0 + 1, y1), x0 : max(x0 + 1, x1)]
    return part.float().mean((0, 1)).cpu() / 255 if part.numel() else torch.full((3,), 0.5)


def region_weights(face: FaceModel, regions: Regions) -> Tensor:
    """(468,) how far each point of the face follows the driver; the rest stays as the frame shows it."""
    rest = face.rest
    points = (rest.vertices[: topology.FACE_POINTS] - rest.centre) @ rest.axes / rest.height
    lips = points[list(topology.INNER_UPPER + topology.INNER_LOWER + topology.OUTER_CORNERS)]
    eyes = points[list(sum(topology.UPPER_LIDS + topology.LOWER_LIDS, ()) + topology.BROWS)]
    nose, lip = float(points[2, 1]), float(points[0, 1])
    lower = geometry.smoothstep(points[:, 1], nose, 2 * lip - nose)
    near = 1 - geometry.smoothstep(torch.cdist(points[:, :2], lips[:, :2]).amin(1), 0.05, 0.2)
    mouth = torch.maximum(lower, near)
    upper = 1 - geometry.smoothstep(torch.cdist(points[:, :2], eyes[:, :2]).amin(1), 0.03, 0.12)
    skull = torch.cdist(points[:, :2], points[STABLE][:, :2]).amin(1)
    loose = geometry.smoothstep(skull, 0.0, 0.05)  # what no expression moves keeps the frame's own place
    shares = {
        Regions.LIPS: mouth,
        Regions.EYES: upper,
        Regions.POSE: torch.zeros_like(mouth),
    }
    everything = torch.maximum(torch.maximum(mouth, upper), 0.6 * loose)
    return shares.get(regions, everything)


def frame_model(face: VideoFace, rgb: Tensor, index: int, regions: Regions, config: MeshConfig) -> FaceModel:
    """The face with frame `index` as its texture. rgb: uint8 (H, W, 3), the whole frame."""
    points = face.landmarks[index]
    size = (rgb.shape[0], rgb.shape[1])
    region = choose_region(points, size, config)
    local = points - torch.tensor([region.left, region.top, 0.0])
    device = face.neutral.layers.plate.device
    part = rgb[region.top : region.bottom, region.left : region.right].to(device)
    image = part.permute(2, 0, 1).float() / 255
    vertices = with_rings(local, config).to(device)
    rest = replace(face.neutral.rest, texture=vertices[:, :2])
    eyes, lips = regions is not Regions.LIPS, regions is not Regions.EYES
    skin = close_openings(image, replace(rest, vertices=vertices), eyes=eyes, lips=lips)
    gain = (_face_tone(rgb, points) / face.tone.clamp_min(0.02)).clamp(0.5, 2.0).to(device)
    calm = calm_map(region, size, rest, config).to(device)
    return replace(
        face.neutral,
        region=region,
        rest=rest,
        layers=_lit(face.neutral.layers, as_levels(torch.cat([skin, torch.ones_like(skin[:1])])), as_levels(image), gain),
        cover=Cover(calm > -1, calm > -1, calm),  # nothing is cut out
        share=None,
        draws_eyes=eyes,
        draws_mouth=lips,
    )


def _lit(layers: Layers, skin: Tensor, plate: Tensor, gain: Tensor) -> Layers:
    """The layers of a frame: its own skin, the neutral moment's eyes and mouth in the light of the frame."""
    right, left = (replace(eye, ball=(eye.ball * gain[:, None, None]).clamp(0, 1)) for eye in layers.eyes)
    mouth = layers.mouth
    mouth = replace(
        mouth,
        image=(mouth.image * gain[:, None, None]).clamp(0, 1),
        tone=mouth.tone * gain,
        flesh=mouth.flesh * gain,
        enamel=(mouth.enamel * gain).clamp(max=0.95),
    )
    return replace(layers, skin=skin, plate=plate, eyes=(right, left), mouth=mouth)


@dataclass(frozen=True, slots=True)
class Remake:
    """How one face of a video is performed anew."""

    face: VideoFace
    act: Act
    regions: Regions
    weights: Tensor  # (468,) how far each point follows the driver


def remake(face: VideoFace, act: Act, regions: Regions) -> Remake:
    """Ready to draw. The act moves the face's neutral moment."""
    return Remake(face, act, regions, region_weights(face.neutral, regions))


def draw_frames(frames: Tensor, start: int, remakes: Sequence[Remake], config: MeshConfig) -> None:
    """Perform the faces anew in consecutive frames uint8 (B, H, W, 3), in place. start: index of the first."""
    poses = [made.act.pose(start, start + len(frames)) for made in remakes]
    for step, rgb in enumerate(frames):
        shown = rgb.to(remakes[0].weights.device) if remakes else rgb
        for made, pose in zip(remakes, poses, strict=True):
            index = min(start + step, len(made.face.presence) - 1)
            if made.regions is Regions.POSE or float(made.face.presence[index]) == 0.0:
                continue
            model = frame_model(made.face, shown, index, made.regions, config)
            canvas = torch.empty(3, *model.region.size, device=shown.device)
            render(model, place(made, model, pose, step, index, config), 0, canvas, shown, config)
        if shown is not rgb:
            rgb.copy_(shown)


def place(made: Remake, model: FaceModel, pose: Pose, step: int, index: int, config: MeshConfig) -> Pose:
    """Frame `step` of a pose of the neutral moment, brought to frame `index` of the video, in pixels of the model's region."""
    rest, device = made.face.neutral.rest, made.weights.device
    local = made.face.landmarks[index] - torch.tensor([model.region.left, model.region.top, 0.0])
    start = with_rings(local, config).to(device)
    own = start[: topology.FACE_POINTS]
    still, stable = (points[list(topology.STABLE)].double().cpu() for points in (rest.vertices, own))
    rotation, scale = geometry.umeyama(still - still.mean(0), (stable - stable.mean(0))[None])
    turn = (rotation[0] * scale[0]).float().to(device)
    shift = stable.mean(0).float().to(device) - rest.centre
    lids = made.face.lids
    awake = float(lids.awake[index])
    driven = pose.lids[step].cpu()
    asked = within_lids(driven, lids.widest, config)
    face = narrowed(pose.vertices[step, : topology.FACE_POINTS], (asked / driven.clamp_min(1e-3)).to(device), config)
    wanted = (face - rest.centre) @ turn.T + rest.centre + shift
    weights = made.weights * (float(made.face.presence[index]) * near_side(own))
    weights[lid_points()] *= awake
    moved = (wanted - own) * weights[:, None]
    rings = moved[list(topology.OVAL)].repeat(len(rest.ring_follow) // len(topology.OVAL), 1)
    vertices = start + torch.cat([moved, rings * rest.ring_follow[:, None]])
    one = slice(step, step + 1)
    shown = torch.lerp(lids.ratios[index], asked, awake)[None].to(device)
    return Pose(vertices[None], turn[None], shift[None], pose.jaw[one], shown, pose.gaze[one])
