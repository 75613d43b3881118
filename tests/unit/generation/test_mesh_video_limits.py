"""What a video's own frames refuse: eyes opened wider than they were, blinks undone, an outline moved that hides a cheek."""

from __future__ import annotations

import pytest
import torch
from mesh_material import as_track, engine, eye_apertures, portrait_landmarks, retrack, talking_head, talking_head_frames, turned
from torch import Tensor

from generation.engines.base import FaceTrack, Options, Performance, SourceFace, VideoSource
from generation.engines.mesh import topology
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.measures import lid_gaps
from generation.engines.mesh.video_limits import narrowed, near_side, own_lids, within_lids
from media.frames import FrameBatch

CONFIG = MeshConfig()
START, BLINK, STOP = 36, 42, 48  # the talking head blinks
JAWS = {"right": [132, 58, 172], "left": [361, 288, 397]}  # of the subject: the picture's left and right


def with_lids(ratio: float) -> Tensor:
    """The portrait's landmarks (478, 3) with lids moved this far apart."""
    points = portrait_landmarks().clone()
    for upper, lower in zip(topology.UPPER_LIDS, topology.LOWER_LIDS, strict=True):
        middle = (points[list(upper)] + points[list(lower)]) / 2
        for lid in (upper, lower):
            points[list(lid)] = torch.lerp(middle, points[list(lid)], ratio)
    return points


def test_a_blink_of_the_video_is_told_from_its_squint() -> None:
    lids = own_lids(torch.stack([with_lids(ratio) for ratio in (1.0, 1.0, 1.0, 0.85, 0.2, 1.0)]), 0, CONFIG)
    assert lids.awake[[0, 3]].tolist() == pytest.approx([1.0, 1.0], abs=0.01)
    assert float(lids.awake[4]) == 0.0
    assert lids.ratios[4].tolist() == pytest.approx([0.2, 0.2], abs=0.02)


def test_eyes_open_no_wider_than_the_video_has_shown_them() -> None:
    lids = own_lids(torch.stack([with_lids(ratio) for ratio in (1.0, 1.15, 1.15, 1.0)]), 0, CONFIG)
    asked = within_lids(torch.tensor([1.4, 0.3]), lids.widest, CONFIG)
    assert 1.05 < float(asked[0]) <= 1.16
    assert float(asked[1]) == pytest.approx(0.3)


def test_narrowed_lids_are_as_far_apart_as_asked() -> None:
    before = portrait_landmarks()
    after = before.clone()
    after[:468] = narrowed(before[:468], torch.tensor([0.7, 0.7]), CONFIG)
    assert (lid_gaps(after[None]) / lid_gaps(before[None])).flatten().tolist() == pytest.approx([0.7, 0.7], abs=0.02)


@pytest.mark.parametrize(("degrees", "far", "near"), [(30.0, "left", "right"), (-30.0, "right", "left")])
def test_the_outline_of_the_cheek_that_is_turned_away_stays(degrees: float, far: str, near: str) -> None:
    share = near_side(turned(portrait_landmarks(), degrees)[:468])
    assert float(share[JAWS[far]].max()) < 0.35
    assert float(share[JAWS[near]].min()) > 0.95
    assert float(share[list(topology.INNER_UPPER)].min()) > 0.9


def test_a_face_that_looks_ahead_follows_on_both_sides() -> None:
    upright = torch.cat([portrait_landmarks()[:468]])
    upright[:, 2] -= (upright[topology.CHEEK_LEFT, 2] - upright[topology.CHEEK_RIGHT, 2]) * (
        (upright[:, 0] - upright[topology.CHEEK_RIGHT, 0]) / (upright[topology.CHEEK_LEFT, 0] - upright[topology.CHEEK_RIGHT, 0])
    )
    assert float(near_side(upright).min()) > 0.95


def remade(driver: Tensor) -> Tensor:
    """The blinking stretch of the talking head, performed anew by a driver (T, 478, 3)."""
    film, own = talking_head_frames(START, STOP), talking_head(START, STOP)
    stamps = torch.arange(len(film), dtype=torch.float64) / 30
    low, high = own[0, :468, :2].amin(0).tolist(), own[0, :468, :2].amax(0).tolist()
    rate = as_track(own).frame_rate
    face = SourceFace((low[0], low[1], high[0], high[1]), FaceTrack(own, torch.ones(len(own)), rate, 704, 576))
    video = VideoSource(lambda: iter([FrameBatch(film, stamps)]), rate, len(film), 704, 576)
    batches = engine().animate(engine().prepare(video, faces=[face]), [Performance(face, as_track(driver))], Options(reference=0))
    return torch.cat([batch.rgb for batch in batches])


def test_a_video_blinks_when_it_blinked_however_wide_the_drivers_eyes_are() -> None:
    apertures = eye_apertures(retrack(remade(talking_head(START, STOP)[:1].repeat(STOP - START, 1, 1))))
    assert float(apertures[BLINK - START]) < 0.6 * float(apertures.median())
