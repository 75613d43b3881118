"""What a driver does, freed from who the driver is: head pose, expression, lids and gaze against a neutral reference frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from generation.engines.base import FaceTrack, Options
from generation.engines.mesh import geometry, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.tracks import bridge, require_usable


@dataclass(frozen=True, slots=True)
class Motion:
    """B frames of motion relative to the reference frame."""

    angles: Tensor  # (B, 3) radians yaw, pitch, roll in the picture's axes
    zoom: Tensor  # (B,) natural log of the scale
    shift: Tensor  # (B, 2) of the face's centre, in face heights
    expression: Tensor  # (B, 468, 3) in head axes, in face widths, heights and widths
    lids: Tensor  # (B, 2) aperture over the reference's, subject's right eye first
    gaze: Tensor  # (B, 2) shift of the irises, in eye widths


@dataclass(frozen=True, slots=True)
class Neutral:
    """The driver's face in the reference frame."""

    points: Tensor  # (478, 3) around the centre of the stable points
    axes: Tensor  # (3, 3)
    centre: Tensor  # (3,)
    width: float
    height: float
    lids: Tensor  # (2,) apertures in eye widths
    gaze: Tensor  # (2,)
    lip_gaps: Tensor  # (9,) of the inner lip columns, in face heights
    mouth_width: float  # in face widths
    corner_drop: float  # of the mouth corners under the lip line, in face heights


def face_size(points: Tensor) -> tuple[float, float]:
    """Width (cheek to cheek) and height (forehead to chin) of a face (468+, 3), in its own unit."""
    width = (points[topology.CHEEK_LEFT] - points[topology.CHEEK_RIGHT]).norm()
    return float(width), float((points[topology.CHIN] - points[topology.FOREHEAD]).norm())


def lid_apertures(points: Tensor) -> Tensor:
    """(T, 478, 3) -> (T, 2): gap of the middle lid columns over eye width."""
    apertures = []
    for eye in range(2):
        upper, lower = (list(lids[eye][1:6]) for lids in (topology.UPPER_LIDS, topology.LOWER_LIDS))
        gap = (points[:, upper] - points[:, lower])[..., :2].norm(dim=-1).mean(-1)
        outer, inner = topology.EYE_CORNERS[eye]
        apertures.append(gap / (points[:, outer] - points[:, inner]).norm(dim=-1))
    return torch.stack(apertures, 1)


def gaze_offsets(points: Tensor) -> Tensor:
    """(T, 478, 3) -> (T, 2): where the irises sit between the eye corners, both eyes averaged, in eye widths."""
    offsets = []
    for eye in range(2):
        corners = points[:, list(topology.EYE_CORNERS[eye]), :2]
        axis = corners[:, 1] - corners[:, 0] if eye == 0 else corners[:, 0] - corners[:, 1]  # towards the picture's right
        width = axis.norm(dim=-1, keepdim=True)
        axis = axis / width
        offset = (points[:, topology.IRISES[eye], :2] - corners.mean(1)) / width
        normal = torch.stack([-axis[:, 1], axis[:, 0]], 1)
        offsets.append(torch.stack([(offset * axis).sum(-1), (offset * normal).sum(-1)], 1))
    return torch.stack(offsets).mean(0)


def lip_gaps(points: Tensor, axes: Tensor) -> Tensor:
    """(478, 3) -> (9,): inner lip gaps along the head's down axis, in the points' unit."""
    return (points[list(topology.INNER_LOWER)] - points[list(topology.INNER_UPPER)]) @ axes[:, 1]


def choose_reference(points: Tensor, track: FaceTrack, config: MeshConfig) -> int:
    """The most neutral early frame: lips together, eyes open and ahead, head at rest. points: (T, 478, 3)."""
    count = max(1, min(len(points), round(config.reference_search_s * float(track.frame_rate))))
    early = points[:count]
    height = (early[:, topology.CHIN] - early[:, topology.FOREHEAD]).norm(dim=-1)
    gap = (early[:, 14] - early[:, 13]).norm(dim=-1) / height
    lids = lid_apertures(early).mean(1)
    closed = (lids.quantile(0.7) - lids).abs() / lids.quantile(0.7).clamp_min(1e-6)
    pose = torch.stack([geometry.to_angles(geometry.head_axes(p)) for p in early])  # (count, 3)
    turned = (pose - pose.median(0).values).abs().sum(1) + 0.3 * pose[:, 0].abs()
    centre = early[:, list(topology.STABLE), :2].mean(1)
    away = (centre - centre.median(0).values).norm(dim=-1) / height
    speed = F.pad((centre[1:] - centre[:-1]).norm(dim=-1), (1, 0)) / height
    gaze = gaze_offsets(early)
    aside = (gaze - gaze.median(0).values).norm(dim=-1)
    return int((4 * gap + aside + closed + turned + 0.3 * away + 2 * speed).argmin())


class Driver:
    """Turns one track into motion, a block of frames at a time."""

    def __init__(self, track: FaceTrack, options: Options, config: MeshConfig) -> None:
        require_usable(track)
        self._config = config
        self._points = bridge(track).cpu()  # (T, 478, 3)
        self._kernel = geometry.savgol_kernel(round(config.smooth_half_window * options.smoothing), config.smooth_order)
        chosen = options.reference
        reference = choose_reference(self._points, track, config) if chosen is None else chosen
        self.neutral = self._read_neutral(min(max(reference, 0), len(self._points) - 1))

    def __len__(self) -> int:
        return len(self._points)

    def _window(self, start: int, stop: int, halo: int) -> Tensor:
        """Frames start - halo .. stop + halo, ends held: (B + 2 halo, 478, 3)."""
        frames = torch.arange(start - halo, stop + halo).clamp(0, len(self._points) - 1)
        return self._points[frames].double()

    def _smooth(self, start: int, stop: int) -> Tensor:
        """Smoothed landmarks of frames start .. stop: (B, 478, 3)."""
        return geometry.smooth(self._window(start, stop, len(self._kernel) // 2), self._kernel)

    def _read_neutral(self, frame: int) -> Neutral:
        points = self._smooth(frame, frame + 1)[0]
        centre = points[list(topology.STABLE)].mean(0)
        width, height = face_size(points)
        axes = geometry.head_axes(points)
        corners = points[list(topology.OUTER_CORNERS)]
        mouth = (corners[1] - corners[0]).norm()
        return Neutral(
            points=points - centre,
            axes=axes,
            centre=centre,
            width=width,
            height=height,
            lids=lid_apertures(self._window(frame, frame + 1, 0))[0].clamp_min(1e-3),
            gaze=gaze_offsets(points[None])[0],
            lip_gaps=lip_gaps(points, axes) / height,
            mouth_width=float(mouth) / width,
            corner_drop=float((corners.mean(0) - points[[13, 14]].mean(0)) @ axes[:, 1]) / height,
        )

    def block(self, start: int, stop: int) -> Motion:
        """Motion of frames start .. stop."""
        neutral = self.neutral
        points = self._smooth(start, stop)  # (B, 478, 3)
        stable = points[:, list(topology.STABLE)]
        centre = stable.mean(1)
        rotation, scale = geometry.umeyama(neutral.points[list(topology.STABLE)], stable - centre[:, None])
        faces = (points - centre[:, None])[:, : topology.FACE_POINTS]
        upright = torch.einsum("bji,bnj->bni", rotation, faces) / scale[:, None, None]
        size = torch.tensor([neutral.width, neutral.height, neutral.width], dtype=torch.float64)
        expression = (upright - neutral.points[: topology.FACE_POINTS]) @ neutral.axes / size
        return Motion(
            angles=geometry.to_angles(rotation).float(),
            zoom=scale.log().float(),
            shift=((centre - neutral.centre)[:, :2] / neutral.height).float(),
            expression=expression.float(),
            lids=(lid_apertures(self._window(start, stop, 0)) / neutral.lids).float(),
            gaze=(gaze_offsets(points) - neutral.gaze).float(),
        )
