"""What becomes of the visible mark when somebody collects previews of one face and averages them (misuse register A4)."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
import skimage.data
import skimage.transform
import torch
from numpy.typing import NDArray
from torch import Tensor

from generation.engines.base import WHOLE_SOURCE, FaceTrack, Options, Performance, SourceFace, Still
from generation.previews import marking, placing, rendering
from generation.previews.rendering import PreparedScene, Scene
from media.frames import FrameBatch
from media.tracking import FaceTracker

PREVIEWS = 40
SIDE = 256
VISIBLE = 30  # levels of 255
KEPT = 0.75  # of the mark's contrast: measured are 0.85 and more; a mark that lies still in the picture keeps less than half


def photo() -> NDArray[np.uint8]:
    return np.ascontiguousarray(skimage.data.astronaut()[:300, 80:380])


@lru_cache(maxsize=1)
def tracker() -> FaceTracker:
    return FaceTracker()


def landmarks_of(picture: NDArray[np.uint8]) -> Tensor:
    frames = FrameBatch(torch.from_numpy(picture)[None], torch.zeros(1, dtype=torch.float64))
    return next(iter(tracker().track([frames]))).faces[0].landmarks


def varied(number: int) -> skimage.transform.AffineTransform:
    """How the attacker changed the portrait before this upload: turned, shifted, scaled, stretched, sometimes mirrored."""
    rng = np.random.default_rng(number)
    turn, scale, stretch = rng.uniform(-0.2, 0.2), rng.uniform(0.85, 1.15), rng.uniform(0.94, 1.06)
    mirror = -1.0 if number % 5 == 4 else 1.0
    about = skimage.transform.AffineTransform(translation=(-150, -110))
    change = skimage.transform.AffineTransform(scale=(mirror * scale * stretch, scale), rotation=turn)
    back = skimage.transform.AffineTransform(translation=rng.uniform(-18, 18, 2) + np.array([150, 110]))
    return about + change + back


def warped(picture: NDArray[np.uint8], change: skimage.transform.ProjectiveTransform) -> NDArray[np.uint8]:
    out = skimage.transform.warp(picture, change.inverse, order=3, mode="reflect", preserve_range=True)
    return np.ascontiguousarray(out.round().clip(0, 255).astype(np.uint8))


@lru_cache(maxsize=1)
def uploads() -> list[tuple[Tensor, Tensor, skimage.transform.AffineTransform]]:
    """Portraits as the attacker varied them, their landmarks, and how they were varied in a preview's pixels."""
    found, small = [], skimage.transform.AffineTransform(scale=SIDE / 300)
    for number in range(PREVIEWS):
        portrait = warped(photo(), varied(number))
        found.append((torch.from_numpy(portrait), landmarks_of(portrait), small.inverse + varied(number) + small))
    return found


def previews_put_back() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Grey previews of varied portraits, turned back exactly as they were turned (nobody aligns better), with the mark and
    without; and where the face is.
    """
    shown, bare = [], []
    for portrait, face, change in uploads():
        for pictures, one in ((shown, marking.crossed(portrait, [face])), (bare, marking.reduced(portrait))):
            pictures.append(skimage.transform.warp(one.float().mean(dim=-1).numpy(), change, order=1, mode="reflect"))
    oval = landmarks_of(photo())[:, :2] * SIDE / 300
    inside = skimage.measure.points_in_poly(np.mgrid[:SIDE, :SIDE].T.reshape(-1, 2), hull(oval.numpy())).reshape(SIDE, SIDE)
    return np.stack(shown), np.stack(bare), inside


def hull(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """The outline of points, by their angle from the middle: good enough for a face."""
    middle = points.mean(axis=0)
    angles = np.arctan2(*(points - middle).T)
    edges = np.linspace(-np.pi, np.pi, 37)
    sectors = [points[(angles >= low) & (angles < high)] for low, high in pairwise(edges)]
    return np.stack([sector[np.linalg.norm(sector - middle, axis=1).argmax()] for sector in sectors if len(sector)])


def contrast_kept(shown: NDArray[np.float64], bare: NDArray[np.float64], inside: NDArray[np.bool_]) -> tuple[float, float]:
    """How much of the mark's contrast on a single preview the mean and the median of all still show."""
    alone = (shown[0] - bare[0])[inside].std()
    mean, median = (float((fold(shown, axis=0) - fold(bare, axis=0))[inside].std() / alone) for fold in (np.mean, np.median))
    return mean, median


def test_forty_previews_of_turned_and_shifted_portraits_keep_the_mark_when_averaged() -> None:
    shown, bare, inside = previews_put_back()
    assert min(contrast_kept(shown, bare, inside)) > KEPT
    assert (np.abs(shown.mean(axis=0) - bare.mean(axis=0))[inside] > VISIBLE).mean() > 0.12


def test_a_mark_that_lies_still_in_the_picture_would_be_averaged_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marking, "plane_of", lambda face, width, height: placing.middle_plane(width, height))
    assert min(contrast_kept(*previews_put_back())) < KEPT / 1.5


def test_beneath_the_lines_nothing_is_shown_at_all() -> None:
    portrait = photo()
    face = [landmarks_of(portrait)]
    black, white = (torch.full((300, 300, 3), level, dtype=torch.uint8) for level in (0, 255))
    one, other = marking.crossed(black, face).int(), marking.crossed(white, face).int()
    hidden = (one == other).all(dim=-1)
    assert 0.03 < float(hidden.float().mean()) < 0.3


def test_mirroring_a_portrait_moves_no_line() -> None:
    points = torch.zeros(478, 3)
    for landmark, place in placing.PLACES.items():
        points[landmark, :2] = torch.tensor(place) * 50 + 128
    pitch = torch.full((256, 256), 40.0)
    places = placing.plane_of(points, 256, 256)
    assert places is not None
    lines, _ = marking._lines(places.places / 0.7, pitch)
    assert float((lines - lines.flip(1)).abs().max()) < 0.05


def test_each_of_two_faces_carries_its_own_mark() -> None:
    picture = photo()
    both = np.ascontiguousarray(np.hstack([picture, picture]))
    left = landmarks_of(picture)
    apart = torch.tensor([300.0, 0.0, 0.0])
    usual = marking.crossed(torch.from_numpy(both), [left, left + apart]).int()
    nudged = marking.crossed(torch.from_numpy(both), [left + torch.tensor([9.0, 4.0, 0.0]), left + apart]).int()
    moved = (usual - nudged).abs().amax(dim=-1) > VISIBLE
    assert float(moved[:, :110].float().mean()) > 0.1
    assert float(moved[:, 150:].float().mean()) < 0.01  # as if the other were alone


@pytest.mark.parametrize("given", ["nothing", "not numbers", "one point", "a line"])
def test_whatever_is_taken_for_a_face_the_picture_is_marked(given: str) -> None:
    faces = {
        "nothing": [],
        "not numbers": [torch.full((478, 3), float("nan"))],
        "one point": [torch.full((478, 3), 40.0)],
        "a line": [torch.linspace(0, 200, 478)[:, None].expand(478, 3)],
    }[given]
    ground = torch.full((300, 200, 3), 120, dtype=torch.uint8)
    crossed = marking.crossed(ground, faces).float().mean(dim=-1)
    cells = (crossed - 120).abs().gt(VISIBLE).float()[:192, :128].reshape(3, 64, 2, 64).mean(dim=(1, 3))
    assert float(cells.min()) > 0.08


@pytest.fixture(scope="module")
def stage() -> PreparedScene:
    """A photo that performs itself and turns its head, by the real engine."""
    rgb = torch.from_numpy(photo())
    face = landmarks_of(photo())
    middle = face.mean(dim=0)
    turned = []
    for degrees in range(-20, 21, 4):
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        about = torch.tensor([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]], dtype=torch.float32)
        turned.append((face - middle) @ about.T + middle)
    x0, y0 = face[:, :2].amin(dim=0).tolist()
    x1, y1 = face[:, :2].amax(dim=0).tolist()
    track = FaceTrack(torch.stack(turned), torch.ones(len(turned)), Fraction(24), 300, 300)
    shape = replace(WHOLE_SOURCE, short_side=256)
    return PreparedScene(Scene("mesh", "cpu", Still(rgb), shape, (Performance(SourceFace((x0, y0, x1, y1)), track),)))


def test_the_mark_goes_with_a_head_that_moves(stage: PreparedScene, monkeypatch: pytest.MonkeyPatch) -> None:
    laid: list[Tensor] = []
    monkeypatch.setattr(rendering, "crossed", lambda bare, faces: laid.append(faces[0]) or bare)
    for at_s in (0.0, 0.42):
        stage.frame(Options(), at_s)
    still, moved = (face[4, :2] for face in laid)  # the tip of the nose
    assert float((still - moved).norm()) > 4  # else this shows nothing


def test_a_face_that_no_detector_sees_is_marked_where_it_performs(stage: PreparedScene, monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind:
        def track(self, stream: list[FrameBatch]) -> object:
            return ((type("Frame", (), {"faces": ()}))() for _ in stream)

    laid: list[list[Tensor]] = []
    usual = stage._faces(stage._animator.preview(stage._prepared, stage._scene.performances, Options(), 0.0))
    monkeypatch.setattr(stage, "_tracker", Blind())
    monkeypatch.setattr(rendering, "crossed", lambda bare, faces: laid.append(faces) or bare)
    stage.frame(Options(), 0.0)
    assert float((laid[0][0] - usual[0])[:, :2].norm(dim=1).mean()) < 3
