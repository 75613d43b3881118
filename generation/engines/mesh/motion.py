"""What a driver does, freed from who the driver is: head pose, expression, lids and gaze against a neutral reference frame."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from generation.engines.base import FaceTrack, MotionMode, Options
from generation.engines.mesh import geometry, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.measures import face_size, gaze_offsets, lips
from generation.engines.mesh.reference import choose_reference
from generation.engines.mesh.smoothing import Smoother
from generation.engines.tracks import BridgedTrack, bridge, certainty, require_usable

__all__ = ["Driver", "Motion", "Neutral", "face_size"]


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
    lids: Tensor  # (2,) gaps of the lids, in face heights
    gaze: Tensor  # (2,)
    lip_gaps: Tensor  # (9,) of the inner lip columns, in face heights
    mouth_width: float  # in face widths
    corner_drop: float  # of the mouth corners under the lip line, in face heights


class Driver:
    """Turns one track into motion, a block of frames at a time."""

    def __init__(self, track: FaceTrack, options: Options, config: MeshConfig) -> None:
        require_usable(track)
        self._options, self._config = options, config
        self._track = track
        self._certainty = certainty(track)  # (T,)
        self._smoother = Smoother(BridgedTrack(track), options.smoothing, config)
        self._rest_at(options.reference)

    def __len__(self) -> int:
        return self._track.frame_count

    def facing(self, still: Tensor) -> Driver:
        """This driver for a face with the landmarks `still` (478, 3): at rest in the frame that looks most like it.

        An absolute performance starts from a neutral face instead, and a reference that was asked for stays.
        """
        if self._options.reference is not None or self._options.motion is MotionMode.ABSOLUTE:
            return self
        driver = copy(self)
        driver._rest_at(self._most_at_rest(still))
        return driver

    def _rest_at(self, frame: int | None) -> None:
        """Measure all motion from a frame, or from the most neutral one."""
        chosen = self._most_at_rest(None) if frame is None else frame
        self.reference = min(max(chosen, 0), len(self) - 1)
        self.neutral = self._read_neutral(self.reference)

    def _most_at_rest(self, still: Tensor | None) -> int:
        """The frame that looks most like a still (478, 3), or the most neutral one. Bridged as a whole for this moment only."""
        return choose_reference(bridge(self._track).cpu(), still, self._config)

    def _read_neutral(self, frame: int) -> Neutral:
        points = self._smoother(frame, frame + 1)
        axes = geometry.head_axes(points)
        centre = points[0, list(topology.STABLE)].mean(0)
        width, height = face_size(points[0])
        mouth = lips(points, axes)
        return Neutral(
            points=points[0] - centre,
            axes=axes[0],
            centre=centre,
            width=width,
            height=height,
            lids=(self._smoother.lid_gaps(frame, frame + 1)[0] / height).clamp_min(1e-3),
            gaze=gaze_offsets(points)[0],
            lip_gaps=mouth.gaps[0],
            mouth_width=float(mouth.width),
            corner_drop=float(mouth.drop),
        )

    def block(self, start: int, stop: int) -> Motion:
        """Motion of frames start .. stop."""
        neutral = self.neutral
        points = self._smoother(start, stop)  # (B, 478, 3)
        stable = points[:, list(topology.STABLE)]
        centre = stable.mean(1)
        rotation, scale = geometry.umeyama(neutral.points[list(topology.STABLE)], stable - centre[:, None])
        faces = (points - centre[:, None])[:, : topology.FACE_POINTS]
        upright = faces @ rotation / scale[:, None, None]
        residual = self._trust_picture((upright - neutral.points[: topology.FACE_POINTS]) @ neutral.axes, rotation @ neutral.axes)
        size = torch.tensor([neutral.width, neutral.height, neutral.width], dtype=torch.float64)
        lids = self._smoother.lid_gaps(start, stop) / (scale[:, None] * neutral.height * neutral.lids)
        certainty = self._certainty[start:stop]
        return Motion(
            angles=geometry.to_angles(rotation).float(),
            zoom=scale.log().float(),
            shift=((centre - neutral.centre)[:, :2] / neutral.height).float(),
            expression=(residual / size).float() * certainty[:, None, None],
            lids=torch.lerp(torch.ones(1), lids.float(), certainty[:, None]),
            gaze=(gaze_offsets(points) - neutral.gaze).float() * certainty[:, None],
        )

    def _trust_picture(self, residual: Tensor, axes: Tensor) -> Tensor:
        """Residuals (B, 468, 3) in head axes with less of the uncertain depth, changed so that all still project where seen.

        axes: (B, 3, 3) of the heads in the picture.
        """
        doubt = (1 - self._config.residual_depth) * residual[..., 2:]  # (B, 468, 1)
        plane = torch.linalg.solve(axes[:, :2, :2], axes[:, :2, 2:])  # (B, 2, 1): head-plane motion that looks like depth
        return residual + torch.cat([doubt @ plane.mT, -doubt], -1)
