"""The cells in which a file and a record are compared, once it is known where the one lies in the other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from provenance.fingerprint.geometry import Placement, area_weights
from provenance.fingerprint.video import GRID, REGIONS, SPREAD_GRID, VideoFingerprint

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_FINEST = GRID // 2  # a compared cell is two cells of a fingerprint wide or more: then it matters little where they begin
_COARSEST = 4
_FRAMED = 0.01  # of the record: edges further out than this are those of an inset
_BESIDE = 1 / 64  # of a side: edges are not known better
_BLOCK = 2048  # samples at once: an hour as a whole would take a gigabyte
_COMPARABLE = (0.8, 1.25)  # scales between which deviations within cells can be compared


@dataclass(frozen=True, slots=True)
class Axis:
    """One side of the overlap: its ends as shares of the file's and of the record's side, and how many cells it is cut into.

    shown: its ends in the file, before the cells that lie across an edge were left out.
    """

    shown: tuple[float, float]
    query: tuple[float, float]
    record: tuple[float, float]
    count: int

    def of_query(self, grid: int) -> F64:
        """Weights (count, grid) that give the compared cells from a file's cells."""
        return area_weights(self.query[0] * grid, self.query[1] * grid, self.count, grid)[0]

    def of_record(self, grid: int, shift: float = 0.0) -> F64:
        """The same for a record; shift: in cells of the fingerprint."""
        step = shift * grid / GRID
        return area_weights(self.record[0] * grid + step, self.record[1] * grid + step, self.count, grid)[0]


@dataclass(frozen=True, slots=True)
class Lattice:
    """The compared cells, C = rows x columns of them; `regions`: the file's region (0..15) of each, (C,)."""

    rows: Axis
    columns: Axis
    mirrored: bool
    plain: bool  # the record's whole picture, in either hand
    regions: I64
    uncovered: tuple[int, ...]  # the file's regions that show more than the record does
    comparable: bool  # whether deviations within cells mean the same in both

    def query_cells(self, fingerprint: VideoFingerprint) -> F64:
        """Mean luma of a file, float64 (T, C)."""
        return self._of_query(fingerprint.cells, GRID)

    def query_spreads(self, variances: F64) -> F64:
        """Deviations within the cells of a file from their squares (T, 16, 16): (T, C)."""
        return np.sqrt(self._of_query(variances, SPREAD_GRID))

    def record_cells(self, fingerprint: VideoFingerprint) -> F64:
        """Mean luma of a record, (T, C)."""
        return _apply(self.rows.of_record(GRID), fingerprint.cells, self.columns.of_record(GRID))

    def record_spreads(self, variances: F64) -> F64:
        """As `query_spreads`, for a record."""
        return np.sqrt(_apply(self.rows.of_record(SPREAD_GRID), variances, self.columns.of_record(SPREAD_GRID)))

    def slope(self, fingerprint: VideoFingerprint) -> F64:
        """By how much the record's luma changes when the cells move by one cell of the fingerprint, either way, (T, C)."""
        rows, columns = self.rows.of_record(GRID), self.columns.of_record(GRID)
        along = [self.rows.of_record(GRID, shift) for shift in (0.5, -0.5)]
        across = [self.columns.of_record(GRID, shift) for shift in (0.5, -0.5)]
        slope: F64 = np.hypot(
            _apply(along[0] - along[1], fingerprint.cells, columns), _apply(rows, fingerprint.cells, across[0] - across[1])
        )
        return slope

    def _of_query(self, values: npt.NDArray[np.generic], grid: int) -> F64:
        seen = values[:, :, ::-1] if self.mirrored else values
        return _apply(self.rows.of_query(grid), seen, self.columns.of_query(grid))


def lattice(placement: Placement) -> Lattice | None:
    """The cells of a placement; None when file and record hardly overlap in it."""
    rows = _axis(placement.top, placement.bottom)
    columns = _axis(placement.left, placement.right)
    if rows is None or columns is None:
        return None
    scales = (placement.bottom - placement.top, placement.right - placement.left)
    return Lattice(
        rows=rows,
        columns=columns,
        mirrored=placement.mirrored,
        plain=replace(placement, mirrored=False).plain,
        regions=_regions(rows, columns, mirrored=placement.mirrored),
        uncovered=_uncovered(rows, columns, mirrored=placement.mirrored),
        comparable=all(_COMPARABLE[0] <= scale <= _COMPARABLE[1] for scale in scales),
    )


def _apply(rows: F64, values: npt.NDArray[np.generic], columns: F64) -> F64:
    blocks = [rows @ values[first : first + _BLOCK].astype(np.float64) @ columns.T for first in range(0, len(values), _BLOCK)]
    cells: F64 = np.concatenate(blocks).reshape(len(values), len(rows) * len(columns))
    return cells


def _axis(first: float, last: float) -> Axis | None:
    span = last - first
    shown = (max(0.0, first) - first) / span, (min(1.0, last) - first) / span
    # a cell of the file that lies across the edge of an inset shows its surroundings, too
    query = shown[0] + (1 / GRID if first < -_FRAMED else 0), shown[1] - (1 / GRID if last > 1 + _FRAMED else 0)
    record = first + query[0] * span, first + query[1] * span
    share = min(record[1] - record[0], query[1] - query[0])
    if share * GRID < _COARSEST:
        return None
    return Axis(shown, query, record, min(_FINEST, max(_COARSEST, int(share * _FINEST + 1e-6))))


def _regions(rows: Axis, columns: Axis, *, mirrored: bool) -> I64:
    vertical, horizontal = (_region_of_cells(axis) for axis in (rows, columns))
    if mirrored:
        horizontal = REGIONS - 1 - horizontal
    regions: I64 = (vertical[:, None] * REGIONS + horizontal[None]).ravel()
    return regions


def _region_of_cells(axis: Axis) -> I64:
    first, last = axis.query
    centres = first + (last - first) * (np.arange(axis.count) + 0.5) / axis.count
    return np.minimum((centres * REGIONS).astype(np.int64), REGIONS - 1)


def _uncovered(rows: Axis, columns: Axis, *, mirrored: bool) -> tuple[int, ...]:
    vertical, horizontal = (_covered(axis) for axis in (rows, columns))
    if mirrored:
        horizontal = horizontal[::-1]
    return tuple(int(region) for region in np.flatnonzero(~(vertical[:, None] & horizontal[None]).ravel()))


def _covered(axis: Axis) -> npt.NDArray[np.bool_]:
    edges = np.arange(REGIONS + 1) / REGIONS
    covered: npt.NDArray[np.bool_] = (edges[:-1] >= axis.shown[0] - _BESIDE) & (edges[1:] <= axis.shown[1] + _BESIDE)
    return covered
