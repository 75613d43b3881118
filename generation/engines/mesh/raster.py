"""Drawing: a z-buffered triangle rasteriser that yields a displacement map, anti-aliased polygons, and sampling."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Z_STEPS = 1 << 15  # depth levels of the z-buffer: finer than a hundredth of a pixel on any face


@dataclass(frozen=True, slots=True)
class Window:
    """Columns x0 .. x1 and rows y0 .. y1 of a region, ends excluded."""

    x0: int
    y0: int
    x1: int
    y1: int

    def centres(self, device: torch.device) -> Tensor:
        """(h, w, 2) pixel centres x, y."""
        y = torch.arange(self.y0, self.y1, device=device, dtype=torch.float32) + 0.5
        x = torch.arange(self.x0, self.x1, device=device, dtype=torch.float32) + 0.5
        return torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1)


def window_around(points: Tensor, margin: float, size: tuple[int, int]) -> Window:
    """The window that holds the points (N, 2) with a margin, cut at (height, width); empty when they lie outside."""
    low = (points.min(0).values - margin).floor().int().tolist()
    high = (points.max(0).values + margin).ceil().int().tolist()
    x0, y0 = max(0, low[0]), max(0, low[1])
    return Window(x0, y0, max(x0, min(size[1], high[0])), max(y0, min(size[0], high[1])))


def _candidates(corners: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """All (triangle, column, row) inside the triangles' boxes. corners: (M, 3, 2), pixel units."""
    height, width = size
    limit = torch.tensor([width, height], device=corners.device)
    low = torch.minimum((corners.amin(1) - 0.5).ceil().clamp_min(0).long(), limit)
    high = torch.minimum((corners.amax(1) + 0.5).floor().clamp_min(0).long(), limit)
    sides = (high - low).clamp_min(0)  # (M, 2)
    counts = sides[:, 0] * sides[:, 1]
    ends = counts.cumsum(0)
    triangle = torch.repeat_interleave(torch.arange(len(corners), device=corners.device), counts)
    within = torch.arange(len(triangle), device=corners.device) - (ends - counts)[triangle]
    columns = sides[triangle, 0]
    row = torch.div(within, columns, rounding_mode="floor")
    return triangle, low[triangle, 0] + within - row * columns, low[triangle, 1] + row


def _planes(corners: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Per triangle, values as value = a x + b y + c. corners (M, 3, 2), values (M, 3, K) -> (M, K, 3), area (M,)."""
    edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]
    safe = torch.where(area.abs() < 1e-6, torch.ones_like(area), area)[:, None]
    d1, d2 = values[:, 1] - values[:, 0], values[:, 2] - values[:, 0]  # (M, K)
    a = (d1 * edge2[:, 1:2] - d2 * edge1[:, 1:2]) / safe
    b = (d2 * edge1[:, 0:1] - d1 * edge2[:, 0:1]) / safe
    c = values[:, 0] - a * corners[:, 0, 0:1] - b * corners[:, 0, 1:2]
    return torch.stack([a, b, c], -1), area


def displacement_map(vertices: Tensor, rest: Tensor, triangles: Tensor, size: tuple[int, int]) -> Tensor:
    """Where each pixel of the moved mesh came from, nearest surface first.

    vertices: (V, 3) moved, rest: (V, 2), both in units of the map's pixels; size: (h, w). Returns (2, h, w): rest position minus
    pixel position, zero where no triangle covers a pixel.
    """
    corners, depth = vertices[triangles][..., :2], vertices[triangles][..., 2:]  # (M, 3, 2), (M, 3, 1)
    weights = torch.eye(3, device=vertices.device)[None, :, :2].expand(len(triangles), 3, 2)
    near, far = vertices[:, 2].min(), vertices[:, 2].max()
    scaled = (depth - near) / (far - near).clamp_min(1e-6)
    planes, area = _planes(corners, torch.cat([weights, scaled], -1))  # (M, 3, 3)
    triangle, column, row = _candidates(corners, size)
    x, y = column + 0.5, row + 0.5
    own = planes[triangle]  # (P, 3, 3)
    first, second, z = (own[..., 0] * x[:, None] + own[..., 1] * y[:, None] + own[..., 2]).unbind(1)
    slack = -1e-4
    inside = (first >= slack) & (second >= slack) & (first + second <= 1 - slack) & (area.abs() > 1e-6)[triangle]
    key = (z.clamp(0, 1) * Z_STEPS).long() * len(triangles) + triangle
    empty = torch.iinfo(torch.int64).max
    buffer = torch.full((size[0] * size[1],), empty, dtype=torch.int64, device=vertices.device)
    buffer.scatter_reduce_(0, (row * size[1] + column)[inside], key[inside], "amin")
    covered = buffer != empty
    winner = torch.where(covered, buffer % len(triangles), 0)
    return _resolve(corners, rest[triangles], winner, covered, size)


def _resolve(corners: Tensor, rest: Tensor, winner: Tensor, covered: Tensor, size: tuple[int, int]) -> Tensor:
    """Displacement (2, h, w) of each pixel from its winning triangle."""
    planes, _ = _planes(corners, rest)
    own = planes[winner].reshape(*size, 2, 3)
    centres = Window(0, 0, size[1], size[0]).centres(corners.device)
    source = own[..., 0] * centres[..., 0:1] + own[..., 1] * centres[..., 1:2] + own[..., 2]
    return ((source - centres) * covered.reshape(*size, 1)).permute(2, 0, 1)


def sample(image: Tensor, positions: Tensor, *, sharp: bool = False) -> Tensor:
    """Colours of (C, H, W) at positions (h, w, 2) in pixels, edges held; bilinear, or bicubic when `sharp`. Returns (C, h, w)."""
    size = torch.tensor([image.shape[2], image.shape[1]], device=image.device, dtype=torch.float32)
    grid = positions / size * 2 - 1
    mode = "bicubic" if sharp else "bilinear"
    return F.grid_sample(image[None], grid[None], mode=mode, padding_mode="border", align_corners=False)[0].clamp(0, 1)


def signed_distance(outline: Tensor, positions: Tensor) -> Tensor:
    """Distance of positions (h, w, 2) to a closed polygon (N, 2), negative inside (even-odd rule)."""
    a, b = outline, outline.roll(-1, 0)
    p = positions.reshape(-1, 1, 2)
    edge = b - a
    share = (((p - a) * edge).sum(-1) / edge.square().sum(-1).clamp_min(1e-9)).clamp(0, 1)  # (P, N)
    distance = (p - a - share[..., None] * edge).square().sum(-1).amin(1).sqrt()
    crosses = (a[:, 1] > p[..., 1]) != (b[:, 1] > p[..., 1])
    drop = torch.where(edge[:, 1].abs() < 1e-9, torch.ones_like(edge[:, 1]), edge[:, 1])
    left = p[..., 0] < a[:, 0] + (p[..., 1] - a[:, 1]) * edge[:, 0] / drop
    inside = (crosses & left).sum(1) % 2 == 1
    return torch.where(inside, -distance, distance).reshape(positions.shape[:2])


def coverage(outline: Tensor, positions: Tensor, softness: float = 1.0) -> Tensor:
    """Share (h, w) of each pixel inside a closed polygon, ramping over `softness` pixels at its edge."""
    return (0.5 - signed_distance(outline, positions) / softness).clamp(0, 1)


def rounded_outline(points: Tensor, corner: int, steps: int = 3) -> Tensor:
    """A closed polygon (N, 2) with its two arcs rounded by Catmull-Rom splines; points 0 and `corner` stay sharp."""
    arcs = [points[: corner + 1], torch.cat([points[corner:], points[:1]])]
    return torch.cat([spline(arc, steps)[:-1] for arc in arcs])


def spline(points: Tensor, steps: int) -> Tensor:
    """Catmull-Rom curve through (N, 2), `steps` points to a span."""
    padded = torch.cat([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = (torch.arange(steps, device=points.device, dtype=points.dtype) / steps)[None, :, None]
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return torch.cat([curve.flatten(0, 1), points[-1:]])
