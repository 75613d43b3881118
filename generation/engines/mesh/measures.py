"""What is read off landmarks (T, 478, 3) of a face: sizes, apertures of the lids, gaze, lips. Any unit; T faces at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from generation.engines.mesh import topology


def face_size(points: Tensor) -> tuple[float, float]:
    """Width (cheek to cheek) and height (forehead to chin) of a face (468+, 3), in its own unit."""
    width = (points[topology.CHEEK_LEFT] - points[topology.CHEEK_RIGHT]).norm()
    return float(width), float((points[topology.CHIN] - points[topology.FOREHEAD]).norm())


def lid_gaps(points: Tensor) -> Tensor:
    """(T, 478, 3) -> (T, 2): mean gap of the middle lid columns in the picture, the subject's right eye first."""
    gaps = []
    for eye in range(2):
        upper, lower = (list(lids[eye][1:6]) for lids in (topology.UPPER_LIDS, topology.LOWER_LIDS))
        gaps.append((points[:, upper] - points[:, lower])[..., :2].norm(dim=-1).mean(-1))
    return torch.stack(gaps, 1)


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


@dataclass(frozen=True, slots=True)
class Lips:
    """The mouths of T faces in head axes."""

    gaps: Tensor  # (T, 9) of the inner lip columns, in face heights
    width: Tensor  # (T,) corner to corner, in face widths
    drop: Tensor  # (T,) of the corners under the lip line, in face heights


def lips(points: Tensor, axes: Tensor) -> Lips:
    """Mouths of faces (T, 468+, 3) whose head axes are `axes` (T, 3, 3)."""
    down, height = axes[:, :, 1:], (points[:, topology.CHIN] - points[:, topology.FOREHEAD]).norm(dim=-1)
    face_width = (points[:, topology.CHEEK_LEFT] - points[:, topology.CHEEK_RIGHT]).norm(dim=-1)
    gaps = ((points[:, list(topology.INNER_LOWER)] - points[:, list(topology.INNER_UPPER)]) @ down)[..., 0]
    corners = points[:, list(topology.OUTER_CORNERS)]
    middle = points[:, [topology.INNER_UPPER[4], topology.INNER_LOWER[4]]].mean(1)
    drop = ((corners.mean(1) - middle)[:, None] @ down)[:, 0, 0]
    return Lips(gaps / height[:, None], (corners[:, 1] - corners[:, 0]).norm(dim=-1) / face_width, drop / height)
