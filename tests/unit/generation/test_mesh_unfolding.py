"""Skin around an open mouth: however far it opens no part of the mesh turns over, which would show as torn skin."""

from __future__ import annotations

import torch
from mesh_material import RATE, face, portrait_landmarks, prepared, still_track
from torch import Tensor

from generation.engines.base import FaceTrack, Options, Performance
from generation.engines.mesh import geometry, topology
from generation.engines.mesh.animator import PreparedStill
from generation.engines.mesh.casting import Act, Drivers, Timing, cast_acts
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.source import RestFace
from generation.engines.mesh.unfold import SPOKES, Unfold

FRAMES = 6  # from closed lips to the widest shout


def shout(points: Tensor, frame: int) -> Tensor:
    """Lips part, the lower one further than the chin, the upper one up to the nose; the corners come closer."""
    amount = frame / (FRAMES - 1) * (points[topology.CHIN] - points[topology.FOREHEAD]).norm()
    lips = points[list(topology.OUTER_CORNERS)]
    half = (lips[1, 0] - lips[0, 0]) / 2
    arch = (1 - ((points[:, 0] - lips[:, 0].mean()) / half).square()).clamp_min(0).sqrt()
    drop = 0.14 * geometry.smoothstep(points[:, 1], float(lips[:, 1].mean()), float(points[topology.CHIN, 1]))
    upper, lower = ([row for spoke in half for row in spoke[:4]] for half in (SPOKES[1:10], SPOKES[11:20]))
    drop[lower] = 0.2 * arch[lower]
    drop[upper] = -0.05 * arch[upper]
    points[:, 1] += drop * amount
    return points


def acted(track: FaceTrack) -> tuple[Act, RestFace]:
    still = prepared()
    assert isinstance(still, PreparedStill)
    performances, options = [Performance(face(), track)], Options(reference=0)
    timing = Timing(RATE, track.frame_count)
    return cast_acts(still.faces[:1], performances, options, timing, Drivers(MeshConfig()))[0], still.faces[0].rest


def areas(points: Tensor, triangles: Tensor) -> Tensor:
    """Twice the signed areas (..., M) in the picture."""
    first, second = (points[..., triangles[:, corner], :2] - points[..., triangles[:, 0], :2] for corner in (1, 2))
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]


def around_mouth(rest: RestFace) -> Tensor:
    """Triangles (M, 3) of lips, chin and the skin between mouth and nose, but for those hardly seen in the still."""
    triangles = topology.face_triangles()
    near = torch.zeros(topology.FACE_POINTS, dtype=torch.bool)
    near[[point for spoke in SPOKES for point in spoke]] = True
    triangles = triangles[near[triangles].all(1)]
    size = areas(rest.vertices, triangles)
    return triangles[size * size.median().sign() > 0.05 * size.median().abs()]


def still_face() -> Tensor:
    """(468, 3) the portrait's face, seen from the front."""
    points = portrait_landmarks()[: topology.FACE_POINTS]
    upright: Tensor = (points - points.mean(0)) @ geometry.head_axes(points)
    return upright


def test_nothing_around_the_mouth_turns_over_in_the_widest_shout() -> None:
    act, rest = acted(still_track(FRAMES, shout))
    vertices = act.pose(0, FRAMES).vertices
    triangles = around_mouth(rest)
    opened = (vertices[-1, 14] - vertices[-1, 13]).norm() / rest.height
    turned_over = areas(vertices, triangles) * areas(rest.vertices, triangles).sign() <= 0
    assert float(opened) > 0.15
    assert len(triangles) > 100
    assert int(turned_over[1:].sum()) == 0


def test_the_inner_edge_of_the_lips_and_a_face_at_rest_stay_where_they_are() -> None:
    rest = still_face()
    height = float((rest[topology.CHIN] - rest[topology.FOREHEAD]).norm())
    wide = shout(rest.clone(), FRAMES - 1)
    inner = [spoke[0] for spoke in SPOKES]
    placed = Unfold(rest, height)(torch.stack([rest, wide]))
    assert torch.allclose(placed[0], rest, atol=1e-3)
    assert torch.equal(placed[1, inner], wide[inner])
    assert float((placed[1] - wide).abs().max()) > 0.02 * height


def test_skin_gives_way_little_by_little_as_the_mouth_opens() -> None:
    rest = still_face()
    height = float((rest[topology.CHIN] - rest[topology.FOREHEAD]).norm())
    wide = shout(rest.clone(), FRAMES - 1)
    opening = torch.linspace(0, 1, 61)[:, None, None]
    placed = Unfold(rest, height)(torch.lerp(rest, wide, opening))
    assert float(placed.diff(dim=0).norm(dim=-1).max()) < 0.008 * height
