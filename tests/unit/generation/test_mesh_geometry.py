"""The mesh engine's geometry: similarities, limits, filters, rasteriser and fills."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from mesh_material import portrait_landmarks
from torch.nn import functional as F

from generation.engines.mesh import geometry, pixels, raster, tiles, topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.exemplar import exemplar_fill
from generation.engines.mesh.fill import pull_push
from generation.engines.mesh.layers import Layers, teeth_colour
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
    places = torch.tensor([[[5.3, 6.5], [5.5, 6.5]]])
    before, after = raster.between_points(seen, torch.tensor([[5, 6]]), places)[0, :, 0].tolist()
    assert before == pytest.approx(5.3, abs=1e-3)
    assert after == pytest.approx(55.5, abs=1e-3)


def drawn_aside(
    across: float, *, alpha: int, person: bool = True, share: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth skin moved to the left over a plate of grey 100, in tiles that do not fit the picture; and the skin."""
    ramp = torch.stack([torch.arange(230), 230 - torch.arange(230), torch.full((230,), 80)], -1).expand(190, 230, 3)
    skin = torch.cat([ramp * alpha // 255, torch.full((190, 230, 1), alpha)], -1).to(torch.uint8)
    grid = tiles.Grid(3, (190, 230))
    layers = Layers(skin, torch.full((190, 230, 3), 100, dtype=torch.uint8), (), ())  # type: ignore[arg-type]
    vertices = torch.tensor([[-9.0, -9, 0], [200, -9, 0], [-9, 200, 0]])
    moved = vertices[:, :2] + torch.tensor([across / 3, 0])
    found = raster.position_map(vertices, moved, torch.tensor([[0, 1, 2]]), grid.shape)
    covered = tiles.cover(skin[..., 3] * person, torch.ones(grid.shape), 3)
    target = torch.full((190, 230, 3), 7, dtype=torch.uint8)
    tiles.draw_skin(target, layers, tiles.warp(found, covered, grid, 1.2), [], None, share)
    return target.float(), ramp.float()


@pytest.mark.parametrize("alpha", [255, 51])
def test_skin_is_drawn_in_place_over_the_plate_in_every_tile(alpha: int) -> None:
    target, ramp = drawn_aside(6.0, alpha=alpha)
    expected = (ramp[:, 6:] * alpha + 100 * (255 - alpha)) / 255
    assert (target[:, :-6] - expected).abs().max() <= 1.5


def test_two_faces_share_the_pixels_between_them() -> None:
    share = torch.linspace(0, 1, 190)[:, None].expand(190, 230).contiguous()
    target, ramp = drawn_aside(6.0, alpha=51, share=share)
    alone = (ramp[:, 6:] * 51 + 100 * 204) / 255
    assert (target[:, :-6] - torch.lerp(torch.full_like(alone, 7), alone, share[:, :-6, None])).abs().max() <= 1.5


@pytest.mark.parametrize("across", [0.0, 6.0])
@pytest.mark.parametrize("alpha", [255, 51])
def test_a_device_that_draws_all_at_once_draws_the_same(alpha: int, across: float, monkeypatch: pytest.MonkeyPatch) -> None:
    in_tiles = drawn_aside(across, alpha=alpha)[0]
    monkeypatch.setattr(tiles, "_draw_tiles", tiles._draw_at_once)
    assert (drawn_aside(across, alpha=alpha)[0] - in_tiles).abs().max() <= 1


def test_what_does_not_move_and_what_is_no_person_is_left_alone() -> None:
    assert drawn_aside(0.0, alpha=255)[0].eq(7).all()
    assert drawn_aside(6.0, alpha=255, person=False)[0].eq(7).all()


def test_hair_over_the_forehead_turns_with_it_further_out_than_at_the_ears() -> None:
    """A ramp of depth that ends soon cuts the hairline of a head that looks up."""
    config = MeshConfig()
    near, hair = config.ring_depth_end
    assert hair > near
    ring = topology.FACE_POINTS + config.ring_scales.index(1.3) * len(topology.OVAL)
    forehead, ear = (topology.OVAL.index(point) for point in (topology.FOREHEAD, topology.CHEEK_LEFT))
    depth, abrupt = (
        rest_face(portrait_landmarks(), chosen).vertices[ring:, 2]
        for chosen in (config, replace(config, ring_depth_end=(near, near)))
    )
    assert float(depth[forehead]) < float(abrupt[forehead]) - 1
    assert float(depth[ear]) == pytest.approx(float(abrupt[ear]), abs=0.1)


def fold(across: float) -> torch.Tensor:
    """uint8 (48, 60, 3): a white cheek whose slanting edge lies before black hair, turned in front of it by so many pixels."""
    grid = tiles.Grid(4, (48, 60))
    near = torch.tensor([[-9.0, -9, -1], [24, -9, -1], [33, 60, -1], [-9, 60, -1]])
    far = torch.tensor([[24.0, -9, 1], [90, -9, 1], [90, 60, 1], [33, 60, 1]])
    skin = torch.full((48, 60, 4), 255, dtype=torch.uint8)
    edge = 28 + 9 / 69 * (torch.arange(48) + 9.5)
    skin[..., :3] = ((torch.arange(60) + 0.5) < edge[:, None])[..., None] * 255
    moved = torch.cat([near + torch.tensor([across, 0, 0]), far])
    rest = grid.on_map(torch.cat([near, far])[:, :2])
    squares = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    seen = raster.position_map(torch.cat([grid.on_map(moved[:, :2]), moved[:, 2:]], 1), rest, squares, grid.shape)
    covered = tiles.cover(skin[..., 3], torch.ones(grid.shape), 4)
    target = skin[..., :3].clone()
    layers = Layers(skin, torch.zeros(48, 60, 3, dtype=torch.uint8), (), ())  # type: ignore[arg-type]
    tiles.draw_skin(target, layers, tiles.warp(seen, covered, grid, 1.2), [], None, None)
    return target


def test_the_edge_of_a_cheek_that_turns_before_the_hair_has_no_steps() -> None:
    rows = fold(8.0)[6:42, :, 0].float().sum(1) / 255  # how far the cheek reaches in each row
    assert float((rows - rows[0] - 9 / 69 * torch.arange(len(rows))).abs().max()) < 0.7
    assert float(rows.diff().abs().max()) < 0.6


def test_distances_to_a_line_are_those_to_its_nearest_point_in_a_large_window_too() -> None:
    line = torch.stack([torch.linspace(50, 350, 40), torch.full((40,), 150.0)], 1)
    positions = raster.Window(20, 30, 380, 300).centres(torch.device("cpu"))
    exact = torch.cdist(positions.reshape(-1, 2), line).amin(1).reshape(positions.shape[:2])
    assert (raster.distance_to(line, positions) - exact).abs().max() < 2
    small = raster.Window(60, 130, 120, 170).centres(torch.device("cpu"))
    assert torch.allclose(
        raster.distance_to(line, small), torch.cdist(small.reshape(-1, 2), line).amin(1).reshape(40, 60), atol=1e-2
    )


def test_a_map_is_brought_to_the_pixels_around_the_middles_of_its_cells() -> None:
    grid = tiles.Grid(4, (40, 60))
    across, down = (grid.pixels(grid.on_map(grid.centres(axis))) for axis in (1, 0))
    points = torch.stack([across.expand(len(down), -1), down[:, None].expand(-1, len(across))], -1)
    places = pixels.spread(points.numpy(), 4)
    assert places[7, 13].tolist() == pytest.approx([13, 7], abs=1e-4)
    assert places[39, 59].tolist() == pytest.approx([59, 39], abs=1e-4)


@pytest.mark.parametrize("sharp", [False, True])
def test_colours_between_pixels_are_those_of_torch(sharp: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    picture = torch.randint(0, 256, (30, 40, 4), generator=generator, dtype=torch.uint8)
    places = torch.rand(50, 60, 2, generator=generator) * torch.tensor([46.0, 36.0]) - 3  # some lie outside
    grid = (2 * places + 1) / torch.tensor([40, 30]) - 1
    mode = "bicubic" if sharp else "bilinear"
    expected = F.grid_sample(
        picture.permute(2, 0, 1).float()[None], grid[None], mode=mode, padding_mode="border", align_corners=False
    )[0]
    found = pixels.sampled(picture.numpy(), places.numpy(), sharp=sharp)
    assert (torch.from_numpy(found) - expected.permute(1, 2, 0).clamp(0, 255)).abs().max() <= 1


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
