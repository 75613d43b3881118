"""A face in a video performed anew: the frames stay what they were except where the face acts."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache

import pytest
import torch
from mesh_material import RATE, as_track, engine, opening, retrack, talking_head, talking_head_frames
from torch import Tensor

from generation.engines.base import (
    FaceTrack,
    Framing,
    Options,
    OutputShape,
    Performance,
    Prepared,
    Regions,
    SourceFace,
    UnusableSource,
    VideoSource,
)
from media.frames import FrameBatch

START, STOP = 51, 60  # the talking head shouts in the middle
HEIGHT, WIDTH = 576, 704


@cache
def film() -> Tensor:
    return talking_head_frames(START, STOP)


def source(rate: Fraction = RATE) -> VideoSource:
    def frames() -> Iterator[FrameBatch]:
        for start in range(0, len(film()), 5):
            part = film()[start : start + 5]
            yield FrameBatch(part, torch.arange(start, start + len(part), dtype=torch.float64) / float(rate))

    return VideoSource(frames, rate, len(film()), WIDTH, HEIGHT)


def own_face(missing: tuple[int, ...] = ()) -> SourceFace:
    landmarks = talking_head(START, STOP).clone()
    landmarks[list(missing)] = torch.nan
    points = talking_head(START, STOP)[0, :468, :2]
    low, high = points.amin(0).tolist(), points.amax(0).tolist()
    track = FaceTrack(landmarks, torch.ones(len(landmarks)), RATE, WIDTH, HEIGHT)
    return SourceFace((low[0], low[1], high[0], high[1]), track)


@cache
def prepared() -> Prepared:
    return engine().prepare(source(), faces=[own_face()])


def calm_driver(frames: int = STOP - START) -> FaceTrack:
    return as_track(talking_head(START, STOP)[:1].repeat(frames, 1, 1))


def remade(options: Options | None = None, driver: FaceTrack | None = None, video: Prepared | None = None) -> Tensor:
    performance = Performance(own_face(), driver or calm_driver())
    stream = engine().animate(video or prepared(), [performance], options or Options(reference=0))
    return torch.cat([batch.rgb for batch in stream])


def test_a_calm_driver_quiets_a_shout() -> None:
    before, after = opening(talking_head(START, STOP)), opening(retrack(remade()))
    assert after.std() < 0.4 * before.std()


def test_what_is_not_face_stays_what_it_was() -> None:
    after = remade()
    assert torch.equal(after[:, :, :100], film()[:, :, :100])
    assert (after.float() - film().float()).abs().mean() < 3


def test_the_head_moves_as_it_did_in_the_video() -> None:
    found = retrack(remade())
    assert (found[:, 10, :2] - talking_head(START, STOP)[:, 10, :2]).norm(dim=-1).mean() < 4


def test_only_the_chosen_region_changes() -> None:
    after = remade(Options(reference=0, regions=Regions.LIPS))
    eyes = int(talking_head(START, STOP)[:, [33, 263], 1].max()) + 10
    assert (after[:, :eyes].float() - film()[:, :eyes].float()).abs().mean() < 0.3
    assert not torch.equal(after, film())
    assert torch.equal(remade(Options(regions=Regions.POSE)), film())


def test_frames_without_the_face_pass_unchanged() -> None:
    lost = own_face(missing=(5,))
    video = engine().prepare(source(), faces=[lost])
    (first, *rest) = engine().animate(video, [Performance(lost, calm_driver())], Options(reference=0))
    frames = torch.cat([first.rgb, *(batch.rgb for batch in rest)])
    assert torch.equal(frames[5], film()[5])
    assert not torch.equal(frames[0], film()[0])


def test_a_video_plays_at_its_own_rate_for_as_long_as_the_driver_lasts() -> None:
    half = FaceTrack(calm_driver(6).landmarks, torch.ones(6), RATE * 2, WIDTH, HEIGHT)
    batches = list(engine().animate(prepared(), [Performance(own_face(), half)], Options(reference=0)))
    stamps = torch.cat([batch.timestamps_s for batch in batches])
    assert stamps.tolist() == pytest.approx([i / float(RATE) for i in range(3)])
    assert len(remade(driver=calm_driver(100))) == STOP - START


def test_a_preview_of_a_video_is_its_frame_of_that_moment() -> None:
    act = [Performance(own_face(), calm_driver())]
    shown = engine().preview(prepared(), act, Options(reference=0), at_s=7.5 / float(RATE))
    assert torch.equal(shown, remade()[7])


def test_a_cropped_video_is_a_square_that_holds_the_face_throughout() -> None:
    video = engine().prepare(source(), OutputShape(Framing.CROP, 320), [own_face()])
    frames = remade(video=video)
    assert frames.shape == (STOP - START, 320, 320, 3)
    assert (retrack(frames)[:, :468, :2] > 0).all()


def test_a_face_without_a_track_is_refused() -> None:
    with pytest.raises(UnusableSource, match="its track"):
        engine().prepare(source(), faces=[SourceFace(own_face().box)])


def test_a_face_that_was_not_prepared_is_refused() -> None:
    with pytest.raises(UnusableSource, match="every face"):
        engine().animate(prepared(), [Performance(SourceFace((0, 0, 9, 9)), calm_driver())], Options())
