"""Smooth fills of pixels that the still does not show, and the filters of the matte."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LUMA = (0.2126, 0.7152, 0.0722)  # BT.709


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


def coarse_fill(image: Tensor, weight: Tensor, size: tuple[int, int]) -> Tensor:
    """`pull_push` at a smaller size (h, w), brought back: (C, H, W), smooth everywhere."""
    if size[0] >= weight.shape[0]:
        return pull_push(image, weight)
    means = F.adaptive_avg_pool2d(torch.cat([image * weight, weight[None]])[None], size)[0]
    small = pull_push(means[:-1] / means[-1].clamp_min(1e-6), means[-1].clamp_min(0).sqrt())
    return F.interpolate(small[None], size=weight.shape, mode="bilinear", align_corners=False)[0]


def grown(mask: Tensor, reach: int) -> Tensor:
    """Largest value of a mask (H, W) within `reach` rows and columns of each pixel: float32 (H, W)."""
    rows = F.max_pool2d(mask.float()[None, None], (2 * reach + 1, 1), stride=1, padding=(reach, 0))
    return F.max_pool2d(rows, (1, 2 * reach + 1), stride=1, padding=(0, reach))[0, 0]


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(C, H, W) at another size, averaged where it shrinks."""
    if tuple(image.shape[1:]) == size:
        return image
    shrinks = size[0] < image.shape[1]
    return F.interpolate(image[None], size=size, mode="bilinear", antialias=shrinks, align_corners=False)[0]


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
