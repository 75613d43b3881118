"""Filling pixels that the still does not show: smooth fills, and a plate that continues the background's texture."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F


def pull_push(image: Tensor, weight: Tensor) -> Tensor:
    """Fill where `weight` is small from ever coarser averages (Gortler et al., 1996, section 4.3, with a 2x2 kernel).

    image: (C, H, W), weight: (H, W) in 0..1. Returns (C, H, W), unchanged where weight is 1.
    """
    colour, known = (image * weight)[None], weight[None, None]
    levels = []
    while min(known.shape[-2:]) > 1:
        levels.append((colour, known))
        colour, known = (F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False) for x in (colour, known))
        gain = (4 * known).clamp(max=1) / known.clamp_min(1e-6)  # a cell with one known corner counts as known
        colour, known = colour * gain, known * gain
    filled = colour / known.clamp_min(1e-6)
    for colour, known in reversed(levels):
        filled = F.interpolate(filled, size=known.shape[-2:], mode="bilinear", align_corners=False)
        filled = colour + (1 - known) * filled
    return filled[0]


def box_blur(image: Tensor, radius: int) -> Tensor:
    """Mean over a (2 radius + 1) square, edges held. (C, H, W) -> (C, H, W)."""
    if radius < 1:
        return image
    kernel = 2 * radius + 1
    rows = F.avg_pool2d(F.pad(image[None], (0, 0, radius, radius), mode="replicate"), (kernel, 1), stride=1)
    return F.avg_pool2d(F.pad(rows, (radius, radius, 0, 0), mode="replicate"), (1, kernel), stride=1)[0]


def guided_filter(guide: Tensor, alpha: Tensor, radius: int, epsilon: float) -> Tensor:
    """Snap a matte to the edges of a grey guide (He, Sun and Tang, 2010, eq. 5-8). guide, alpha: (H, W) in 0..1."""
    stack = torch.stack([guide, alpha, guide * alpha, guide * guide])
    mean_g, mean_a, mean_ga, mean_gg = box_blur(stack, radius)
    slope = (mean_ga - mean_g * mean_a) / (mean_gg - mean_g * mean_g + epsilon)
    offset = mean_a - slope * mean_g
    slope, offset = box_blur(torch.stack([slope, offset]), radius)
    snapped: Tensor = slope * guide + offset
    return snapped.clamp(0, 1)


def mirror_fill(image: Tensor, hidden: Tensor) -> Tensor:
    """Continue the texture around a hidden area inwards, mirrored at the area's edge; smooth colour where no mirror reaches.

    image: (3, H, W) in 0..1, hidden: bool (H, W). Only the rim of the area is ever seen, where a mirror is plausible.
    """
    smooth = pull_push(image, (~hidden).to(image))
    mask = hidden.cpu().numpy()
    if not mask.any() or mask.all():
        return smooth
    distance, source, valid = _mirrored(mask)
    texture = torch.from_numpy(
        np.stack([ndimage.map_coordinates(c, source, order=1, mode="nearest") for c in image.cpu().numpy()])
    )
    reach = 0.12 * max(mask.shape)
    keep = torch.from_numpy((valid * np.clip(1.5 - distance / reach, 0, 1)).astype(np.float32)).to(image)
    mixed = torch.lerp(smooth, texture.to(image), keep)
    return torch.where(hidden, mixed, image)


def _mirrored(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Distance to the edge, mirrored coordinates (2, H, W) and how far they can be trusted, for each hidden pixel."""
    distance, nearest = ndimage.distance_transform_edt(mask, return_indices=True)
    grid = np.indices(mask.shape).astype(np.float32)
    edge = np.stack([ndimage.gaussian_filter(n.astype(np.float32), 2.0) for n in nearest])  # streaks come from jumps here
    source = 2 * edge - grid
    limits = np.array(mask.shape, np.float32)[:, None, None] - 1
    inside = ((source >= 0) & (source <= limits)).all(0)
    free = ndimage.map_coordinates((~mask).astype(np.float32), source, order=1, mode="nearest")
    valid = ndimage.gaussian_filter((inside * (free > 0.5)).astype(np.float32), 1.5)
    return distance.astype(np.float32), source, valid
