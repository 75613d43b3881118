"""The mesh engine's geometry: similarities, limits, filters, rasteriser and fills."""

from __future__ import annotations

import math

import pytest
import torch
from mesh_material import portrait_landmarks

from generation.engines.mesh import geometry, raster, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.exemplar import exemplar_fill
from generation.engines.mesh.fill import pull_push
from generation.engines.mesh.layers import teeth_colour
from generation.engines.mesh.source import rest_face


def test_a_similarity_is_recovered_exactly() -> None:
    points = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points -= points.mean(0)
    rotation = geometry.from_angles(torch.tensor([[0.3, -0.2, 0.4]], dtype=torch.float64))
    found, scale = geometry.umeyama(points, 1.3 * points[None] @ rotation.mT)
    assert torch.allclose(found, rotation)
    assert float(scale[0]) == pytest.approx(1.3)


def test_angles_survive_a_round_trip() -> None:
    angles = torch.tensor([[0.5, -0.3, 0.2], [-0.7, 0.4, -1.0]])
    assert torch.allclose(geometry.to_angles(geometry.from_angles(angles)), angles, atol=1e-6)


def test_a_soft_limit_passes_small_values_and_is_never_passed() -> None:
    limited = geometry.soft_limit(torch.tensor([0.1, -0.5, 3.0, -90.0]), 1.0, 0.6)
    assert limited[:2].tolist() == pytest.approx([0.1, -0.5])
    assert float(limited.abs().max()) <= 1.0


def test_the_smoothing_filter_keeps_a_parabola_and_calms_noise() -> None:
    kernel = geometry.savgol_kernel(3, 2)
    t = torch.arange(30, dtype=torch.float64)
    assert torch.allclose(geometry.smooth(t**2, kernel), t[3:-3] ** 2)
    noise = torch.randn(3000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert geometry.smooth(noise, kernel).std() < 0.65 * noise.std()


def test_an_unmoved_mesh_displaces_nothing() -> None:
    rest = rest_face(portrait_landmarks(), MeshConfig())
    triangles = topology.mesh_triangles(len(MeshConfig().ring_scales))
    found = raster.position_map(rest.vertices, rest.texture, triangles, (300, 400)).found
    moved = found - raster.points((300, 400), found.device)
    assert float(moved.abs().quantile(0.99)) < 0.05


def test_the_nearer_of_two_triangles_is_seen() -> None:
    corners = torch.tensor([[0.0, 0.0], [16.0, 0.0], [0.0, 16.0]])
    vertices = torch.cat([torch.cat([corners, torch.full((3, 1), z)], 1) for z in (5.0, -5.0)])
    rest = torch.cat([corners, corners + 3])
    found = raster.position_map(vertices, rest, torch.tensor([[0, 1, 2], [3, 4, 5]]), (16, 16)).found
    assert torch.allclose(found[:, 3, 3], torch.tensor([6.0, 6.0]), atol=1e-4)
    assert torch.equal(found[:, 15, 15], torch.tensor([15.0, 15.0]))


def test_a_polygons_coverage_sums_to_its_area() -> None:
    angle = torch.arange(64) / 64 * 2 * math.pi
    circle = torch.stack([20 + 11.3 * torch.cos(angle), 20 + 11.3 * torch.sin(angle)], 1)
    shares = raster.coverage(circle, raster.Window(0, 0, 40, 40).centres(torch.device("cpu")))
    assert float(shares.sum()) == pytest.approx(math.pi * 11.3**2, rel=0.01)


def test_filling_keeps_what_is_known() -> None:
    stripes = (torch.arange(64) // 4 % 2).float().expand(3, 64, 64).clone()
    assert torch.allclose(pull_push(stripes, torch.ones(64, 64)), stripes)


def test_what_a_person_hid_is_continued_with_the_pattern_around_it() -> None:
    """A chequered wall behind a disc: a smooth fill is half grey everywhere, a continued one hits most squares."""
    rows, columns = torch.meshgrid(torch.arange(160), torch.arange(160), indexing="ij")
    wall = ((rows // 10 + columns // 10) % 2).float().expand(3, -1, -1).clone()
    hidden = (rows - 80).square() + (columns - 80).square() < 35**2
    filled = exemplar_fill(torch.where(hidden, 0.5, wall), hidden, hidden)
    assert torch.equal(filled[:, ~hidden], wall[:, ~hidden])
    assert (filled - wall)[:, hidden].abs().mean() < 0.3


def test_a_wall_without_enough_to_copy_is_filled_smoothly() -> None:
    hidden = torch.ones(64, 64, dtype=torch.bool)
    hidden[:, :2] = False
    filled = exemplar_fill(torch.full((3, 64, 64), 0.25), hidden, hidden)
    assert torch.allclose(filled, torch.full((3, 64, 64), 0.25), atol=1e-3)


def test_a_place_between_the_points_of_a_map_belongs_to_its_own_side_of_a_fold() -> None:
    near, far = [[0.0, 0.0], [5.4, 0.0], [5.4, 12.0], [0.0, 12.0]], [[0.0, 0.0], [12.0, 0.0], [12.0, 12.0], [0.0, 12.0]]
    vertices = torch.tensor([[x, y, z] for z, corners in ((-1.0, near), (1.0, far)) for x, y in corners])
    rest = torch.cat([vertices[:4, :2], vertices[4:, :2] + 50])
    squares = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    seen = raster.position_map(vertices, rest, squares, (12, 12))
    row, column = torch.full((2,), 6), torch.full((2,), 5)
    before, after = raster.between_points(seen, row, column, torch.tensor([5.3, 5.5]), torch.tensor([6.5, 6.5]))[0].tolist()
    assert before == pytest.approx(5.3, abs=1e-3)
    assert after == pytest.approx(55.5, abs=1e-3)


def test_bands_cover_a_window_once() -> None:
    drawn = torch.zeros(20, 30)
    for band in raster.Window(3, 2, 28, 19).bands(100):
        drawn[band.rows, band.columns] += 1
    assert torch.equal(drawn[2:19, 3:28], torch.ones(17, 25))
    assert float(drawn.sum()) == 17 * 25
    assert not list(raster.Window(5, 2, 5, 9).bands(100))


def test_a_large_outline_is_measured_coarsely_but_in_place() -> None:
    angle = torch.arange(64) / 64 * 2 * math.pi
    circle = torch.stack([200 + 113 * torch.cos(angle), 210 + 113 * torch.sin(angle)], 1)
    positions = raster.Window(40, 60, 380, 360).centres(torch.device("cpu"))
    exact = (positions - torch.tensor([200.0, 210.0])).norm(dim=-1) - 113
    near = exact.abs() < 10
    assert (raster.signed_distance(circle, positions) - exact)[near].abs().max() < 1


def test_teeth_take_the_light_of_the_eyes_and_are_no_darker_than_the_skin() -> None:
    pale, dim = torch.tensor([0.85, 0.85, 0.9]), torch.tensor([0.3, 0.2, 0.15])
    skin = torch.tensor([0.7, 0.5, 0.4])
    bright, lifted = teeth_colour(pale, skin), teeth_colour(dim, skin)
    assert float(bright.mean()) > 0.8
    assert float(lifted.mean()) > float(skin.mean()) * 0.95
    assert float(lifted[0] - lifted[2]) > float(bright[0] - bright[2])
