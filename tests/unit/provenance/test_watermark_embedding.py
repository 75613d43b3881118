"""What marking does to a picture: little, less in the dark, the same every time, and at no cost in memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import pytest
import torch

from media.frames import FrameBatch, YuvPlanes
from provenance.watermark import SCHEME_1, Embedder, PictureTooSmall, WatermarkError, derive_key
from tests.bench import watermark_clips as clips

KEY = derive_key(b"a master secret of the tests", "studio/2026-11")
PAYLOAD = 0x0123456789ABCDEF


def marked(clip: clips.Clip, *, strength: float = 1.0, batch_size: int = 8, payload: int = PAYLOAD) -> clips.Clip:
    return clips.collect(Embedder(KEY, payload, strength=strength).embed(clip.batches(batch_size)), clip.rate)


def flat(value: int, frames: int = 4, size: int = 256) -> clips.Clip:
    chroma = torch.full((frames, size // 2, size // 2), 128, dtype=torch.uint8)
    return clips.Clip(torch.full((frames, size, size), value, dtype=torch.uint8), chroma, chroma.clone(), 25.0)


def rms_change(before: torch.Tensor, after: torch.Tensor) -> float:
    return float((after.float() - before.float()).square().mean().sqrt())


@pytest.mark.parametrize("source", [clips.portrait, clips.carphone, clips.bikes])
def test_the_mark_stays_above_44_db(source: object) -> None:
    clip = source(1.0)  # type: ignore[operator]
    result = marked(clip)
    assert clips.psnr(clip.y, result.y) >= 44.3
    assert clips.psnr(clip.u, result.u) >= 40.0
    assert torch.equal(clip.v, result.v)


def test_darks_are_marked_less_than_midtones() -> None:
    black, dark, grey = (rms_change(flat(v).y, marked(flat(v)).y) for v in (16, 28, 120))
    assert black < dark < grey
    assert black < 0.7
    assert rms_change(flat(16).u, marked(flat(16)).u) < 0.7


def test_dark_flats_show_no_speckle() -> None:
    change = (marked(flat(18)).y.float() - 18.0).abs()
    assert int(change.max()) <= 2


def test_flats_beside_an_edge_are_not_marked_harder() -> None:
    clip = flat(80)
    clip.y[:, :, 128:] = 180
    change = marked(clip).y.float() - clip.y.float()
    beside, away = change[:, :, 110:122].square().mean().sqrt(), change[:, :, 20:90].square().mean().sqrt()
    assert beside < 1.25 * away


def test_marking_twice_gives_the_same_bytes_however_the_stream_is_cut() -> None:
    clip = clips.bikes(1.0)
    whole, small = marked(clip, batch_size=25), marked(clip, batch_size=3)
    assert torch.equal(whole.y, small.y)
    assert torch.equal(whole.u, small.u)


def test_a_frame_does_not_depend_on_later_frames() -> None:
    clip = clips.bikes(1.0)
    assert torch.equal(marked(clip.cut(0, 10)).y, marked(clip).y[:10])


def test_a_cut_renews_the_mask_at_once() -> None:
    clip = flat(120, frames=3).then(flat(16, frames=3))
    assert rms_change(clip.y[3:], marked(clip).y[3:]) < 0.7


def test_what_moves_is_marked_less_from_the_second_frame_of_a_shot_on() -> None:
    noise = torch.randint(100, 140, (1, 64, 64), generator=torch.Generator().manual_seed(3)).float()
    blobs = torch.nn.functional.interpolate(noise[None], size=(256, 256), mode="bilinear")[0]
    clip = flat(120, frames=4)
    moving = torch.cat([blobs.roll(9 * i, dims=2) for i in range(4)]).round().byte()
    before = clips.Clip(moving, clip.u, clip.v, clip.rate)
    after = marked(before)
    first, second = (rms_change(before.u[i], after.u[i]) for i in (0, 1))
    assert second < 0.8 * first


def test_a_stronger_render_changes_more() -> None:
    clip = clips.bikes(1.0)
    weak, strong = (clips.psnr(clip.y, marked(clip, strength=s).y) for s in (1.0, 1.35))
    assert 1.5 < weak - strong < 3.5


@pytest.mark.parametrize("strength", [0.0, -1.0, 10.0])
def test_a_senseless_strength_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="strength"):
        Embedder(KEY, PAYLOAD, strength=strength)


def test_two_payloads_and_two_keys_give_different_marks() -> None:
    grey = flat(120)
    ours = marked(grey).y.float() - 120.0
    other_payload = marked(grey, payload=PAYLOAD ^ 1).y.float() - 120.0
    key = derive_key(b"a master secret of the tests", "studio/2026-12")
    other_key = clips.collect(Embedder(key, PAYLOAD).embed(grey.batches()), 25.0).y.float() - 120.0
    for other, most in ((other_payload, 0.9), (other_key, 0.2)):
        assert abs(float((ours * other).mean() / (ours.square().mean() * other.square().mean()).sqrt())) < most


def test_rgb_frames_are_marked_in_place_of_planes() -> None:
    rgb = torch.full((2, 128, 160, 3), 120, dtype=torch.uint8)
    batch = FrameBatch(pixels=rgb, timestamps_s=torch.arange(2, dtype=torch.float64))
    change = next(Embedder(KEY, PAYLOAD).embed([batch])).rgb.float() - 120.0
    weights = torch.tensor([0.2126, 0.7152, 0.0722])
    assert 0.8 < float((change @ weights).square().mean().sqrt()) < 2.2
    assert float(change[..., 2].square().mean()) > float(change[..., 0].square().mean())


def test_a_picture_that_is_too_small_is_refused_with_its_size() -> None:
    tiny = flat(120, size=64)
    with pytest.raises(PictureTooSmall, match="64x64") as caught:
        marked(tiny)
    assert isinstance(caught.value, WatermarkError)
    assert caught.value.permanent


def test_memory_does_not_grow_with_the_stream() -> None:
    alive: list[weakref.ref[torch.Tensor]] = []

    def stream() -> Iterator[FrameBatch]:
        for i in range(40):
            y = torch.full((8, 128, 128), 100, dtype=torch.uint8)
            c = torch.full((8, 64, 64), 128, dtype=torch.uint8)
            alive.append(weakref.ref(y))
            yield FrameBatch(pixels=YuvPlanes(y=y, u=c, v=c), timestamps_s=(torch.arange(8) + 8 * i).double() / 25.0)

    for _ in Embedder(KEY, PAYLOAD, SCHEME_1).embed(stream()):
        assert sum(ref() is not None for ref in alive) <= 3
