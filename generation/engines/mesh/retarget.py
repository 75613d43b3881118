"""A driver's motion put on the still's face: where every vertex, lid, lip and iris goes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from generation.engines.base import Options
from generation.engines.mesh import geometry, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.motion import Motion, Neutral
from generation.engines.mesh.source import RestFace


@dataclass(frozen=True, slots=True)
class Pose:
    """B frames of the still's face in region pixels. Head motion maps p to rotation (p - centre) + centre + shift."""

    vertices: Tensor  # (B, V, 3)
    rotation: Tensor  # (B, 3, 3), scale included
    shift: Tensor  # (B, 3)
    jaw: Tensor  # (B,) drop of the lower lip against rest, region pixels along the head's down axis
    lids: Tensor  # (B, 2) aperture over the still's
    gaze: Tensor  # (B, 2) shift of the irises, region pixels across and down


class Retarget:
    """Maps the motion of one driver onto one face."""

    def __init__(self, rest: RestFace, neutral: Neutral, options: Options, config: MeshConfig) -> None:
        self._rest, self._options, self._config = rest, options, config
        self._size = torch.tensor([rest.width, rest.height, rest.width])
        self._gain, self._cap = _region_gains(rest, config)
        self._start = self._relaxed_start(neutral)  # (468, 3) head axes

    def _to_head(self, points: Tensor) -> Tensor:
        return (points - self._rest.centre) @ self._rest.axes

    def _relaxed_start(self, neutral: Neutral) -> Tensor:
        """The still's face in head axes, its lips brought together as far as the driver's are at rest."""
        face = self._to_head(self._rest.vertices[: topology.FACE_POINTS])
        gaps = face[list(topology.INNER_LOWER), 1] - face[list(topology.INNER_UPPER), 1]
        surplus = (gaps - neutral.lip_gaps.float() * self._rest.height).clamp_min(0)  # (9,)
        upper, lower = _lip_fields(face)
        face = face.clone()
        face[:, 1] += upper @ (0.35 * surplus) - lower @ (0.65 * surplus)
        return self._relax_corners(face, neutral, upper + lower, float(surplus.mean()) / self._rest.height)

    def _relax_corners(self, face: Tensor, neutral: Neutral, influence: Tensor, surplus: float) -> Tensor:
        """Let a smile that closes also lose its extra width and the lift of its corners. face: (468, 3) head axes."""
        amount = self._config.relax_corners * min(1.0, surplus / self._config.relax_gap)
        corners = face[list(topology.OUTER_CORNERS)]
        half = float(corners[1, 0] - corners[0, 0]) / 2
        narrower = max(0.0, 1 - neutral.mouth_width * self._rest.width / (2 * half))
        lips = face[[topology.INNER_UPPER[4], topology.INNER_LOWER[4]], 1].mean()
        lift = (neutral.corner_drop * self._rest.height - (corners[:, 1].mean() - lips)).clamp_min(0)
        across = face[:, 0] - corners[:, 0].mean()
        share = amount * influence.sum(1).clamp(max=1)  # (468,)
        face[:, 0] -= share * narrower * across
        face[:, 1] += share * lift * (across / half).square().clamp(max=1)
        return face

    def __call__(self, motion: Motion) -> Pose:
        """Place every vertex for B frames."""
        rest, config = self._rest, self._config
        residual = motion.expression * self._size * self._options.strength * self._gain  # (B, 468, 3)
        residual[..., 2] *= config.residual_depth
        residual = _cap(residual, self._cap)
        face = self._start + residual
        face = self._mouth_limits(face)
        lids = self._lid_ratios(motion.lids)
        face = face + self._lid_motion(lids)
        offset = face - self._to_head(rest.vertices[: topology.FACE_POINTS])  # (B, 468, 3) head axes
        rings = offset[:, list(topology.OVAL)].repeat(1, len(rest.ring_follow) // len(topology.OVAL), 1)
        offset = torch.cat([offset, rings * rest.ring_follow[:, None]], 1)  # (B, V, 3)
        rotation, shift = self._head_motion(motion)
        expressed = rest.vertices + offset @ rest.axes.T
        moved = torch.einsum("bij,bvj->bvi", rotation, expressed - rest.centre) + rest.centre + shift[:, None]
        weight = rest.head_weight[:, None]
        vertices = torch.lerp(expressed, moved, weight) + rest.follow_weight[:, None] * shift[:, None]
        middle = topology.INNER_LOWER[4]
        return Pose(
            vertices=vertices,
            rotation=rotation,
            shift=shift,
            jaw=offset[:, middle, 1],
            lids=lids,
            gaze=self._gaze(motion.gaze, lids),
        )

    def _head_motion(self, motion: Motion) -> tuple[Tensor, Tensor]:
        """Rotation with scale (B, 3, 3) and shift (B, 3), softly limited."""
        config, strength = self._config, self._options.head_motion
        limit = math.radians(config.pose_limit_deg)
        angles = motion.angles * strength
        own = geometry.to_angles(self._rest.axes)[0]
        away = own * torch.sign(angles[:, 0])  # positive where the motion turns the face further from the camera
        turned = math.radians(config.total_yaw_limit_deg) - away
        hidden = limit - config.reveal_share * (-away - math.radians(config.reveal_from_deg)).clamp_min(0)
        room = torch.minimum(turned, hidden).clamp(min=math.radians(6), max=limit)
        limits = torch.stack([room, torch.full_like(room, limit), torch.full_like(room, limit)], 1)  # (B, 3)
        angles = geometry.soft_limit(angles, limits, config.pose_knee)
        zoom = geometry.soft_limit(motion.zoom * strength, config.zoom_limit, config.pose_knee)
        shift = motion.shift * strength
        length = shift.norm(dim=1, keepdim=True).clamp_min(1e-6)
        shift = shift / length * geometry.soft_limit(length, config.shift_limit, config.pose_knee) * self._rest.height
        rotation = geometry.from_angles(angles) * zoom.exp()[:, None, None]
        return rotation, torch.cat([shift, torch.zeros_like(shift[:, :1])], 1)

    def _lid_ratios(self, ratios: Tensor) -> Tensor:
        """Aperture ratios remapped so that a full blink closes, and coupled. (B, 2) -> (B, 2)."""
        config = self._config
        mean = ratios.mean(1, keepdim=True)
        difference = ratios - mean
        free = geometry.smoothstep((2 * difference).abs(), config.wink_difference, 1.7 * config.wink_difference)
        ratios = mean + difference * torch.lerp(torch.tensor(1 - config.lid_coupling), torch.ones(()), free)
        slope = config.lid_knee / (config.lid_knee - config.lid_closed)
        closing = ((ratios - config.lid_closed) * slope).clamp_min(0)
        widest = 1 + geometry.soft_limit((ratios - 1).clamp_min(0), config.lid_widest - 1, config.pose_knee)
        mapped = torch.where(ratios < config.lid_knee, closing, torch.minimum(ratios, widest))
        gain = min(1.0, self._options.strength * 2)  # blinks stay whole until expression is nearly off
        return 1 + gain * (mapped - 1)

    def _lid_motion(self, lids: Tensor) -> Tensor:
        """Offsets (B, 468, 3) in head axes that bring the lid margins to their apertures; the skin around follows."""
        start, share = self._start, self._config.upper_lid_share
        offset = torch.zeros(len(lids), topology.FACE_POINTS, 3)
        for eye in range(2):
            upper, lower = list(topology.UPPER_LIDS[eye]), list(topology.LOWER_LIDS[eye])
            gap = start[lower] - start[upper]  # (7, 3)
            closing = (1 - lids[:, eye])[:, None, None] * gap
            offset[:, upper] = share * closing
            offset[:, lower] = (share - 1) * closing
            offset[:, list(topology.UPPER_FOLDS[eye])] = 0.45 * share * closing
            offset[:, list(topology.LOWER_FOLDS[eye])] = 0.5 * (share - 1) * closing
        return offset

    def _gaze(self, gaze: Tensor, lids: Tensor) -> Tensor:
        """Iris shift in region pixels, clamped and faded while the eyes close. (B, 2)."""
        config = self._config
        limit = torch.tensor([config.gaze_limit, config.gaze_limit_vertical])
        limited = geometry.soft_limit(gaze * self._options.gaze, limit, config.pose_knee)
        corners = self._rest.vertices[list(topology.EYE_CORNERS[0] + topology.EYE_CORNERS[1])]
        width = ((corners[0] - corners[1]).norm() + (corners[2] - corners[3]).norm()) / 2
        awake = geometry.smoothstep(lids.mean(1, keepdim=True), 0.15, 0.6)
        shift: Tensor = limited * width * awake
        return shift

    def _mouth_limits(self, face: Tensor) -> Tensor:
        """Keep lip columns from crossing and lips from growing or vanishing. face: (B, 468, 3) head axes."""
        face = face.clone()
        y = face[..., 1]
        inner_up, inner_low = list(topology.INNER_UPPER), list(topology.INNER_LOWER)
        outer_up, outer_low = list(topology.OUTER_UPPER), list(topology.OUTER_LOWER)
        rest = self._to_head(self._rest.vertices[: topology.FACE_POINTS])[:, 1]
        gap = y[:, inner_low] - y[:, inner_up]  # (B, 9)
        crossing = (-gap).clamp_min(0) / 2
        y[:, inner_up] -= crossing
        y[:, inner_low] += crossing
        least, most = self._config.lip_thickness
        thick_up = (rest[inner_up] - rest[outer_up]).clamp_min(1e-3)
        thick_low = (rest[outer_low] - rest[inner_low]).clamp_min(1e-3)
        y[:, outer_up] = y[:, inner_up] - ((y[:, inner_up] - y[:, outer_up]) / thick_up).clamp(least, most) * thick_up
        y[:, outer_low] = y[:, inner_low] + ((y[:, outer_low] - y[:, inner_low]) / thick_low).clamp(least, most) * thick_low
        return face


def _cap(residual: Tensor, cap: Tensor) -> Tensor:
    """Bend residuals (B, 468, 3) so that none is longer than its cap (468,)."""
    length = residual.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    bend: Tensor = (1 + (length / cap[:, None]) ** 4) ** -0.25
    return residual * bend


def _region_gains(rest: RestFace, config: MeshConfig) -> tuple[Tensor, Tensor]:
    """Gain (468, 1) and cap (468,) of the expression at each point. Eyes are moved by apertures, not by residuals."""
    gain = torch.ones(topology.FACE_POINTS, 1)
    cap = torch.full((topology.FACE_POINTS,), config.cheek_cap * rest.height)
    face = (rest.vertices[: topology.FACE_POINTS] - rest.centre) @ rest.axes
    mouth = list(topology.INNER_UPPER + topology.INNER_LOWER + topology.MOUTH_CORNERS + topology.OUTER_CORNERS)
    near_mouth = torch.cdist(face[:, :2], face[mouth, :2]).min(1).values / rest.height
    lower = (face[:, 1] > face[topology.MOUTH_CORNERS[0], 1]) | (near_mouth < 0.12)
    cap[lower] = config.mouth_cap * rest.height
    cap[list(topology.BROWS)] = config.brow_cap * rest.height
    upper_oval = [p for p in topology.OVAL if float(face[p, 1]) < float(face[list(topology.BROWS), 1].mean())]
    gain[upper_oval] = 0.2
    for eye in range(2):
        gain[list(topology.UPPER_FOLDS[eye] + topology.LOWER_FOLDS[eye] + topology.EYE_OUTSIDES[eye])] = 0.5
        gain[list(topology.UPPER_LIDS[eye] + topology.LOWER_LIDS[eye] + topology.EYE_CORNERS[eye])] = 0.0
    return gain, cap


def _lip_fields(face: Tensor) -> tuple[Tensor, Tensor]:
    """How much of each inner column's motion every point takes: (468, 9) above and (468, 9) below the lip line."""
    fields = []
    height = (face[topology.CHIN] - face[topology.FOREHEAD]).norm()
    line = face[list(topology.INNER_UPPER + topology.INNER_LOWER), 1].mean()
    for inner, outer, sign in (
        (topology.INNER_UPPER, topology.OUTER_UPPER, -1.0),
        (topology.INNER_LOWER, topology.OUTER_LOWER, 1.0),
    ):
        distance = torch.cdist(face[:, :2], face[list(inner), :2])  # (468, 9)
        nearest = distance.min(1).values
        share = torch.softmax(-((distance / (0.035 * height)) ** 2), dim=1)
        fade = 1 - geometry.smoothstep(nearest / height, 0.06, 0.24)
        side = (sign * (face[:, 1] - line) > 0).float()
        side[list(inner + outer)] = 1.0
        fields.append(share * (fade * side)[:, None])
    upper, lower = fields
    upper[list(topology.INNER_LOWER + topology.OUTER_LOWER)] = 0
    lower[list(topology.INNER_UPPER + topology.OUTER_UPPER)] = 0
    return upper, lower
