"""Where the picture of a file lies in the picture of a record: whole, cropped, inset, stretched or mirrored.

The mean pictures of both (64x64) are searched for one another by normalised correlation (Lewis, "Fast normalized
cross-correlation", 1995) over shapes, places and mirroring; what is found is refined to a fraction of a pixel by Gauss-Newton
steps (Lucas and Kanade, 1981), with weights that let captions and moving parts count little.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from provenance.fingerprint.video import LAYOUT

F64 = npt.NDArray[np.float64]

_SCALES = (1.0, 0.93, 0.86, 0.78, 0.7, 0.6, 0.5, 0.42, 0.35, 0.28)
_STRIPS = (0.9, 0.75, 0.6, 0.45, 0.32)  # crops to another aspect; the last is 16:9 to 9:16
_WINDOWS = ((0.86, 0.7), (0.6, 0.34), (0.6, 0.45), (0.4, 0.22), (0.4, 0.3), (0.28, 0.16))  # of another aspect
_SHAPES = (
    *((scale, scale) for scale in _SCALES),
    *((1.0, share) for share in _STRIPS),
    *((share, 1.0) for share in _STRIPS),
    *_WINDOWS,
    *((columns, rows) for rows, columns in _WINDOWS),
)
_AROUND = (0.95, 1.0, 1.05)
_LEADERS = 3
_SMALLEST_PX = 8
_WHOLE, _CENTRE = (0.0, 0.0, 1.0, 1.0), (0.2, 0.2, 0.8, 0.8)  # the centre finds a picture that is cropped and framed at once
_STEPS = 12
_STILL_SHARE = 2e-4  # of a side: smaller steps change nothing
_CERTAIN = 0.985  # correlation in the plain place from which no other is looked for,
_CLEAR = 0.05  # unless the mirrored one comes so near
_DOUBT = 6.0  # luma levels from which a pixel loses its weight in the refinement
_SAME_PX = 0.4  # refined places nearer to the plain one than this many layout pixels are the plain one
_EDGE = 0.999  # share of a cell that must lie inside to count


@dataclass(frozen=True, slots=True)
class Placement:
    """The edges of the file's picture as shares of the record's height and width: 0, 0, 1, 1 is the whole of it.

    Edges beyond 0..1 mean that the file shows more than the record does. mirrored: left and right are exchanged.
    """

    top: float = 0.0
    left: float = 0.0
    bottom: float = 1.0
    right: float = 1.0
    mirrored: bool = False

    @property
    def plain(self) -> bool:
        """Whether the file shows the record's picture as it is."""
        return self == Placement()

    @property
    def scale(self) -> float:
        """How much of the record one side of the file spans: the smaller of both sides."""
        return min(self.bottom - self.top, self.right - self.left)


PLAIN = Placement()


@dataclass(frozen=True, slots=True)
class Found:
    """A placement and the correlation of the mean pictures in it, -1..1."""

    placement: Placement
    correlation: float


def placements(query: F64, record: F64, *, limit: int = 4) -> list[Found]:
    """The likeliest places of one layout (64, 64) in another, best first and refined; the plain one is always tried."""
    tried = [refined(query, record, start) for start in (PLAIN, replace(PLAIN, mirrored=True))]
    plain = tried[0]
    if plain.correlation < _CERTAIN or tried[1].correlation > plain.correlation - _CLEAR:
        likely = heapq.nlargest(2 * limit, _coarse(query, record), key=_weight)
        tried += [refined(query, record, found.placement) for found in likely]
    best = sorted(tried, key=_weight, reverse=True)
    return _distinct(best)[:limit]


def refined(query: F64, record: F64, start: Placement) -> Found:
    """The placement near `start` that fits best. Works on pictures of any one size; brightness and contrast are free."""
    picture = query[:, ::-1] if start.mirrored else query
    edges = np.array([start.top, start.left, start.bottom, start.right])
    best, best_correlation = edges, _correlation_at(picture, record, edges)
    for _ in range(_STEPS):
        step = _step(picture, record, edges)
        edges = edges + step
        if np.abs(step).max() < _STILL_SHARE or min(edges[2] - edges[0], edges[3] - edges[1]) < 1 / LAYOUT:
            break
        correlation = _correlation_at(picture, record, edges)
        if correlation > best_correlation:
            best, best_correlation = edges, correlation
    near = np.abs(best - np.array([0.0, 0.0, 1.0, 1.0])).max() < _SAME_PX / LAYOUT
    edges = np.array([0.0, 0.0, 1.0, 1.0]) if near else best
    correlation = _correlation_at(picture, record, edges)
    top, left, bottom, right = edges.tolist()
    return Found(Placement(top, left, bottom, right, start.mirrored), correlation)


def area_weights(first: float, last: float, count: int, size: int) -> tuple[F64, npt.NDArray[np.bool_]]:
    """Rows (count, size) that average `size` cells into `count` equal ones from `first` to `last`, in cells; which lie inside."""
    width = (last - first) / count
    edges = first + width * np.arange(count + 1)[:, None]
    cells = np.arange(size)
    shares = np.maximum(np.minimum(edges[1:], cells + 1) - np.maximum(edges[:-1], cells), 0)
    sums = shares.sum(axis=1)
    covered: npt.NDArray[np.bool_] = sums >= _EDGE * width
    return shares / np.maximum(sums, 1e-9)[:, None], covered


def _weight(found: Found) -> float:
    """How unlikely a correlation is by chance: Fisher's z, by the pixels it rests on."""
    place = found.placement
    rows = min(1.0, place.bottom) - max(0.0, place.top)
    columns = min(1.0, place.right) - max(0.0, place.left)
    # pixels of whichever picture shows the overlap more coarsely
    scale = max(1.0, place.bottom - place.top) * max(1.0, place.right - place.left)
    pixels = max(0.0, rows) * max(0.0, columns) / scale * LAYOUT**2
    return float(np.arctanh(np.clip(found.correlation, -0.999, 0.999)) * np.sqrt(min(pixels, 1000.0)))


def _distinct(found: Iterable[Found]) -> list[Found]:
    kept: list[Found] = []
    for candidate in found:
        if not any(_same(candidate.placement, other.placement) for other in kept):
            kept.append(candidate)
    return kept


def _same(one: Placement, other: Placement) -> bool:
    if one.mirrored != other.mirrored:
        return False
    sides = ((one.top, other.top), (one.left, other.left), (one.bottom, other.bottom), (one.right, other.right))
    return max(abs(a - b) for a, b in sides) < 0.02 * max(1.0, one.bottom - one.top, one.right - one.left)


Box = tuple[float, float, float, float]  # top, left, bottom, right


def _coarse(query: F64, record: F64) -> Iterator[Found]:
    """Places found by correlation alone: the file (or its centre) inside the record, the record (or its centre) inside it."""
    yield from _inside(query, record, (_WHOLE, _CENTRE))
    for mirrored in (False, True):
        picture = query[:, ::-1] if mirrored else query
        for part in (_WHOLE, _CENTRE):
            for correlation, box in _search(picture, record, part):
                yield Found(Placement(*_inverse(_grown(box, part)), mirrored=mirrored), correlation)


def _inside(query: F64, record: F64, parts: Iterable[Box]) -> Iterator[Found]:
    """Places of parts of the file inside the record."""
    for mirrored in (False, True):
        picture = query[:, ::-1] if mirrored else query
        for part in parts:
            for correlation, box in _search(record, picture, part):
                yield Found(Placement(*_grown(box, part), mirrored=mirrored), correlation)


def _grown(box: Box, part: Box) -> Box:
    """The box of a whole picture from the box of one part of it."""
    high, wide = (box[2] - box[0]) / (part[2] - part[0]), (box[3] - box[1]) / (part[3] - part[1])
    top, left = box[0] - part[0] * high, box[1] - part[1] * wide
    return top, left, top + high, left + wide


def _inverse(box: Box) -> Box:
    """Where the outer picture lies in the inner one, when the inner one lies at `box` in the outer one."""
    top, left, bottom, right = box
    high, wide = bottom - top, right - left
    return -top / high, -left / wide, (1 - top) / high, (1 - left) / wide


def _search(whole: F64, picture: F64, part: Box) -> list[tuple[float, Box]]:
    """The best places of one part of a picture inside the whole: coarse shapes first, then those around the best of them."""
    top, left, bottom, right = (round(LAYOUT * share) for share in part)
    template = picture[top:bottom, left:right]
    high, wide = part[2] - part[0], part[3] - part[1]
    known = _correlate(whole, template, {_size(rows * high, columns * wide) for rows, columns in _SHAPES})
    leaders = heapq.nlargest(_LEADERS, known, key=lambda size: known[size][0])
    around = {_size(h / LAYOUT * y, w / LAYOUT * x) for h, w in leaders for y in _AROUND for x in _AROUND}
    known |= _correlate(whole, template, around - known.keys())
    return [known[size] for size in heapq.nlargest(_LEADERS, known, key=lambda size: known[size][0])]


def _size(rows: float, columns: float) -> tuple[int, int]:
    return tuple(min(LAYOUT, max(_SMALLEST_PX, round(LAYOUT * share))) for share in (rows, columns))  # type: ignore[return-value]


def _correlate(whole: F64, part: F64, sizes: set[tuple[int, int]]) -> dict[tuple[int, int], tuple[float, Box]]:
    """The highest normalised correlation of the part at each size (rows, columns), and its box in the whole."""
    if not sizes:
        return {}
    ordered = sorted(sizes)
    templates = np.zeros((len(ordered), LAYOUT, LAYOUT))
    for template, (high, wide) in zip(templates, ordered, strict=True):
        rows, columns = (area_weights(0, n, count, n)[0] for n, count in zip(part.shape, (high, wide), strict=True))
        shrunk = rows @ part @ columns.T
        shrunk -= shrunk.mean()
        template[:high, :wide] = shrunk / max(float(np.linalg.norm(shrunk)), 1e-6)
    spectrum = np.fft.rfft2(whole - whole.mean())
    products = np.fft.irfft2(spectrum[None] * np.fft.rfft2(templates).conj(), (LAYOUT, LAYOUT))
    sums, squares = (np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1) for values in (whole, whole**2))
    return {size: _peak(product, sums, squares, size) for product, size in zip(products, ordered, strict=True)}


def _peak(product: F64, sums: F64, squares: F64, size: tuple[int, int]) -> tuple[float, Box]:
    high, wide = size
    total, total_squares = _window_sums(sums, high, wide), _window_sums(squares, high, wide)
    spread = np.sqrt(np.maximum(total_squares - total**2 / (high * wide), 1e-6))
    valid = product[: LAYOUT - high + 1, : LAYOUT - wide + 1]
    # flat places have no pattern to agree with; rounding must not make one
    correlation = np.where(spread > (high * wide) ** 0.5, valid / spread, 0.0)
    row, column = np.unravel_index(int(correlation.argmax()), correlation.shape)
    box = (row / LAYOUT, column / LAYOUT, (row + high) / LAYOUT, (column + wide) / LAYOUT)
    return float(correlation[row, column]), (float(box[0]), float(box[1]), float(box[2]), float(box[3]))


def _window_sums(integral: F64, high: int, wide: int) -> F64:
    sums: F64 = integral[high:, wide:] - integral[:-high, wide:] - integral[high:, :-wide] + integral[:-high, :-wide]
    return sums


def _expected(record: F64, edges: F64, size: int) -> tuple[F64, npt.NDArray[np.bool_]]:
    """What the file would show with these edges, (size, size), and which pixels lie inside the record."""
    scale = len(record)
    rows, inside_rows = area_weights(edges[0] * scale, edges[2] * scale, size, scale)
    columns, inside_columns = area_weights(edges[1] * scale, edges[3] * scale, size, scale)
    inside: npt.NDArray[np.bool_] = inside_rows[:, None] & inside_columns[None]
    return rows @ record @ columns.T, inside


def _correlation_at(picture: F64, record: F64, edges: F64) -> float:
    expected, inside = _expected(record, edges, len(picture))
    if inside.sum() < _SMALLEST_PX**2:
        return 0.0
    one, other = picture[inside] - picture[inside].mean(), expected[inside] - expected[inside].mean()
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / norm if norm > inside.sum() else 0.0


def _step(picture: F64, record: F64, edges: F64) -> F64:
    """One Gauss-Newton step of the four edges, with gain and offset of the luma fitted along."""
    expected, inside = _expected(record, edges, len(picture))
    if inside.sum() < _SMALLEST_PX**2:
        return np.zeros(4)
    slopes = [slope[inside] for slope in _slopes(record, edges, len(picture))]
    model = np.stack([*slopes, expected[inside], np.ones(int(inside.sum()))], axis=1)
    wanted = picture[inside]
    centred = expected[inside] - expected[inside].mean()
    gain = float(centred @ wanted) / max(float(centred @ centred), 1e-6)
    errors = wanted - wanted.mean() - gain * centred
    weights = 1 / (1 + (errors / max(_DOUBT, 1.5 * float(np.median(np.abs(errors))))) ** 2)
    model[:, :4] *= gain
    weighted = model * weights[:, None]
    solution = np.linalg.lstsq(weighted.T @ model, weighted.T @ errors, rcond=None)[0]
    reach = 2.0 * np.tile(edges[2:] - edges[:2], 2) / len(picture)
    step: F64 = np.clip(solution[:4], -reach, reach)
    return step


def _slopes(record: F64, edges: F64, size: int) -> Iterator[F64]:
    """How the expected picture changes with each edge: top, left, bottom, right."""
    scale = len(record)
    sides = (edges[0], edges[2]), (edges[1], edges[3])
    rows, columns = (area_weights(near * scale, far * scale, size, scale)[0] for near, far in sides)
    for index in range(4):
        near, far = sides[index % 2]
        nudge = 0.5 * (far - near) / size
        first, last = (nudge, 0.0) if index < 2 else (0.0, nudge)
        ahead = area_weights((near + first) * scale, (far + last) * scale, size, scale)[0]
        behind = area_weights((near - first) * scale, (far - last) * scale, size, scale)[0]
        change = (ahead - behind) / (2 * nudge)
        yield change @ record @ columns.T if index % 2 == 0 else rows @ record @ change.T
