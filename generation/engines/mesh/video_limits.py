"""What one frame of a video can take of a performance: its own blinks stay, eyes open as far as it has shown them, and the
cheek that is turned away keeps its outline."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from generation.engines.mesh import geometry, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.measures import lid_gaps

USUAL = 0.7  # quantile of a video's apertures
WIDE = 0.95
BLINK = (0.4, 0.75)  # of the usual aperture: a frame's lids are its own below, the driver's above
TURN = (0.12, 0.3)  # sine of the angle from which on a cheek begins to hide, and surely does
SIDE = 0.4  # half face widths over which the far side comes to rest, ending at its outline


@dataclass(frozen=True, slots=True)
class OwnLids:
    """The lids of a video's face, over those of its neutral frame; the subject's right eye first."""

    ratios: Tensor  # (T, 2)
    awake: Tensor  # (T,) 0 in a blink
    widest: Tensor  # (2,)


def own_lids(points: Tensor, reference: int, config: MeshConfig) -> OwnLids:
    """Read off landmarks (T, 478, 3), unsmoothed so that blinks are whole. reference: the neutral frame."""
    heights = (points[:, topology.CHIN] - points[:, topology.FOREHEAD]).norm(dim=-1, keepdim=True)
    gaps = (lid_gaps(points) / heights).float()  # (T, 2)
    neutral = gaps[reference].clamp_min(1e-3)
    awake = geometry.smoothstep(gaps.mean(1) / gaps.mean(1).quantile(USUAL).clamp_min(1e-3), *BLINK)
    widest = (gaps.quantile(WIDE, dim=0) / neutral).clamp(1.05, config.lid_widest)
    return OwnLids(gaps / neutral, awake, widest)


def within_lids(lids: Tensor, widest: Tensor, config: MeshConfig) -> Tensor:
    """Aperture ratios (2,) that open no wider than the video has shown."""
    return torch.where(lids > 1, 1 + geometry.soft_limit(lids - 1, widest - 1, config.pose_knee), lids)


def narrowed(face: Tensor, ratios: Tensor, config: MeshConfig) -> Tensor:
    """A face (468, 3) whose lids are `ratios` (2,) times as far apart as they are."""
    face = face.clone()
    for eye in range(2):
        upper, lower = list(topology.UPPER_LIDS[eye]), list(topology.LOWER_LIDS[eye])
        closing = (1 - ratios[eye]) * (face[lower] - face[upper])
        for points, share in ((upper, 1.0), (list(topology.UPPER_FOLDS[eye]), 0.45)):
            face[points] += share * config.upper_lid_share * closing
        for points, share in ((lower, 1.0), (list(topology.LOWER_FOLDS[eye]), 0.5)):
            face[points] -= share * (1 - config.upper_lid_share) * closing
    return face


def lid_points() -> list[int]:
    """Points that move with the lids."""
    return list(sum(topology.UPPER_LIDS + topology.LOWER_LIDS + topology.UPPER_FOLDS + topology.LOWER_FOLDS, ()))


def near_side(face: Tensor) -> Tensor:
    """(468,): 1 where a face (468, 3) is in view, falling to 0 at the outline of the cheek that is turned away."""
    axes = geometry.head_axes(face)
    cheeks = face[[topology.CHEEK_RIGHT, topology.CHEEK_LEFT]]
    half = (cheeks[1] - cheeks[0]).norm() / 2
    turn = axes[2, 0]  # positive where the side to the picture's right is farther away
    aside = (face - cheeks.mean(0)) @ axes[:, 0] / half * torch.sign(turn)
    outline = float((1 - turn.square()).clamp_min(0).sqrt())
    hidden = geometry.smoothstep(aside, outline - SIDE, outline)
    return 1 - hidden * geometry.smoothstep(turn.abs(), *TURN)
