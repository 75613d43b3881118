"""Glances that go all the way, eyeballs that leave the shade of the lids behind, and smiles that look like smiles."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from mesh_material import as_track, engine, perform, portrait_landmarks, prepared, still_track
from torch import Tensor

from generation.engines.base import Options
from generation.engines.mesh import raster, topology
from generation.engines.mesh.animator import PreparedStill
from generation.engines.mesh.composite import FaceModel
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.eyeball import MOST_SHADE
from generation.engines.mesh.measures import gaze_offsets
from generation.engines.mesh.motion import Driver
from generation.engines.mesh.reference import choose_reference
from generation.engines.mesh.retarget import Pose, Retarget
from generation.engines.mesh.source import rest_face

CONFIG = MeshConfig()


def model() -> FaceModel:
    still = prepared()
    assert isinstance(still, PreparedStill)
    return still.faces[0]


@cache
def eye_width() -> float:
    corners = portrait_landmarks()[list(topology.EYE_CORNERS[0])]
    return float((corners[1] - corners[0]).norm())


def posed(points: Tensor) -> Pose:
    """The portrait, at rest in the first of these frames (T, 478, 3) and moved as they move."""
    options = Options(reference=0, smoothing=0.0)
    driver = Driver(as_track(points), options, CONFIG)
    return Retarget(model().rest, driver.neutral, options, CONFIG)(driver.block(0, len(points)))


def looking(across: float, down: float = 0.0) -> Tensor:
    """Two frames: the portrait as it is, and with its irises moved by these shares of an eye's width."""
    points = portrait_landmarks()[None].repeat(2, 1, 1)
    points[1, 468:, :2] += torch.tensor([across, down]) * eye_width()
    return points


def smiling(rise: float) -> Tensor:
    """Two frames: the portrait, and with the corners of its mouth, and what lies around them, lifted by this many pixels."""
    points = portrait_landmarks()[None].repeat(2, 1, 1)
    corners = points[0, list(topology.OUTER_CORNERS), :2]
    near = torch.exp(-((torch.cdist(points[0, :, :2], corners).amin(1) / 10) ** 2))
    points[1, :, 1] -= rise * near
    return points


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_strong_glance_to_the_side_goes_all_the_way(side: float) -> None:
    shift = posed(looking(0.25 * side)).gaze[1, 0] / eye_width()
    assert float(shift) * side > 0.23


def test_irises_never_leave_the_eye() -> None:
    shift = posed(looking(0.9, 0.9)).gaze[1].abs() / eye_width()
    assert float(shift[0]) < CONFIG.gaze_limit + 0.05
    assert float(shift[1]) < CONFIG.gaze_limit_vertical + 0.05


def test_both_eyes_look_the_same_way() -> None:
    moved = perform(as_track(looking(0.2)), Options(reference=0, smoothing=0.0))
    before, after = (_from_corners(engine()._analyser.faces(frame)[0].landmarks) for frame in moved)
    assert bool((after - before > 0.05).all())


def _from_corners(points: Tensor) -> Tensor:
    """(2,): how far each iris of a face (478, 3) is to the right of the middle of its eye, in eye widths."""
    middles = torch.stack([points[list(corners), 0].mean() for corners in topology.EYE_CORNERS])
    return (points[list(topology.IRISES), 0] - middles) / eye_width()


def test_what_the_still_shows_of_an_eye_is_its_ball_times_the_shade_of_its_lids() -> None:
    layers, rest = model().layers, model().rest
    for eye, texture in enumerate(layers.eyes):
        shown = texture.ball * texture.shade * MOST_SHADE
        outline = raster.rounded_outline(rest.vertices[list(topology.eye_outline(eye)), :2], 8)
        inside = raster.signed_distance(outline, texture.window.centres(shown.device)) < -1.0
        region = model().region
        still = prepared()
        assert isinstance(still, PreparedStill)
        part = still.picture[region.top : region.bottom, region.left : region.right].permute(2, 0, 1).float() / 255
        patch = part[:, texture.window.rows, texture.window.columns]
        assert float((shown - patch)[:, inside].abs().quantile(0.95)) < 0.02


def test_a_ball_that_turns_shows_white_and_not_the_lashes_where_the_iris_was() -> None:
    layers, rest = model().layers, model().rest
    for eye, texture in enumerate(layers.eyes):
        outline = raster.rounded_outline(rest.vertices[list(topology.eye_outline(eye)), :2], 8)
        positions = texture.window.centres(texture.ball.device)
        near = raster.signed_distance(outline, positions).abs() < 0.006 * rest.height
        away = (positions - rest.irises[eye, :2]).norm(dim=-1) > 0.3 * eye_width()
        rim = near & away
        seen = (texture.ball * texture.shade * MOST_SHADE)[:, rim].mean()
        assert float(texture.ball[:, rim].mean()) > 1.15 * float(seen)


def test_a_driver_who_mostly_glances_aside_is_at_rest_when_looking_ahead() -> None:
    ahead = portrait_landmarks().clone()
    ahead[468:, 0] -= float(gaze_offsets(ahead[None])[0, 0]) * eye_width()
    points = ahead[None].repeat(9, 1, 1)
    points[2:, 468:, 0] += 0.2 * eye_width()
    assert choose_reference(points, None, CONFIG) < 2


def test_a_smile_lifts_the_corners_at_least_as_far_as_the_drivers_rise() -> None:
    rise = 6.0
    made = posed(smiling(rise)).vertices
    corners = list(topology.OUTER_CORNERS)
    assert float((made[0, corners, 1] - made[1, corners, 1]).mean()) > rise


def test_a_mouth_that_hangs_at_its_corners_does_not_hang_in_a_smile() -> None:
    level, hanging = portrait_landmarks(), portrait_landmarks().clone()
    hanging[list(topology.OUTER_CORNERS), 1] += 3.0
    options = Options(reference=0, smoothing=0.0)
    driver = Driver(as_track(smiling(6.0)), options, CONFIG)
    rests = [rest_face(face, CONFIG) for face in (level, hanging)]
    corners = list(topology.OUTER_CORNERS)
    lifts = []
    for rest in rests:
        made = Retarget(rest, driver.neutral, options, CONFIG)(driver.block(0, 2)).vertices
        lifts.append(float((made[0, corners, 1] - made[1, corners, 1]).mean()))
    assert lifts[1] > lifts[0] + 1.0


def test_lips_without_a_smile_are_left_where_the_driver_puts_them() -> None:
    made = posed(smiling(-4.0)).vertices
    corners = list(topology.OUTER_CORNERS)
    assert float((made[1, corners, 1] - made[0, corners, 1]).mean()) == pytest.approx(4.0, abs=0.8)


def test_the_lower_lids_rise_more_in_a_smile_than_in_a_blink() -> None:
    narrowed = smiling(6.0)
    for eye in range(2):
        upper, lower = list(topology.UPPER_LIDS[eye]), list(topology.LOWER_LIDS[eye])
        narrowed[1, upper, 1] += 0.35 * (narrowed[1, lower, 1] - narrowed[1, upper, 1])
    blinking = still_track(2).landmarks.clone()
    for eye in range(2):
        blinking[1, list(topology.UPPER_LIDS[eye])] = narrowed[1, list(topology.UPPER_LIDS[eye])]
    lower = list(topology.LOWER_LIDS[0][2:5])
    rises = [float((pose.vertices[0, lower, 1] - pose.vertices[1, lower, 1]).mean()) for pose in map(posed, (narrowed, blinking))]
    assert rises[0] > rises[1] + 0.3
