"""Eyes that are drawn larger than the tracker sees them are hidden by skin when they close; others are left alone."""

from __future__ import annotations

import torch
from mesh_material import portrait_landmarks

from generation.engines.mesh import raster, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.layers import outline_of
from generation.engines.mesh.lids import lid_cover
from generation.engines.mesh.source import rest_face

SKIN, WHITE = torch.tensor([0.8, 0.55, 0.4]), torch.tensor([0.85, 0.88, 0.9])


def cover_of(beyond: float) -> tuple[torch.Tensor | None, torch.Tensor]:
    """The cover for an eye drawn `beyond` face heights larger than its outline, and the distances (h, w) to the outline."""
    rest = rest_face(portrait_landmarks(), MeshConfig())
    outline = outline_of(rest.vertices, topology.eye_outline(0))
    positions = raster.window_around(outline, 0.1 * rest.height, (4096, 4096)).centres(torch.device("cpu"))
    distance = raster.signed_distance(outline, positions)
    eye = distance < beyond * rest.height
    patch = torch.where(eye, WHITE[:, None, None], SKIN[:, None, None])
    outer, inner = topology.EYE_CORNERS[0]
    margin = rest.vertices[[outer, *topology.LOWER_LIDS[0], inner], :2]
    return lid_cover(patch, positions, distance, margin, rest), distance


def test_an_eye_larger_than_its_lids_is_covered_with_skin_below_them() -> None:
    cover, distance = cover_of(0.02)
    assert cover is not None
    hidden = (cover[3] > 0.9) & (distance > 0)
    assert int(hidden.sum()) > 20
    assert torch.allclose(cover[:3, hidden], SKIN[:, None].expand(3, int(hidden.sum())), atol=0.02)


def test_lids_that_fit_need_no_cover() -> None:
    assert cover_of(0.0)[0] is None
