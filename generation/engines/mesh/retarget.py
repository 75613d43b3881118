"""A driver's motion put on the still's face: where every vertex, lid, lip and iris goes."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from generation.engines.base import MotionMode, Options
from generation.engines.mesh import geometry, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.measures import gaze_offsets
from generation.engines.mesh.motion import Motion, Neutral
from generation.engines.mesh.regions import TAKEN, corner_fields, expression_cap, expression_gain, jaw_field, lip_fields
from generation.engines.mesh.source import RestFace
from generation.engines.mesh.unfold import Unfold


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
        self._rest, self._neutral, self._options, self._config = rest, neutral, options, config
        self._absolute = options.motion is MotionMode.ABSOLUTE
        self._taken = TAKEN[options.regions]
        self._face = (rest.vertices[: topology.FACE_POINTS] - rest.centre) @ rest.axes  # (468, 3) head axes
        self._size = torch.tensor([rest.width, rest.height, rest.width])
        self._gain = expression_gain(self._face, self._taken) * options.strength
        self._cap = expression_cap(self._face, rest.height, config)
        self._upper, self._lower = lip_fields(self._face)
        self._jaw = jaw_field(self._face, self._lower)
        self._unfold = Unfold(self._face, rest.height)
        self._start = self._relaxed_start()  # (468, 3) head axes
        self._under_nose = torch.cos(torch.linspace(-1, 1, 9) * 0.5 * torch.pi)  # (9,) columns; a smile's corners are beside it
        self._corners = corner_fields(self._face, rest.height)
        self._own_gaze = _own_gaze(rest)
        self._correction: Callable[[Tensor], Tensor] | None = None
        self._reference = rest.vertices  # (V, 3) in the driver's reference frame; of use to corrections only

    def with_options(self, options: Options) -> Retarget:
        """The same driver and face, performing with other options."""
        return Retarget(self._rest, self._neutral, options, self._config)

    def corrected(self, correction: Callable[[Tensor], Tensor], reference: Motion) -> Retarget:
        """The same, its head turned and moved by what `correction` says of the points' ways since the reference frame.

        correction: as `reading.Correction`, (B, 468, 3) in face heights -> (B, 6).
        """
        retarget = copy(self)
        retarget._reference, retarget._correction = self(reference).vertices[0], correction
        return retarget

    def _relaxed_start(self) -> Tensor:
        """The still's face in head axes, its lips as far apart as the driver's are at rest: lips that touch must touch."""
        face, height = self._face.clone(), self._rest.height
        gaps = face[list(topology.INNER_LOWER), 1] - face[list(topology.INNER_UPPER), 1]
        surplus = gaps - self._neutral.lip_gaps.float() * height  # (9,)
        face[:, 1] += self._upper @ (0.35 * surplus) - self._lower @ (0.65 * surplus)
        smile = 1.0 if self._absolute else min(1.0, float(surplus.mean().clamp_min(0)) / height / self._config.relax_gap)
        face = self._relax_corners(face, self._config.relax_corners * smile)
        amount = min(1.0, self._options.strength) * self._taken.lips
        return torch.lerp(self._face, face, amount)

    def _relax_corners(self, face: Tensor, amount: float) -> Tensor:
        """Let a smile that closes also lose its extra width and the lift of its corners. face: (468, 3) head axes."""
        neutral, rest = self._neutral, self._rest
        corners = face[list(topology.OUTER_CORNERS)]
        half = float(corners[1, 0] - corners[0, 0]) / 2
        narrower = max(0.0, 1 - neutral.mouth_width * rest.width / (2 * half))
        lips = face[[topology.INNER_UPPER[4], topology.INNER_LOWER[4]], 1].mean()
        lift = (neutral.corner_drop * rest.height - (corners[:, 1].mean() - lips)).clamp_min(0)
        across = face[:, 0] - corners[:, 0].mean()
        share = amount * (self._upper + self._lower).sum(1).clamp(max=1)  # (468,)
        face[:, 0] -= share * narrower * across
        face[:, 1] += share * lift * (across / half).square().clamp(max=1)
        return face

    def __call__(self, motion: Motion) -> Pose:
        """Place every vertex for B frames."""
        rest = self._rest
        expression = _cap(motion.expression * self._size * self._gain, self._cap)  # (B, 468, 3)
        smile = self._smile(expression)
        face = self._start + expression + self._smile_lift(expression, smile)
        face = self._unfold(self._mouth_limits(self._lip_lift(self._offset_lips(face))))
        lids = self._lid_ratios(motion.lids)
        offset = face + self._lid_motion(lids, smile) - self._face  # head axes
        rings = offset[:, list(topology.OVAL)].repeat(1, len(rest.ring_follow) // len(topology.OVAL), 1)
        offset = torch.cat([offset, rings * rest.ring_follow[:, None]], 1)  # (B, V, 3)
        rotation, shift = self._head_motion(motion)
        expressed = rest.vertices + offset @ rest.axes.T
        rotation, shift = self._correct(expressed, rotation, shift)
        return Pose(
            vertices=self._placed(expressed, rotation, shift),
            rotation=rotation,
            shift=shift,
            jaw=offset[:, topology.INNER_LOWER[4], 1],
            lids=lids,
            gaze=self._gaze(motion.gaze, lids),
        )

    def _placed(self, expressed: Tensor, rotation: Tensor, shift: Tensor) -> Tensor:
        """Vertices (B, V, 3) of an expression, with the head's motion and the body's."""
        rest = self._rest
        moved = (expressed - rest.centre) @ rotation.mT + (rest.centre + shift)[:, None]
        body = rest.follow_weight[:, None] * self._body_shift(rotation, shift)[:, None]
        return torch.lerp(expressed, moved, rest.head_weight[:, None]) + body

    def _correct(self, expressed: Tensor, rotation: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Rotation and shift as they have to be to be read as they were asked, if there is a correction."""
        if self._correction is None:
            return rotation, shift
        ways = (self._placed(expressed, rotation, shift) - self._reference)[:, : topology.FACE_POINTS]
        amount = self._correction(ways / self._rest.height) * min(1.0, self._options.head_motion)  # (B, 6)
        turn = geometry.from_angles(amount[:, :3]) * amount[:, 3].exp()[:, None, None]
        return turn @ rotation, shift + torch.nn.functional.pad(amount[:, 4:] * self._rest.height, (0, 1))

    def _head_motion(self, motion: Motion) -> tuple[Tensor, Tensor]:
        """Rotation with scale (B, 3, 3) and shift (B, 3), softly limited."""
        config, strength = self._config, self._options.head_motion * self._taken.pose
        turn = geometry.from_angles(motion.angles)
        if self._absolute:
            turn = turn @ self._neutral.axes.float() @ self._rest.axes.T  # on from the still's pose to the driver's at rest
        angles = geometry.to_angles(turn) * strength
        angles = geometry.soft_limit(angles, self._angle_limits(angles), config.pose_knee)
        zoom = geometry.soft_limit(motion.zoom * strength, config.zoom_limit, config.pose_knee)
        shift = motion.shift * strength
        length = shift.norm(dim=1, keepdim=True).clamp_min(1e-6)
        shift = shift / length * geometry.soft_limit(length, config.shift_limit, config.shift_knee) * self._rest.height
        rotation = geometry.from_angles(angles) * zoom.exp()[:, None, None]
        return rotation, torch.cat([shift, torch.zeros_like(shift[:, :1])], 1)

    def _angle_limits(self, angles: Tensor) -> Tensor:
        """Limits (B, 3) in radians: less yaw towards what the still hides and away from the camera. angles: (B, 3)."""
        config = self._config
        limit = math.radians(config.pose_limit_deg)
        away = geometry.to_angles(self._rest.axes)[0] * torch.sign(angles[:, 0])  # positive where the face turns further away
        turned = math.radians(config.total_yaw_limit_deg) - away
        hidden = limit - config.reveal_share * (-away - math.radians(config.reveal_from_deg)).clamp_min(0)
        room = torch.minimum(turned, hidden).clamp(min=math.radians(6), max=limit)
        return torch.stack([room, torch.full_like(room, limit), torch.full_like(room, limit)], 1)

    def _body_shift(self, rotation: Tensor, shift: Tensor) -> Tensor:
        """The part (B, 3) of the head's shift that a turn about the neck does not explain: the body moves by it."""
        neck = self._rest.axes @ torch.tensor(self._config.neck_pivot) * self._rest.height  # (3,) from the face's centre
        swing = neck - rotation @ neck
        body = shift - swing
        body[:, 2] = 0
        body[:, 1] = torch.where(body[:, 1] < 0, self._config.body_rise * body[:, 1], body[:, 1])
        return body

    def _lid_ratios(self, ratios: Tensor) -> Tensor:
        """Aperture ratios remapped so that a full blink closes, coupled, with the offset asked for. (B, 2) -> (B, 2)."""
        config, opening = self._config, self._options.eye_opening
        mean = ratios.mean(1, keepdim=True)
        difference = ratios - mean
        free = geometry.smoothstep((2 * difference).abs(), config.wink_difference, 1.7 * config.wink_difference)
        ratios = mean + difference * torch.lerp(torch.tensor(1 - config.lid_coupling), torch.ones(()), free)
        mapped = geometry.interpolate(ratios, config.lid_curve)
        gain = min(1.0, self._options.strength * 2) * self._taken.eyes  # blinks stay whole until expression is nearly off
        lids = 1 + gain * (mapped - 1)
        # A factor, not a sum: wide eyes still blink.
        lids = lids * (1 + opening * (1.0 if opening < 0 else config.lid_asked))
        up = self._options.gaze_up
        return (lids * (1 + up * config.lid_gaze[0 if up > 0 else 1])).clamp(max=config.lid_widest)

    def _lid_motion(self, lids: Tensor, smile: Tensor) -> Tensor:
        """Offsets (B, 468, 3) in head axes that bring the lid margins to their apertures; the skin around follows."""
        start = self._start
        offset = torch.zeros(len(lids), topology.FACE_POINTS, 3)
        for eye in range(2):
            upper, lower = list(topology.UPPER_LIDS[eye]), list(topology.LOWER_LIDS[eye])
            share = (self._config.upper_lid_share - self._config.smile_squint * smile[:, eye])[:, None, None]
            closing = (1 - lids[:, eye])[:, None, None] * (start[lower] - start[upper])  # (B, 7, 3)
            offset[:, upper] = share * closing
            offset[:, lower] = (share - 1) * closing
            offset[:, list(topology.UPPER_FOLDS[eye])] = 0.45 * share * closing
            offset[:, list(topology.LOWER_FOLDS[eye])] = 0.5 * (share - 1) * closing
        return offset

    def _gaze(self, gaze: Tensor, lids: Tensor) -> Tensor:
        """Iris shift in region pixels, clamped and faded while the eyes close. (B, 2)."""
        config, options = self._config, self._options
        limit = torch.tensor([config.gaze_limit, config.gaze_limit_vertical])
        if self._absolute:
            gaze = gaze + self._neutral.gaze.float() - self._own_gaze
        gaze = gaze * torch.tensor(config.gaze_gain) * options.gaze * self._taken.eyes
        limited = geometry.soft_limit(gaze, limit, config.pose_knee)
        asked = limit * torch.tensor([options.gaze_across, -options.gaze_up])
        limited = (limited + asked).clamp(-limit, limit)
        corners = self._rest.vertices[list(topology.EYE_CORNERS[0] + topology.EYE_CORNERS[1])]
        width = ((corners[0] - corners[1]).norm() + (corners[2] - corners[3]).norm()) / 2
        awake = geometry.smoothstep(lids.mean(1, keepdim=True), 0.15, 0.6)
        shift: Tensor = limited * width * awake
        return shift

    def _offset_lips(self, face: Tensor) -> Tensor:
        """Close or open the lips as asked. face: (B, 468, 3) head axes."""
        opening = self._options.lip_opening
        if opening == 0:
            return face
        face = face.clone()
        upper, lower = list(topology.INNER_UPPER), list(topology.INNER_LOWER)
        gaps = (face[:, lower, 1] - face[:, upper, 1]).clamp_min(0)  # (B, 9)
        if opening > 0:
            room = (self._config.lip_opening_reach * self._rest.height - gaps[:, 4:5]).clamp_min(0)
            face[..., 1] += opening * room * self._jaw
            return face
        face[..., 1] -= opening * (0.35 * gaps @ self._upper.T - 0.65 * gaps @ self._lower.T)
        left = (face[:, lower, 1] - face[:, upper, 1] - (1 + opening) * gaps) / 2  # what the soft fields left undone
        face[:, upper, 1] += left
        face[:, lower, 1] -= left
        return face

    def _smile(self, expression: Tensor) -> Tensor:
        """How much (B, 2), 0..1, the driver smiles at either corner of the mouth. expression: (B, 468, 3) in head axes."""
        rise = -expression[:, list(topology.OUTER_CORNERS), 1] / self._rest.height
        return geometry.smoothstep(rise, *self._config.smile_rise)

    def _smile_lift(self, expression: Tensor, smile: Tensor) -> Tensor:
        """Offsets (B, 468, 3) that lift the corners of a smile further than tracked; none that hangs at rest stays behind."""
        corners, start = list(topology.OUTER_CORNERS), self._start
        middle = start[[topology.INNER_UPPER[4], topology.INNER_LOWER[4]], 1].mean()
        hanging = (start[corners, 1] - middle - self._neutral.corner_drop * self._rest.height).clamp_min(0)  # (2,)
        lift = smile * (hanging - self._config.smile_lift * expression[:, corners, 1].clamp(max=0))
        offset = torch.zeros_like(expression)
        offset[..., 1] = -lift * self._taken.lips @ self._corners
        return offset

    def _lip_lift(self, face: Tensor) -> Tensor:
        """Keep the upper lip off the nose: past a share of the way the mouth opens down instead. face: (B, 468, 3) head axes."""
        upper, nose, start = list(topology.OUTER_UPPER), topology.NOSE_BASE, self._face[:, 1]
        room = self._config.lip_rise * (start[upper[4]] - start[nose])
        rise = start[upper] - face[:, upper, 1] - (start[nose] - face[:, nose : nose + 1, 1])  # (B, 9)
        excess = (rise - geometry.soft_limit(rise, room, self._config.pose_knee)).clamp_min(0) * self._under_nose
        face = face.clone()
        below = geometry.smoothstep(start, float(start[nose]), float(start[upper[4]]))  # (468,) the nose itself stays
        face[..., 1] += excess @ (self._upper + self._lower).T * below
        return face

    def _mouth_limits(self, face: Tensor) -> Tensor:
        """Keep lip columns from crossing and lips from growing or vanishing. face: (B, 468, 3) head axes."""
        face = face.clone()
        y, rest = face[..., 1], self._face[:, 1]
        inner_up, inner_low = list(topology.INNER_UPPER), list(topology.INNER_LOWER)
        outer_up, outer_low = list(topology.OUTER_UPPER), list(topology.OUTER_LOWER)
        crossing = (y[:, inner_up] - y[:, inner_low]).clamp_min(0) / 2  # (B, 9)
        y[:, inner_up] -= crossing
        y[:, inner_low] += crossing
        least, most = self._config.lip_thickness
        thick_up = (rest[inner_up] - rest[outer_up]).clamp_min(1e-3)
        thick_low = (rest[outer_low] - rest[inner_low]).clamp_min(1e-3)
        y[:, outer_up] = y[:, inner_up] - ((y[:, inner_up] - y[:, outer_up]) / thick_up).clamp(least, most) * thick_up
        y[:, outer_low] = y[:, inner_low] + ((y[:, outer_low] - y[:, inner_low]) / thick_low).clamp(least, most) * thick_low
        return face


def _own_gaze(rest: RestFace) -> Tensor:
    """(2,): where the still looks, in eye widths."""
    points = torch.zeros(1, 478, 3)
    points[0, : topology.FACE_POINTS] = rest.vertices[: topology.FACE_POINTS]
    points[0, list(topology.IRISES)] = rest.irises
    return gaze_offsets(points)[0]


def _cap(residual: Tensor, cap: Tensor) -> Tensor:
    """Bend residuals (B, 468, 3) so that none is longer than its cap (468,)."""
    length = residual.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    bend: Tensor = (1 + (length / cap[:, None]) ** 4) ** -0.25
    return residual * bend
