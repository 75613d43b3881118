"""How the mesh engine streams: size, count, order, determinism, and what it refuses."""

from __future__ import annotations

import math

import pytest
import torch
from mesh_material import (
    RATE,
    as_track,
    engine,
    face,
    perform,
    portrait,
    portrait_landmarks,
    prepared,
    retrack,
    still_track,
    turned,
)

from generation.engines import UnknownEngine, entry, load
from generation.engines.base import (
    FaceTrack,
    Framing,
    Options,
    OutputShape,
    Performance,
    SourceFace,
    Still,
    UnusablePerformance,
    UnusableSource,
)
from generation.engines.mesh import animator, casting
from generation.engines.mesh.composite import render
from generation.engines.mesh.config import MeshConfig
from generation.engines.mesh.reading import sample_frames
from generation.engines.tracks import bridge, bridged_stretches


def swaying(frames: int) -> torch.Tensor:
    return still_track(frames, lambda points, i: turned(points, 10 * math.sin(i / 3))).landmarks


def test_there_is_one_frame_for_each_of_the_drivers_with_its_time() -> None:
    batches = list(engine().animate(prepared(), [Performance(face(), as_track(swaying(11)))], Options()))
    stamps = torch.cat([batch.timestamps_s for batch in batches])
    assert sum(len(batch) for batch in batches) == 11
    assert stamps.tolist() == pytest.approx([i / float(RATE) for i in range(11)])
    assert all(batch.rgb.dtype == torch.uint8 for batch in batches)


def test_a_still_with_odd_sides_gives_even_frames() -> None:
    still = engine().prepare(Still(portrait()[:399, :401]))
    batch = next(engine().animate(still, [Performance(face(), still_track(2))], Options()))
    assert (still.height, still.width) == (batch.height, batch.width) == (398, 400)


def test_equal_inputs_give_equal_bytes() -> None:
    track = as_track(swaying(6))
    assert torch.equal(perform(track), perform(track))


def test_the_first_batch_is_there_before_the_last_frame_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def counting(*arguments: object) -> object:
        drawn.append(1)
        return render(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(animator, "render", counting)
    stream = engine().animate(prepared(), [Performance(face(), as_track(swaying(60)))], Options(reference=0))
    assert len(drawn) == 0
    assert len(next(stream)) == MeshConfig().batch_frames
    assert len(drawn) == MeshConfig().batch_frames + len(sample_frames(60, reference=0))


def test_a_preview_is_the_frame_of_that_moment() -> None:
    track = as_track(swaying(8))
    shown = engine().preview(prepared(), [Performance(face(), track)], Options(reference=0), at_s=5.5 / float(RATE))
    assert torch.equal(shown, perform(track)[5])


def test_a_short_gap_is_bridged_and_reported() -> None:
    landmarks = swaying(20)
    landmarks[8:11] = torch.nan
    track = as_track(landmarks)
    (stretch,) = bridged_stretches(track)
    assert (stretch.start_s, stretch.end_s) == pytest.approx((8 / float(RATE), 11 / float(RATE)))
    assert torch.allclose(bridge(track)[9], (landmarks[7] + landmarks[11]) / 2, atol=1e-3)
    assert len(perform(track)) == 20


def test_gaps_at_the_ends_hold_the_nearest_face() -> None:
    landmarks = swaying(20)
    landmarks[:2], landmarks[18:] = torch.nan, torch.nan
    track = as_track(landmarks)
    assert [round(s.start_s * float(RATE)) for s in bridged_stretches(track)] == [0, 18]
    assert torch.equal(bridge(track)[0], landmarks[2])
    assert torch.equal(bridge(track)[19], landmarks[17])


def test_a_driver_without_a_face_for_over_a_fifth_is_refused_before_the_first_frame() -> None:
    landmarks = swaying(20)
    landmarks[4:9] = torch.nan
    with pytest.raises(UnusablePerformance, match=r"25%.*cut the clip"):
        engine().animate(prepared(), [Performance(face(), as_track(landmarks))], Options())


def test_a_still_without_a_face_is_refused() -> None:
    noise = torch.randint(0, 255, (256, 256, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    with pytest.raises(UnusableSource, match=r"no human face.*use a portrait"):
        engine().prepare(Still(noise))


def test_a_face_of_a_few_pixels_is_refused_with_its_size() -> None:
    with pytest.raises(UnusableSource, match=r"\d+ pixels high.*larger picture"):
        engine().prepare(Still(portrait()[::2, ::2].contiguous()))


class Seen:
    """An analyser that finds one face, with these landmarks."""

    def __init__(self, landmarks: torch.Tensor) -> None:
        self._landmarks = landmarks

    def faces(self, rgb: torch.Tensor) -> list[animator.FoundFace]:
        return [animator.FoundFace(face().box, self._landmarks)]

    def alpha(self, rgb: torch.Tensor) -> torch.Tensor:
        return torch.ones(rgb.shape[:2])


def test_a_face_in_profile_is_refused() -> None:
    with pytest.raises(UnusableSource, match=r"turned \d+ degrees.*both eyes"):
        animator.MeshAnimator(Seen(turned(portrait_landmarks(), 75))).prepare(Still(portrait()))


def test_a_face_whose_eye_is_cut_off_by_the_edge_is_refused() -> None:
    landmarks = portrait_landmarks()
    edge = int(landmarks[[33, 133], 0].max()) + 8  # the columns right of one eye
    with pytest.raises(UnusableSource, match="outside the picture"):
        animator.MeshAnimator(Seen(landmarks - torch.tensor([edge, 0, 0]))).prepare(Still(portrait()[:, edge:].contiguous()))


def test_a_box_without_a_face_is_refused() -> None:
    with pytest.raises(UnusableSource, match="choose another face"):
        engine().animate(prepared(), [Performance(SourceFace((400, 400, 500, 500)), still_track(2))], Options())


def test_the_first_performance_sets_rate_and_length_for_all() -> None:
    """Two takes of one sway, the second filmed at half the rate: the frames are those of two equal takes."""
    pair = torch.cat([portrait()[:288, 60:388], portrait()[:288, 60:388]], 1).contiguous()
    still = engine().prepare(Still(pair))
    left, right = SourceFace((80.0, 40.0, 250.0, 200.0)), SourceFace((408.0, 40.0, 578.0, 200.0))
    fast = as_track(swaying(9))
    slow = FaceTrack(fast.landmarks[::2], fast.presence[::2], RATE / 2, 512, 512)
    options = Options(reference=0, smoothing=0.0)
    open_loop = animator.MeshAnimator(engine()._analyser)  # readings of other frames would put them right a little differently
    mixed = torch.cat([b.rgb for b in open_loop.animate(still, [Performance(left, fast), Performance(right, slow)], options)])
    equal = torch.cat([b.rgb for b in open_loop.animate(still, [Performance(left, fast), Performance(right, fast)], options)])
    assert torch.equal(mixed[::2], equal[::2])
    assert (mixed[1::2].float() - equal[1::2].float()).abs().mean() < 1


def test_a_crop_is_a_square_around_the_face_of_the_size_asked_for() -> None:
    crop = engine().prepare(Still(portrait()), OutputShape(Framing.CROP, 384))
    assert (crop.width, crop.height) == (384, 384)
    frames = torch.cat([b.rgb for b in engine().animate(crop, [Performance(face(), still_track(1))], Options())])
    points = retrack(frames)[0]
    height = float((points[152] - points[10]).norm())
    assert 0.3 * 384 < height < 0.5 * 384
    assert abs(float(points[:468, 0].mean()) - 192) < 20


def test_a_crop_of_one_of_two_faces_shows_that_one() -> None:
    pair = torch.cat([portrait()[:288, 60:388], portrait()[:288, 60:388]], 1).contiguous()
    chosen = SourceFace((408.0, 40.0, 578.0, 200.0))
    both = engine().prepare(Still(pair), OutputShape(Framing.CROP))
    one = engine().prepare(Still(pair), OutputShape(Framing.CROP), [chosen])
    assert both.width > 1.8 * one.width
    with pytest.raises(UnusableSource, match="choose another face"):
        engine().prepare(Still(pair), OutputShape(Framing.CROP), [SourceFace((0.0, 200.0, 20.0, 220.0))])


@pytest.mark.parametrize("short_side", [256, 720])
def test_the_short_side_sets_the_size_of_the_whole_picture(short_side: int) -> None:
    still = engine().prepare(Still(portrait()[:400].contiguous()), OutputShape(Framing.FULL, short_side))
    assert still.height == short_side
    assert still.width == pytest.approx(short_side * 512 / 400, abs=2)
    (batch,) = engine().animate(still, [Performance(face(), still_track(1))], Options(reference=0))
    assert (batch.height, batch.width) == (still.height, still.width)


def test_a_second_preview_of_the_same_driver_does_not_read_the_driver_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[FaceTrack] = []

    class Counted(casting.Driver):
        def __init__(self, track: FaceTrack, options: Options, config: MeshConfig) -> None:
            read.append(track)
            super().__init__(track, options, config)

    monkeypatch.setattr(casting, "Driver", Counted)
    acts = [Performance(face(), as_track(swaying(8)))]
    calm, lively = (engine().preview(prepared(), acts, Options(reference=0, strength=s), at_s=0.2) for s in (0.0, 1.5))
    assert len(read) == 1
    assert calm.shape == lively.shape


def test_engines_are_loaded_by_name() -> None:
    assert entry("mesh").licence.commercial_use
    with pytest.raises(UnknownEngine, match="mesh"):
        load("nonesuch", device="cpu")
