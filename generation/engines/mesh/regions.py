"""Where on the face an expression goes: what each choice of `Regions` takes, how strongly each point follows, and its cap."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from generation.engines.base import Regions
from generation.engines.mesh import geometry, topology
from generation.engines.mesh.config import MeshConfig


@dataclass(frozen=True, slots=True)
class Taken:
    """What of the driver's performance is used."""

    lips: bool
    eyes: bool  # lids, gaze and brows
    pose: bool


TAKEN = {
    Regions.ALL: Taken(lips=True, eyes=True, pose=True),
    Regions.FACE: Taken(lips=True, eyes=True, pose=False),
    Regions.LIPS: Taken(lips=True, eyes=False, pose=False),
    Regions.EYES: Taken(lips=False, eyes=True, pose=False),
    Regions.POSE: Taken(lips=False, eyes=False, pose=True),
}
CORNER_DROP = 0.12  # share of the jaw's drop that the corners of the mouth take


def lower_face(face: Tensor) -> Tensor:
    """(468,): 1 from the base of the nose down, 0 from the lower lids up. face: (468, 3) head axes."""
    lids = face[list(topology.LOWER_FOLDS[0] + topology.LOWER_FOLDS[1]), 1].max()
    return geometry.smoothstep(face[:, 1], float(lids), float(face[topology.NOSE_BASE, 1]))


def expression_gain(face: Tensor, taken: Taken) -> Tensor:
    """(468, 1): share of the driver's expression that each point takes. Lids are moved by apertures, not by it."""
    gain = torch.ones(topology.FACE_POINTS)
    brows = float(face[list(topology.BROWS), 1].mean())
    gain[[point for point in topology.OVAL if float(face[point, 1]) < brows]] = 0.6  # the hairline follows the brows a little
    for eye in range(2):
        gain[list(topology.UPPER_FOLDS[eye] + topology.LOWER_FOLDS[eye] + topology.EYE_OUTSIDES[eye])] = 0.8
        gain[list(topology.UPPER_LIDS[eye] + topology.LOWER_LIDS[eye] + topology.EYE_CORNERS[eye])] = 0.0
    lower = lower_face(face)
    return (gain * (lower * taken.lips + (1 - lower) * taken.eyes))[:, None]


def expression_cap(face: Tensor, height: float, config: MeshConfig) -> Tensor:
    """(468,): the longest way of each point, in the face's unit."""
    cap = torch.full((topology.FACE_POINTS,), config.cheek_cap * height)
    mouth = list(topology.INNER_UPPER + topology.INNER_LOWER + topology.MOUTH_CORNERS + topology.OUTER_CORNERS)
    near_mouth = torch.cdist(face[:, :2], face[mouth, :2]).min(1).values / height
    cap[(face[:, 1] > face[topology.MOUTH_CORNERS[0], 1]) | (near_mouth < 0.12)] = config.mouth_cap * height
    cap[list(topology.BROWS)] = config.brow_cap * height
    return cap


def lip_fields(face: Tensor) -> tuple[Tensor, Tensor]:
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


def jaw_field(face: Tensor, lower: Tensor) -> Tensor:
    """(468,): share of the jaw's drop that each point takes: the chin and the middle of the lower lip all of it.

    lower: (468, 9), the lower of the `lip_fields`.
    """
    line = float(face[list(topology.MOUTH_CORNERS), 1].mean())
    chin = float(face[topology.CHIN, 1])
    bone = geometry.smoothstep(face[:, 1], line, line + 0.8 * (chin - line))
    bone[list(topology.INNER_UPPER + topology.OUTER_UPPER)] = 0
    columns = torch.cos(torch.linspace(-1, 1, 9) * 0.42 * torch.pi).clamp_min(0).pow(0.55)  # an arch: the corners hardly drop
    field = torch.maximum(bone, lower @ columns)
    field[list(topology.MOUTH_CORNERS + topology.OUTER_CORNERS)] = CORNER_DROP
    return field


def corner_fields(face: Tensor, height: float) -> Tensor:
    """(2, 468): how much of the lift of each mouth corner every point takes: lips less towards their middle."""
    corners = face[list(topology.OUTER_CORNERS), :2]  # (2, 2)
    half = (corners[1, 0] - corners[0, 0]) / 2
    away = (face[None, :, :2] - corners[:, None]) / half  # (2, 468, 2) in half mouth widths
    inward = torch.stack([away[0, :, 0], -away[1, :, 0]]).clamp_min(0)
    outward = torch.stack([-away[0, :, 0], away[1, :, 0]]).clamp_min(0)
    along = (1 - inward).clamp(0, 1).square() * torch.exp(-((outward / 0.8) ** 2))
    up, down = (-away[..., 1]).clamp_min(0), away[..., 1].clamp_min(0)
    return along * torch.exp(-((up / 1.1) ** 2)) * torch.exp(-((down / 0.7) ** 2))
