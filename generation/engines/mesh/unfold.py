"""Skin that gives way to an open mouth: lips push the rows of points around them along and never pass them, so none folds."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from generation.engines.mesh import geometry, topology

# Outwards from the inner edge of the lips: two points on the lip, its outer edge, the skin, and what stays where it is (the
# nose, the cheeks, the jaw). From the picture's left corner over the upper lip to the right one, and back along the lower.
SPOKES = (
    (78, 62, 76, 61, 57, 212),
    (191, 183, 184, 185, 186, 216),
    (80, 42, 74, 40, 92, 203),
    (81, 41, 73, 39, 165, 98),
    (82, 38, 72, 37, 167, 97),
    (13, 12, 11, 0, 164, 2),
    (312, 268, 302, 267, 393, 326),
    (311, 271, 303, 269, 391, 327),
    (310, 272, 304, 270, 322, 423),
    (415, 407, 408, 409, 410, 436),
    (308, 292, 306, 291, 287, 432),
    (324, 325, 307, 375, 273, 422, 365),
    (318, 319, 320, 321, 335, 424, 431, 379),
    (402, 403, 404, 405, 406, 418, 262, 400),
    (317, 316, 315, 314, 313, 421, 428, 377),
    (14, 15, 16, 17, 18, 200, 199, 152),
    (87, 86, 85, 84, 83, 201, 208, 148),
    (178, 179, 180, 181, 182, 194, 32, 176),
    (88, 89, 90, 91, 106, 204, 211, 150),
    (95, 96, 77, 146, 43, 202, 136),
)
INNER, OUTER, END = (torch.tensor([spoke[place] for spoke in SPOKES]) for place in (0, 3, -1))
REACH = 9  # edges of the mesh from the inner lips to where skin keeps its own way
OPEN = (0.015, 0.06)  # gap of the lips, in face heights, from which skin gives way, and does so wholly
# Of their widths at rest, above and below the mouth: what is pressed together more looks torn. Where there is no room for
# both, lip and skin share what there is.
LEAST_LIP, LEAST_SKIN = (0.8, 0.75), (0.3, 0.4)
LEAST_COTANGENT = 0.05  # less, at obtuse angles, would push instead of pull


class Unfold:
    """Places the points between the inner edge of the lips, which stays, and the skin far from them."""

    def __init__(self, face: Tensor, height: float) -> None:
        """face: (468, 3) of the still in head axes; height: of the face, in the same unit."""
        self._face, self._height = face, height
        self._along = F.normalize(face[END, :2] - face[INNER, :2], dim=-1)  # (20, 2)
        self._lip, self._skin = (width.clamp_min(1e-3) for width in self._widths(face))
        lower = self._along[:, 1] > 0
        self._least_lip = torch.where(lower, LEAST_LIP[1], LEAST_LIP[0]) * self._lip
        self._least_skin = torch.where(lower, LEAST_SKIN[1], LEAST_SKIN[0]) * self._skin
        self._points, self._follow = self._followers()

    def __call__(self, face: Tensor) -> Tensor:
        """Faces (B, 468, 3) in head axes, their skin evened out."""
        gaps = (face[:, list(topology.INNER_LOWER), 1] - face[:, list(topology.INNER_UPPER), 1]).amax(1) / self._height
        share = geometry.smoothstep(gaps, *OPEN)[:, None, None]
        even = self._with_room(face)
        even[:, self._points] = self._face[self._points] + self._follow @ (even - self._face)
        return torch.lerp(face, even, share)

    def _widths(self, face: Tensor) -> tuple[Tensor, Tensor]:
        """(..., 20) of the lip and of the skin along each spoke. face: (..., 468, 3)."""
        inner, outer, end = ((face[..., row, :2] * self._along).sum(-1) for row in (INNER, OUTER, END))
        return outer - inner, end - outer

    def _with_room(self, face: Tensor) -> Tensor:
        """The outer edge of the lips drawn in where it leaves too little skin. face: (B, 468, 3)."""
        lip, skin = self._widths(face)  # (B, 20) each
        room = ((lip + skin) / (self._least_lip + self._least_skin)).clamp(0, 1)
        back = torch.minimum(room * self._least_skin - skin, lip - room * self._least_lip).clamp_min(0)
        face = face.clone()
        face[:, OUTER] = torch.lerp(face[:, OUTER], face[:, INNER], (back / lip.clamp_min(1e-3))[..., None])
        return face

    def _followers(self) -> tuple[Tensor, Tensor]:
        """Points (F,) that are placed by others, and how far they go with each point (F, 468)."""
        follow = torch.eye(topology.FACE_POINTS, dtype=torch.float64)
        placed = set()
        for spoke, along in zip(SPOKES, self._along, strict=True):
            way = self._face[list(spoke), :2] @ along
            for first, last in ((0, 3), (3, len(spoke) - 1)):
                for place in range(first + 1, last):
                    share = ((way[place] - way[first]) / (way[last] - way[first]).clamp_min(1e-3)).clamp(0, 1)
                    follow[spoke[place]] = 0
                    follow[spoke[place], spoke[first]], follow[spoke[place], spoke[last]] = 1 - share, share
                    placed.add(spoke[place])
        free = _near_mouth() & (self._face[:, 1] > self._face[topology.NOSE_BASE, 1] + 0.005 * self._height)
        free[[*topology.OVAL, *placed, *INNER.tolist(), *OUTER.tolist()]] = False
        pull = _pull(self._face)
        stretched = pull.sum(1).diag() - pull
        follow[free] = torch.linalg.solve(stretched[free][:, free], pull[free][:, ~free]) @ follow[~free]
        free[list(placed)] = True
        return free.nonzero()[:, 0], follow[free].float()


def _near_mouth() -> Tensor:
    """bool (468,): fewer than REACH edges of the mesh from the inner lips."""
    triangles = topology.face_triangles()
    near = torch.zeros(topology.FACE_POINTS, dtype=torch.bool)
    near[INNER] = True
    for _ in range(REACH - 1):
        near[triangles[near[triangles].any(1)]] = True
    return near


def _pull(face: Tensor) -> Tensor:
    """(468, 468) how strongly neighbours pull on each other: half the cotangents facing their edge (Pinkall, Polthier, 1993)."""
    points = face[:, :2].double()
    pull = torch.zeros(topology.FACE_POINTS, topology.FACE_POINTS, dtype=torch.float64)
    for corner in range(3):
        at, first, second = topology.face_triangles().roll(-corner, 1).unbind(1)
        a, b = points[first] - points[at], points[second] - points[at]
        cotangent = (a * b).sum(1) / (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).abs().clamp_min(1e-6)
        pull.index_put_((first, second), cotangent / 2, accumulate=True)
    pull = pull + pull.T
    return torch.where(pull == 0, 0, pull.clamp_min(LEAST_COTANGENT))
