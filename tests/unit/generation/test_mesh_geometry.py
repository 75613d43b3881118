"""The mesh engine's geometry: similarities, limits, filters, rasteriser and fills."""

from __future__ import annotations

import math

import pytest
import torch
from mesh_material import portrait_landmarks

from generation.engines.mesh import geometry, raster, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.fill import mirror_fill, pull_push
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
    moved = raster.displacement_map(rest.vertices, rest.texture, triangles, (300, 400))
    assert float(moved.abs().quantile(0.99)) < 0.05


def test_the_nearer_of_two_triangles_is_seen() -> None:
    corners = torch.tensor([[0.0, 0.0], [16.0, 0.0], [0.0, 16.0]])
    vertices = torch.cat([torch.cat([corners, torch.full((3, 1), z)], 1) for z in (5.0, -5.0)])
    rest = torch.cat([corners, corners + 3])
    moved = raster.displacement_map(vertices, rest, torch.tensor([[0, 1, 2], [3, 4, 5]]), (16, 16))
    assert torch.allclose(moved[:, 3, 3], torch.tensor([3.0, 3.0]), atol=1e-4)
    assert torch.equal(moved[:, 15, 15], torch.zeros(2))


def test_a_polygons_coverage_sums_to_its_area() -> None:
    angle = torch.arange(64) / 64 * 2 * math.pi
    circle = torch.stack([20 + 11.3 * torch.cos(angle), 20 + 11.3 * torch.sin(angle)], 1)
    shares = raster.coverage(circle, raster.Window(0, 0, 40, 40).centres(torch.device("cpu")))
    assert float(shares.sum()) == pytest.approx(math.pi * 11.3**2, rel=0.01)


def test_filling_keeps_what_is_known_and_continues_stripes() -> None:
    stripes = (torch.arange(64) // 4 % 2).float().expand(3, 64, 64).clone()
    hidden = torch.zeros(64, 64, dtype=torch.bool)
    hidden[24:36] = True
    filled = mirror_fill(torch.where(hidden, 0.5, stripes), hidden)
    assert torch.equal(filled[:, ~hidden], stripes[:, ~hidden])
    assert (filled - stripes)[:, 25].abs().mean() < 0.15
    assert torch.allclose(pull_push(stripes, torch.ones(64, 64)), stripes)
