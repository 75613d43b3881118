"""What a still hides and a performance shows: the white under the lids, and the cheek on the far side of a turned face."""

from __future__ import annotations

import pytest
import torch
from mesh_material import portrait, portrait_landmarks, prepared, turned
from torch import Tensor

from generation.engines.mesh import raster, topology
from generation.engines.mesh.animator import PreparedStill
from generation.engines.mesh.composite import FaceModel
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.fill import LUMA
from generation.engines.mesh.source import RestFace, far_cheek, rest_face

WEIGHTS = torch.tensor(LUMA)[:, None, None]


def model() -> FaceModel:
    still = prepared()
    assert isinstance(still, PreparedStill)
    return still.faces[0]


def iris_radius(eye: int) -> float:
    left, right = portrait_landmarks()[[469, 471] if eye == 0 else [474, 476], :2]
    return float((left - right).norm()) / 2


def bright_white(eye: int) -> Tensor:
    """() luma of the lightest part of the white that the still shows."""
    face, ball = model(), model().layers.eyes[eye]
    region = portrait()[face.region.top : face.region.bottom, face.region.left : face.region.right].permute(2, 0, 1) / 255
    luma = (region[:, ball.window.rows, ball.window.columns] * WEIGHTS).sum(0)
    positions = ball.window.centres(torch.device("cpu"))
    outline = face.rest.vertices[list(topology.eye_outline(eye)), :2]
    inside = raster.signed_distance(outline, positions) < -1
    away = (positions - face.rest.irises[eye, :2]).norm(dim=-1)
    return luma[inside & (away > 1.3 * iris_radius(eye))].quantile(0.9)


@pytest.mark.parametrize("eye", [0, 1])
def test_eyes_of_a_small_face_that_open_wide_are_white_not_grey(eye: int) -> None:
    ball = model().layers.eyes[eye]
    positions = ball.window.centres(torch.device("cpu"))
    away = (positions - model().rest.irises[eye, :2]).norm(dim=-1)
    white = (ball.ball * WEIGHTS).sum(0)[away > 1.5 * iris_radius(eye)]
    own = (bright_white(0) + bright_white(1)) / 2
    assert float(white.quantile(0.02)) > 0.85 * float(own)


def three_quarter(degrees: float) -> tuple[RestFace, Tensor]:
    """A turned face and a matte (512, 512) by which the tracker has put its outermost points on the background."""
    points = turned(portrait_landmarks(), degrees)
    rest = rest_face(points, MeshConfig())
    middle = points[: topology.FACE_POINTS, :2].mean(0)
    hull = rest.vertices[topology.FACE_POINTS :][: len(topology.OVAL), :2]  # the outline that the still shows
    window = raster.Window(0, 0, 512, 512)
    return rest, raster.coverage(middle + 0.9 * (hull - middle), window.centres(torch.device("cpu")))


def shares(person: Tensor, places: Tensor) -> Tensor:
    """(N,) the person's share at places (N, 2)."""
    x, y = places.long().clamp(0, 511).unbind(-1)
    return person[y, x]


def test_a_far_cheek_that_turns_into_view_is_skin_and_not_the_background_beside_it() -> None:
    rest, person = three_quarter(38)
    cheek = [point for point in topology.OVAL if abs(float(rest.texture[point, 0] - rest.vertices[point, 0])) > 0.01]
    texture = far_cheek(rest, person)
    assert texture is not None
    assert len(cheek) > 5
    assert float(shares(person, rest.texture[cheek]).min()) < 0.5
    assert float(shares(person, texture[cheek]).min()) > 0.9


def test_a_far_cheek_takes_no_colour_from_the_eye_or_the_lips() -> None:
    rest, person = three_quarter(38)
    hidden = (rest.texture - rest.vertices[:, :2])[: topology.FACE_POINTS].abs().amax(1) > 0.01
    texture = far_cheek(rest, person)
    assert texture is not None
    for outline in (topology.eye_outline(0), topology.eye_outline(1), topology.mouth_outline()):
        places = texture[: topology.FACE_POINTS][hidden]
        away = torch.cdist(places, rest.vertices[list(outline), :2]).amin(1)
        assert float(away.min()) > 0.02 * rest.height


def test_a_face_seen_from_the_front_takes_every_colour_from_its_own_place() -> None:
    assert model().layers.turned is None
    assert far_cheek(*three_quarter(4)) is None
