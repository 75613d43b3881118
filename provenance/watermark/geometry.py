"""Where the tile lies in a received picture, as a projective map, and the small algebra of such maps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]

# The eight ways in which a square lattice falls on itself: quarter turns, and quarter turns of the mirrored tile.
SYMMETRIES: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = tuple(
    ((a * m, b), (c * m, d)) for m in (1, -1) for a, b, c, d in ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))
)


@dataclass(frozen=True)
class Geometry:
    """Maps received luma pixels (x, y, 1) to tile pixels by a 3x3 matrix, rows first; the tile's period is the scheme's."""

    rows: tuple[tuple[float, float, float], ...]

    @classmethod
    def of(cls, matrix: Matrix) -> Geometry:
        """From a 3x3 array, or from a 2x2 one without a shift."""
        whole = np.eye(3)
        whole[: matrix.shape[0], : matrix.shape[1]] = matrix
        whole /= whole[2, 2]
        return cls(tuple((float(a), float(b), float(c)) for a, b, c in whole))

    @classmethod
    def of_scale(cls, scale_x: float, scale_y: float) -> Geometry:
        """Both axes resized: the tile's period in received pixels over the scheme's, per axis."""
        return cls.of(np.diag([1.0 / scale_x, 1.0 / scale_y]))

    @property
    def matrix(self) -> Matrix:
        """float64 (3, 3)."""
        return np.array(self.rows)

    @property
    def scale_x(self) -> float:
        """Received pixels per tile pixel along the received rows, at the picture's corner."""
        return 1.0 / math.hypot(self.rows[0][0], self.rows[1][0])

    @property
    def scale_y(self) -> float:
        """Received pixels per tile pixel along the received columns, at the picture's corner."""
        return 1.0 / math.hypot(self.rows[0][1], self.rows[1][1])

    @property
    def shift_x(self) -> float:
        """Tile pixels at the received picture's left edge."""
        return self.rows[0][2]

    @property
    def shift_y(self) -> float:
        """Tile pixels at the received picture's top edge."""
        return self.rows[1][2]

    @property
    def turn_degrees(self) -> float:
        """How far the received picture is turned against the tile."""
        return math.degrees(math.atan2(self.rows[1][0], self.rows[0][0]))

    @property
    def mirrored(self) -> bool:
        """Whether the received picture shows the tile reversed."""
        return bool(np.linalg.det(self.matrix[:2, :2]) < 0.0)

    @property
    def is_upright(self) -> bool:
        """Whether rows and columns of the picture are rows and columns of the tile: nothing but sizes and a shift."""
        (xx, xy, _), (yx, yy, _), (tilt_x, tilt_y, _) = self.rows
        return xy == yx == tilt_x == tilt_y == 0.0 and xx > 0.0 and yy > 0.0

    def placed(self, symmetry: tuple[tuple[int, int], tuple[int, int]], shift_x: float, shift_y: float) -> Geometry:
        """This map, then a symmetry of the lattice, then a shift in tile pixels."""
        after = np.eye(3)
        after[:2, :2] = symmetry
        after[:2, 2] = (shift_x, shift_y)
        return Geometry.of(after @ self.matrix)


def linear(scale: float, aspect: float, turn: float, shear: float) -> Matrix:
    """The 2x2 map of a picture resized by `scale`, made wider by exp(aspect), turned by `turn` radians and sheared."""
    resized = np.diag([math.exp(-aspect / 2.0), math.exp(aspect / 2.0)]) / scale
    cos, sin = math.cos(turn), math.sin(turn)
    turned: Matrix = np.array([[1.0, shear], [0.0, 1.0]]) @ np.array([[cos, sin], [-sin, cos]]) @ resized
    return turned


def tilted(matrix: Matrix, tilt_x: float, tilt_y: float, size: tuple[int, int]) -> Matrix:
    """A 2x2 map made projective: at the picture's edges its denominator is 1 plus or minus the tilts. size: width, height."""
    width, height = size
    centre = np.array([[1.0, 0.0, -width / 2.0], [0.0, 1.0, -height / 2.0], [0.0, 0.0, 1.0]])
    view = np.eye(3)
    view[2, :2] = (2.0 * tilt_x / width, 2.0 * tilt_y / height)
    flat = np.eye(3)
    flat[:2, :2] = matrix
    whole: Matrix = flat @ view @ centre
    whole /= whole[2, 2]
    return whole
