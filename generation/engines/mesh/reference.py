"""Which frame of a driver counts as its rest: the one that looks most like the still, else the most neutral one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from generation.engines.mesh import geometry, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.measures import Lips, gaze_offsets, lid_gaps, lips
from generation.engines.tracks import FRAMES_AT_ONCE


def choose_reference(points: Tensor, still: Tensor | None, config: MeshConfig) -> int:
    """The rest frame of a driver. points: (T, 478, 3); still: (478, 3) of the face to be moved, in its own pixels, or None.

    A driver who starts from the still itself is taken at that frame. Else lips should part and curve as the still's do, so
    that what differs from then on is motion; eyes open and ahead, head and gaze where they mostly are, nothing moving fast.
    """
    if still is not None:
        away = likeness_distance(points, still)
        if float(away.min()) < config.same_face:
            return int(away.argmin())
    axes = geometry.head_axes(points)
    cost = _unrest(points, axes) + _unlike_lips(lips(points, axes), still)
    return int(cost.argmin())


def likeness_distance(points: Tensor, still: Tensor) -> Tensor:
    """(T,): mean distance of the face points from the still's in the picture, place and size aside, in face heights."""
    face = (still[: topology.FACE_POINTS, :2] - still[: topology.FACE_POINTS, :2].mean(0)).to(points)
    height = (face[topology.CHIN] - face[topology.FOREHEAD]).norm()
    # a clip of minutes at once would be copied four times over
    distance: Tensor = torch.cat([_mean_distance(some, face) for some in torch.split(points, FRAMES_AT_ONCE)]) / height
    return distance


def _mean_distance(points: Tensor, face: Tensor) -> Tensor:
    """(T,): of the face points (T, 478, 3), brought to the size of `face` (468, 2) around its middle, from it, in pixels."""
    faces = points[:, : topology.FACE_POINTS, :2]
    faces = faces - faces.mean(1, keepdim=True)
    scale = (faces * face).sum((1, 2)) / faces.square().sum((1, 2))
    distance: Tensor = (faces * scale[:, None, None] - face).norm(dim=-1).mean(1)
    return distance


def _unrest(points: Tensor, axes: Tensor) -> Tensor:
    """(T,): how far eyes, gaze and head are from where they mostly are, and how fast the head moves."""
    height = (points[:, topology.CHIN] - points[:, topology.FOREHEAD]).norm(dim=-1)
    lids = lid_gaps(points).mean(1) / height
    usual = lids.quantile(0.7).clamp_min(1e-6)
    closed = (lids - usual).abs() / usual
    pose = geometry.to_angles(axes)  # (T, 3)
    turned = (pose - pose.median(0).values).abs().sum(1) + 0.3 * pose[:, 0].abs()
    centre = points[:, list(topology.STABLE), :2].mean(1)
    away = (centre - centre.median(0).values).norm(dim=-1) / height
    speed = F.pad((centre[1:] - centre[:-1]).norm(dim=-1), (1, 0)) / height
    gaze = gaze_offsets(points)
    usual_height = gaze[:, 1].median()  # eyes differ in where "ahead" is up and down, not across
    aside = torch.stack([gaze[:, 0], gaze[:, 1] - usual_height], 1).norm(dim=-1)
    unrest: Tensor = aside + closed + turned + 0.3 * away + 2 * speed
    return unrest


def _unlike_lips(driver: Lips, still: Tensor | None) -> Tensor:
    """(T,): how far the driver's lips are from the still's, or from closed lips without a still."""
    if still is None:
        return 4 * driver.gaps.abs().mean(1)
    points = still[None].to(driver.gaps)
    own = lips(points, geometry.head_axes(points))
    # The gap is transferred as it is, so it matters least; a smile taken for rest would be missing from the whole clip.
    gaps = (driver.gaps - own.gaps).abs().mean(1)
    return 2 * gaps + 3 * (driver.drop - own.drop).abs() + 0.3 * (driver.width - own.width).abs()
