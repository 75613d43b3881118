"""Drawing: a z-buffered triangle rasteriser that yields a position map, anti-aliased polygons, and sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from generation.engines.mesh import pixels

Z_BITS, TRIANGLE_BITS = 19, 12  # a depth and a triangle share one int32; half a million depths are finer than any face
EDGE = 1e-3  # map pixels: a point on the edge of two triangles belongs to at least one
DISTANCE_POINTS = 1600  # enough to follow a lid or a lip
CREASED_POINTS = 6400  # enough for distances without a sign, which are creased where they are nothing


@dataclass(frozen=True, slots=True)
class Window:
    """Columns x0 .. x1 and rows y0 .. y1 of a region, ends excluded."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def columns(self) -> slice:
        """For indexing (..., H, W)."""
        return slice(self.x0, self.x1)

    @property
    def rows(self) -> slice:
        """For indexing (..., H, W)."""
        return slice(self.y0, self.y1)

    @property
    def is_empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.x1 <= self.x0 or self.y1 <= self.y0

    def centres(self, device: torch.device, step: int = 1) -> Tensor:
        """(h, w, 2) pixel centres x, y; every `step`-th of each axis, and one beyond so that they reach over the window."""
        reach = 0 if step == 1 else step
        y = torch.arange(self.y0, self.y1 + reach, step, device=device, dtype=torch.float32) + 0.5
        x = torch.arange(self.x0, self.x1 + reach, step, device=device, dtype=torch.float32) + 0.5
        return torch.stack((x[None, :].expand(len(y), -1), y[:, None].expand(-1, len(x))), -1)

    def meets(self, other: Window) -> bool:
        """Whether the two share a pixel."""
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1


def window_around(points: Tensor, margin: float, size: tuple[int, int]) -> Window:
    """The window that holds the points (N, 2) with a margin, cut at (height, width); empty when they lie outside."""
    low, high = torch.stack([points.amin(0) - margin, points.amax(0) + margin + 1]).floor().int().tolist()
    x0, y0 = min(size[1], max(0, low[0])), min(size[0], max(0, low[1]))
    return Window(x0, y0, max(x0, min(size[1], high[0])), max(y0, min(size[0], high[1])))


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


def _expand(counts: Tensor) -> tuple[Tensor, Tensor]:
    """For counts (N,): the owner of each of sum(counts) items, and its place 0, 1, ... within the owner's items."""
    owner = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    starts = counts.cumsum(0) - counts
    return owner, torch.arange(len(owner), device=counts.device) - starts.index_select(0, owner)


def _spans(corners: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows of integer points inside each triangle: triangle, row, first column and number of columns of each span."""
    height, width = size
    ys = corners[..., 1]
    top = (ys.amin(1) - EDGE).ceil().clamp(0, height).long()
    bottom = (ys.amax(1) + EDGE).floor().clamp(-1, height - 1).long()
    triangle, step = _expand((bottom - top + 1).clamp_min(0))
    row = top.index_select(0, triangle) + step
    a, b = corners, corners.roll(-1, 1)
    rise = b[..., 1] - a[..., 1]
    slope = (b[..., 0] - a[..., 0]) / torch.where(rise.abs() < 1e-9, torch.ones_like(rise), rise)
    edges = torch.stack([a[..., 0], a[..., 1], slope, torch.minimum(a[..., 1], b[..., 1]), rise.abs()], -1)
    x, y, slope, low, length = edges.index_select(0, triangle).unbind(-1)  # (R, 3) each
    along = row[:, None] - low
    crossed = (along >= -EDGE) & (along <= length + EDGE) & (length > 1e-9)
    crossing = x + (row[:, None] - y) * slope
    left = torch.where(crossed, crossing, torch.inf).amin(1)
    right = torch.where(crossed, crossing, -torch.inf).amax(1)
    start = (left - EDGE).ceil().clamp(0, width)
    count = (right + EDGE).floor().clamp(-1, width - 1) - start + 1
    return triangle, row, start.long(), count.clamp_min(0).long()


@dataclass(frozen=True, slots=True)
class PositionMap:
    """Where each integer point of a moved mesh came from, nearest surface first."""

    found: Tensor  # (2, h, w) positions at rest; the point itself where no triangle covers it
    winner: Tensor  # int64 (h, w) the triangle seen there
    planes: Tensor  # (M + 1, 5, 3) rest x, rest y, depth and two barycentric weights as a x + b y + c; the last moves nothing


def position_map(vertices: Tensor, rest: Tensor, triangles: Tensor, size: tuple[int, int]) -> PositionMap:
    """Draw the moved mesh. vertices: (V, 3), rest: (V, 2), both in the map's unit; size: (h, w)."""
    height, width = size
    corners = vertices[triangles]  # (M, 3, 3)
    near, far = vertices[:, 2].min(), vertices[:, 2].max()
    depth = (corners[..., 2:] - near) / (far - near).clamp_min(1e-6)
    weights = torch.eye(3, device=vertices.device)[:, :2].expand(len(triangles), 3, 2)
    planes, area = _planes(corners[..., :2], torch.cat([rest[triangles], depth, weights], -1))  # (M, 5, 3)
    triangle, row, start, count = _spans(corners[..., :2], size)
    count = torch.where(area.abs().index_select(0, triangle) > 1e-6, count, 0)
    span, step = _expand(count)
    own = planes[:, 2].index_select(0, triangle)
    base = own[:, 1] * row + own[:, 2] + own[:, 0] * start
    line = torch.stack([own[:, 0], base], 1).index_select(0, span)
    z = torch.addcmul(line[:, 1], line[:, 0], step).clamp(0, 1)
    key = (z * ((1 << Z_BITS) - 1)).int() * (1 << TRIANGLE_BITS) + triangle.int().index_select(0, span)
    empty = torch.iinfo(torch.int32).max
    buffer = torch.full((height * width,), empty, dtype=torch.int32, device=vertices.device)
    buffer.scatter_reduce_(0, (row * width + start).index_select(0, span) + step, key, "amin")
    nothing = planes.new_tensor([[[1.0, 0, 0], [0, 1.0, 0], [0, 0, 2.0], [0, 0, 0], [0, 0, 0]]])
    planes = torch.cat([planes, nothing])
    winner = torch.where(buffer == empty, len(triangles), buffer & ((1 << TRIANGLE_BITS) - 1))
    own = planes[:, :2].flatten(1).index_select(0, winner).reshape(height, width, 6)
    x = torch.arange(width, device=vertices.device, dtype=vertices.dtype)
    y = torch.arange(height, device=vertices.device, dtype=vertices.dtype)[:, None]
    found = torch.stack([own[..., 3 * i] * x + own[..., 3 * i + 1] * y + own[..., 3 * i + 2] for i in range(2)])
    return PositionMap(found, winner.reshape(size), planes)


def between_points(seen: PositionMap, cells: Tensor, places: Tensor) -> Tensor:
    """Exact positions at rest of places (C, P, 2) that lie between the points of a map: (C, P, 2). All are x, y.

    cells: int64 (C, 2) column and row of the point above and to the left of each row of places. Triangles seen at the 16 points
    around are tried.
    """
    height, width = seen.winner.shape
    steps = torch.arange(-1, 3, device=cells.device)
    columns = (cells[:, :1] + steps).clamp(0, width - 1)
    rows = (cells[:, 1:] + steps).clamp(0, height - 1)
    tried = seen.winner[rows[:, :, None], columns[:, None, :]].flatten(1)  # (C, 16)
    places = F.pad(places, (0, 1), value=1.0)  # (C, P, 3)
    values = seen.planes[:, 2:].flatten(1)[tried].reshape(len(cells), 48, 3) @ places.mT
    depth, first, second = values.reshape(len(cells), 16, 3, -1).unbind(2)  # (C, 16, P)
    outside = torch.maximum(torch.maximum(-first, -second), first + second - 1).clamp_min(0)  # 0 inside
    best = (depth + 100 * outside * (outside > EDGE)).argmin(1)  # (C, P)
    own = seen.planes[:, :2].flatten(1)[tried.gather(1, best)].reshape(*best.shape, 2, 3)
    return (own @ places[..., None])[..., 0]


def points(size: tuple[int, int], device: torch.device) -> Tensor:
    """The integer points x, y of a map of (h, w): (2, h, w)."""
    y = torch.arange(size[0], device=device, dtype=torch.float32)[:, None].expand(size)
    return torch.stack([torch.arange(size[1], device=device, dtype=torch.float32).expand(size), y])


def sampled(picture: Tensor, places: Tensor, *, sharp: bool = False) -> Tensor:
    """Colours (h, w, C) of a picture (H, W, C) at places x, y (h, w, 2); see `pixels.sampled`."""
    if picture.device.type == "cpu":
        return torch.from_numpy(pixels.sampled(picture.numpy(), places.numpy(), sharp=sharp))
    grid = (2 * places + 1) / places.new_tensor([picture.shape[1], picture.shape[0]]) - 1
    image, mode = picture.permute(2, 0, 1).float()[None], "bicubic" if sharp else "bilinear"
    found = F.grid_sample(image, grid[None], mode=mode, padding_mode="border", align_corners=False)[0].permute(1, 2, 0)
    return found if picture.is_floating_point() else (found + 0.5).clamp(0, 255).to(torch.uint8)


def sample(image: Tensor, positions: Tensor, *, sharp: bool = False) -> Tensor:
    """Colours of (C, H, W) at positions (h, w, 2) in pixels, edges held; bilinear, or bicubic when `sharp`. Returns (C, h, w)."""
    return sampled(image.permute(1, 2, 0).contiguous(), positions - 0.5, sharp=sharp).permute(2, 0, 1).clamp(0, 1)


def signed_distance(outline: Tensor, positions: Tensor) -> Tensor:
    """Distance of pixel centres (h, w, 2) to a closed polygon (N, 2), negative inside (even-odd rule).

    positions: an even grid. Large ones are measured at every few pixels, since distances are smooth.
    """

    def measured(columns: Tensor, rows: Tensor) -> Tensor:
        return torch.where(_is_inside(outline, columns, rows), -1, 1) * _distance(outline, columns, rows)

    return _between(measured, positions, DISTANCE_POINTS)


def distance_to(points: Tensor, positions: Tensor) -> Tensor:
    """Distance of pixel centres (h, w, 2), an even grid, to the nearest of points (N, 2)."""

    def measured(columns: Tensor, rows: Tensor) -> Tensor:
        across, down = columns[:, None] - points[:, 0], rows[:, None] - points[:, 1]  # (w, N), (h, N)
        return (across.square()[None] + down.square()[:, None]).amin(2).sqrt()

    return _between(measured, positions, CREASED_POINTS)


def _between(measured: Callable[[Tensor, Tensor], Tensor], positions: Tensor, most: int) -> Tensor:
    """What is measured (h, w) at columns (w,) and rows (h,) of an even grid (h, w, 2), at no more than about `most` points."""
    height, width = positions.shape[:2]
    step = max(1, math.isqrt(height * width // most))
    first, pitch = positions[0, 0], positions[min(1, height - 1), min(1, width - 1)] - positions[0, 0]
    columns = first[0] + step * pitch[0] * torch.arange(-(-(width - 1) // step) + 1, device=positions.device)
    rows = first[1] + step * pitch[1] * torch.arange(-(-(height - 1) // step) + 1, device=positions.device)
    field = measured(columns, rows)
    if step == 1:
        return field
    full = ((len(rows) - 1) * step + 1, (len(columns) - 1) * step + 1)
    return F.interpolate(field[None, None], size=full, mode="bilinear", align_corners=True)[0, 0, :height, :width]


def _distance(outline: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """Distance (h, w) of a grid of columns x and rows y to the edges of a closed polygon (N, 2)."""
    edge = outline.roll(-1, 0) - outline
    x, y = columns[:, None] - outline[:, 0], rows[:, None] - outline[:, 1]  # (w, N), (h, N)
    along = edge / edge.square().sum(1, keepdim=True).clamp_min(1e-9)
    share = ((x * along[:, 0])[None] + (y * along[:, 1])[:, None]).clamp_(0, 1)  # (h, w, N)
    across = torch.addcmul(x[None], share, edge[:, 0], value=-1).square_()
    down = torch.addcmul(y[:, None], share, edge[:, 1], value=-1)
    return across.addcmul_(down, down).amin(2).sqrt_()


def _is_inside(outline: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """bool (h, w): an odd number of the polygon's edges crosses the row before the column."""
    a, b = outline, outline.roll(-1, 0)
    below = rows[:, None]
    crosses = (a[:, 1] > below) != (b[:, 1] > below)  # (h, N)
    rise = b[:, 1] - a[:, 1]
    at = a[:, 0] + (below - a[:, 1]) * (b[:, 0] - a[:, 0]) / torch.where(rise.abs() < 1e-9, torch.ones_like(rise), rise)
    ordered = torch.where(crosses, at, torch.inf).sort(1).values
    return torch.searchsorted(ordered, columns.expand(len(rows), -1).contiguous()) % 2 == 1


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
