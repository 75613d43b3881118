"""Small geometry: similarities, head axes, angles, soft limits and the smoothing filter. Pixels: x right, y down, z away."""

from __future__ import annotations

import torch
from torch import Tensor

from generation.engines.mesh import topology


def umeyama(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation and scale of the least-squares similarity between centred point sets (Umeyama, 1991, eq. 40-42).

    source: (N, 3), target: (B, N, 3), both with zero mean. Returns R (B, 3, 3), scale (B,).
    """
    covariance = torch.einsum("bni,nj->bij", target, source) / source.shape[0]  # (B, 3, 3)
    u, d, vt = torch.linalg.svd(covariance)
    sign = torch.ones_like(d)
    sign[:, 2] = torch.sign(torch.linalg.det(u) * torch.linalg.det(vt))
    rotation = u @ torch.diag_embed(sign) @ vt
    variance = source.square().sum() / source.shape[0]
    return rotation, (d * sign).sum(-1) / variance


def head_axes(points: Tensor) -> Tensor:
    """Columns are the heads' right-in-picture, down and inward axes. points: (..., 468+, 3). Returns (..., 3, 3)."""
    eyes = [points[..., list(corners), :].mean(-2) for corners in topology.EYE_CORNERS]
    across = eyes[1] - eyes[0] + points[..., topology.CHEEK_LEFT, :] - points[..., topology.CHEEK_RIGHT, :]
    x = across / across.norm(dim=-1, keepdim=True)
    down = points[..., topology.CHIN, :] - points[..., topology.FOREHEAD, :]
    down = down - (down * x).sum(-1, keepdim=True) * x
    y = down / down.norm(dim=-1, keepdim=True)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


def to_angles(rotation: Tensor) -> Tensor:
    """(..., 3, 3) = Ry(yaw) Rx(pitch) Rz(roll) -> (..., 3) radians yaw, pitch, roll."""
    yaw = torch.atan2(rotation[..., 0, 2], rotation[..., 2, 2])
    pitch = torch.asin((-rotation[..., 1, 2]).clamp(-1, 1))
    roll = torch.atan2(rotation[..., 1, 0], rotation[..., 1, 1])
    return torch.stack([yaw, pitch, roll], -1)


def from_angles(angles: Tensor) -> Tensor:
    """Inverse of `to_angles`."""
    (sy, sp, sr), (cy, cp, cr) = torch.sin(angles).unbind(-1), torch.cos(angles).unbind(-1)
    rows = [
        torch.stack([cy * cr + sy * sp * sr, sy * sp * cr - cy * sr, sy * cp], -1),
        torch.stack([cp * sr, cp * cr, -sp], -1),
        torch.stack([cy * sp * sr - sy * cr, sy * sr + cy * sp * cr, cy * cp], -1),
    ]
    return torch.stack(rows, -2)


def soft_limit(value: Tensor, limit: Tensor | float, knee: float) -> Tensor:
    """Pass up to `knee` of the limit unchanged, then bend smoothly so that the limit is never passed."""
    limit = torch.as_tensor(limit, dtype=value.dtype, device=value.device)
    start, room = limit * knee, limit * (1 - knee)
    size = value.abs()
    bent = start + room * torch.tanh((size - start) / room.clamp_min(1e-9))
    return torch.where(size <= start, value, torch.sign(value) * bent)


def smoothstep(value: Tensor, start: float, end: float) -> Tensor:
    """0 before `start`, 1 after `end`, cubic between."""
    t = ((value - start) / (end - start)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def savgol_kernel(half_window: int, order: int) -> Tensor:
    """float64 (2h+1,): the smoothing weights of Savitzky and Golay (1964)."""
    if half_window < 1:
        return torch.ones(1, dtype=torch.float64)
    offsets = torch.arange(-half_window, half_window + 1, dtype=torch.float64)
    powers = offsets[:, None] ** torch.arange(min(order, 2 * half_window) + 1, dtype=torch.float64)  # (W, K)
    kernel: Tensor = torch.linalg.pinv(powers)[0]
    return kernel


def smooth(series: Tensor, kernel: Tensor) -> Tensor:
    """Filter (T + 2h, ...) along time, giving (T, ...)."""
    windows = series.unfold(0, kernel.shape[0], 1)  # (T, ..., 2h+1)
    return windows @ kernel.to(series)


def interpolate(value: Tensor, curve: tuple[tuple[float, float], ...]) -> Tensor:
    """The straight-line curve through the points (x, y), ascending in x, held at its ends."""
    x, y = torch.tensor(curve, dtype=value.dtype, device=value.device).T.contiguous()
    right = torch.searchsorted(x, value.contiguous()).clamp(1, len(x) - 1)
    share = ((value - x[right - 1]) / (x[right] - x[right - 1])).clamp(0, 1)
    return torch.lerp(y[right - 1], y[right], share)
