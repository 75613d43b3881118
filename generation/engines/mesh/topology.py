"""The vertices and triangles of the mesh: MediaPipe's 468 face points, and rings around the face oval."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

FACE_POINTS = 468  # points 468..477 are the irises: they move no mesh
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
FOREHEAD, CHIN = 10, 152
NOSE_BASE = 2
CHEEK_RIGHT, CHEEK_LEFT = 234, 454  # the subject's right is the picture's left

# Outer to inner corner, the subject's right eye first.
EYE_CORNERS = ((33, 133), (263, 362))
UPPER_LIDS = ((246, 161, 160, 159, 158, 157, 173), (466, 388, 387, 386, 385, 384, 398))
LOWER_LIDS = ((7, 163, 144, 145, 153, 154, 155), (249, 390, 373, 374, 380, 381, 382))
UPPER_FOLDS = ((247, 30, 29, 27, 28, 56, 190), (467, 260, 259, 257, 258, 286, 414))
LOWER_FOLDS = ((25, 110, 24, 23, 22, 26, 112), (255, 339, 254, 253, 252, 256, 341))
EYE_OUTSIDES = ((130, 243), (359, 463))
IRISES = (468, 473)

# From the picture's left corner to the right one.
MOUTH_CORNERS = (78, 308)
OUTER_CORNERS = (61, 291)
INNER_UPPER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
INNER_LOWER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
OUTER_UPPER = (185, 40, 39, 37, 0, 267, 269, 270, 409)
OUTER_LOWER = (146, 91, 181, 84, 17, 314, 405, 321, 375)

BROWS = (70, 63, 105, 66, 107, 46, 53, 52, 65, 55, 300, 293, 334, 296, 336, 276, 283, 282, 295, 285)
# Skull points that expressions hardly move: forehead, temples, nose bridge, eye corners, upper cheekbones.
STABLE = (
    10, 338, 297, 332, 284, 251, 389, 356, 127, 162, 21, 54, 103, 67, 109, 151, 108, 337, 69, 299, 104, 333, 68, 298,
    168, 6, 197, 195, 5, 4, 122, 351, 193, 417, 33, 133, 362, 263, 130, 359, 243, 463, 34, 264, 227, 447, 116, 345,
)  # fmt: skip


def _strip(first: tuple[int, ...], second: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Triangles between two polylines that share their end points."""
    triangles = []
    for i in range(len(first) - 1):
        triangles.append((first[i], first[i + 1], second[i + 1]))
        triangles.append((first[i], second[i + 1], second[i]))
    return [t for t in triangles if len(set(t)) == 3]


def _fillers() -> list[tuple[int, int, int]]:
    """Triangles that close the eyes and the inner lips, so that the skin layer has no holes."""
    triangles: list[tuple[int, int, int]] = []
    for (outer, inner), upper, lower in zip(EYE_CORNERS, UPPER_LIDS, LOWER_LIDS, strict=True):
        triangles += _strip((outer, *upper, inner), (outer, *lower, inner))
    left, right = MOUTH_CORNERS
    return triangles + _strip((left, *INNER_UPPER, right), (left, *INNER_LOWER, right))


def _ring_triangles(rings: int) -> list[tuple[int, int, int]]:
    """Triangles from the oval outwards, ring after ring."""
    side = len(OVAL)
    levels = [list(OVAL)] + [[FACE_POINTS + r * side + i for i in range(side)] for r in range(rings)]
    triangles = []
    for inner, outer in pairwise(levels):
        for i in range(side):
            j = (i + 1) % side
            triangles += [(inner[i], inner[j], outer[j]), (inner[i], outer[j], outer[i])]
    return triangles


@cache
def face_triangles() -> Tensor:
    """int64 (852, 3): the face with open eyes and lips."""
    table: Tensor = load_file(str(Path(__file__).with_name("face_topology.safetensors")))["triangles"]
    return table.long()


@cache
def mesh_triangles(rings: int) -> Tensor:
    """int64 (M, 3): face, fillers and rings. Ring r, place i is vertex 468 + 36 r + i."""
    added = torch.tensor(_fillers() + _ring_triangles(rings), dtype=torch.int64)
    return torch.cat([face_triangles(), added])


def eye_outline(eye: int) -> tuple[int, ...]:
    """The lid margin as a closed polygon: upper lid from the outer corner, back along the lower lid."""
    outer, inner = EYE_CORNERS[eye]
    return (outer, *UPPER_LIDS[eye], inner, *reversed(LOWER_LIDS[eye]))


def mouth_outline() -> tuple[int, ...]:
    """The inner lip margin as a closed polygon."""
    left, right = MOUTH_CORNERS
    return (left, *INNER_UPPER, right, *reversed(INNER_LOWER))
