"""What a viewer sees when the mesh engine performs: the right person, doing what the driver does."""

from __future__ import annotations

import pytest
import torch
from mesh_material import (
    as_track,
    engine,
    eye_apertures,
    nose_offset,
    opening,
    perform,
    portrait,
    portrait_landmarks,
    retrack,
    still_track,
    talking_head,
    turned,
)

from generation.engines.base import Options, Performance, SourceFace, Still
from generation.engines.mesh import topology

BLINK, SHOUT = 42 - 38, 58 - 38


@pytest.fixture(scope="module")
def driver() -> torch.Tensor:
    return talking_head(38, 68)


@pytest.fixture(scope="module")
def performed(driver: torch.Tensor) -> torch.Tensor:
    return perform(as_track(driver), Options())


@pytest.fixture(scope="module")
def performed_landmarks(performed: torch.Tensor) -> torch.Tensor:
    return retrack(performed)


def test_a_driver_who_does_what_the_still_does_gives_the_still_back() -> None:
    frame = perform(still_track(2))[1].float()
    error = (frame - portrait().float()).square().mean()
    assert 10 * torch.log10(255**2 / error) > 38


def test_the_mouth_opens_when_the_driver_opens_theirs(driver: torch.Tensor, performed_landmarks: torch.Tensor) -> None:
    together = torch.stack([opening(driver), opening(performed_landmarks)])
    assert float(torch.corrcoef(together)[0, 1]) > 0.9


def test_a_shout_shows_a_dark_mouth_where_a_smile_was(performed: torch.Tensor, performed_landmarks: torch.Tensor) -> None:
    x, y = performed_landmarks[SHOUT, [13, 14], :2].mean(0).round().int().tolist()
    left, top = portrait_landmarks()[[13, 14], :2].mean(0).round().int().tolist()
    shouting, smiling = performed[SHOUT, y, x].float().mean(), portrait()[top, left].float().mean()
    assert shouting < 0.6 * smiling


def test_a_blink_of_a_few_frames_closes_the_eyes(performed_landmarks: torch.Tensor) -> None:
    apertures = eye_apertures(performed_landmarks)
    assert float(apertures[BLINK]) < 0.5 * float(apertures.median())


def test_turning_to_the_pictures_left_turns_the_portrait_to_the_pictures_left() -> None:
    track = still_track(9, lambda points, i: turned(points, (-15.0, 0.0, 15.0)[i // 3]))
    offsets = nose_offset(retrack(perform(track, Options(reference=4, smoothing=0.0))))
    left, ahead, right = offsets[0], offsets[4], offsets[8]
    assert left < ahead - 0.05
    assert right > ahead + 0.05


def test_brows_rise_with_the_drivers() -> None:
    def raise_brows(points: torch.Tensor, i: int) -> torch.Tensor:
        points[list(topology.BROWS), 1] -= 8.0 * (i > 3)
        return points

    found = retrack(perform(still_track(8, raise_brows)))
    gap = found[:, 159, 1] - found[:, 105, 1]
    assert gap[7] > 1.1 * gap[0]


def test_the_gaze_follows_the_driver() -> None:
    def look_right(points: torch.Tensor, i: int) -> torch.Tensor:
        points[468:, 0] += 2.5 * (i > 3)
        return points

    moved = perform(still_track(8, look_right))
    eyes = [slice(92, 112), slice(190, 216)]
    assert (moved[7][eyes[0], eyes[1]].float() - moved[0][eyes[0], eyes[1]].float()).abs().mean() > 2
    kept = perform(still_track(8, look_right), Options(reference=0, gaze=0.0))
    assert torch.equal(kept[7], kept[0])


def test_without_head_motion_the_head_stays_where_it_was(driver: torch.Tensor) -> None:
    frames = perform(as_track(driver[18:24]), Options(head_motion=0.0))
    hair = frames[:, 10:50, 180:260].float()
    assert (hair - portrait()[10:50, 180:260].float()).abs().mean() < 2.5


def test_without_expression_the_lips_stay_as_they_were(driver: torch.Tensor) -> None:
    calm = retrack(perform(as_track(driver[10:24]), Options(strength=0.0)))
    lively = retrack(perform(as_track(driver[10:24]), Options()))
    assert opening(calm).std() < 0.25 * opening(lively).std()


def test_two_faces_of_one_still_perform_each_their_own_driver() -> None:
    pair = torch.cat([portrait()[:288, 60:388], portrait()[:288, 60:388]], 1).contiguous()
    still = engine().prepare(Still(pair))
    places = [SourceFace((80.0, 40.0, 250.0, 200.0)), SourceFace((408.0, 40.0, 578.0, 200.0))]
    tracks = [still_track(3, lambda points, i, to=to: turned(points, to * (i > 0))) for to in (-15.0, 15.0)]
    acts = [Performance(place, track) for place, track in zip(places, tracks, strict=True)]
    options = Options(reference=0, smoothing=0.0)
    (frames,) = [batch.rgb for batch in engine().animate(still, acts, options)]
    left, right = (retrack(frames[1:, :, part].contiguous()) for part in (slice(0, 328), slice(328, 656)))
    assert nose_offset(left)[1] < nose_offset(right)[1] - 0.1


def test_what_lies_outside_the_region_of_the_face_is_the_still_itself(performed: torch.Tensor) -> None:
    assert torch.equal(performed[:, 320:], portrait()[None, 320:].expand(len(performed), -1, -1, -1))


def test_neighbouring_frames_of_a_still_driver_do_not_flicker() -> None:
    noise = torch.randn(10, 478, 3, generator=torch.Generator().manual_seed(3)) * 0.15
    frames = perform(still_track(10, lambda points, i: points + noise[i])).float()
    assert (frames[4:7] - frames[3:6]).abs().mean() < 0.5
