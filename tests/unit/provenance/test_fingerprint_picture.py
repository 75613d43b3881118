"""The picture's fingerprint follows a clip through honest copies and tells performances apart second by second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from provenance_samples import RATE, Frames, batches, decoded, fingerprint_of, performance, write_clip

from media.frames import FrameBatch
from provenance.errors import FingerprintUnreadable
from provenance.fingerprint.compare import compare
from provenance.fingerprint.index import promising, sketch, strength
from provenance.fingerprint.video import VideoFingerprint, VideoFingerprinter
from provenance.signals import Agreement, PictureSignal


@pytest.fixture(scope="module")
def frames() -> Frames:
    return performance(seconds=4)


@pytest.fixture(scope="module")
def stored(frames: Frames) -> VideoFingerprint:
    return fingerprint_of(frames)


def against(changed: Frames, stored: VideoFingerprint) -> PictureSignal:
    return compare(fingerprint_of(np.ascontiguousarray(changed)), stored)


def seconds_that(agreement: Agreement, signal: PictureSignal) -> list[float]:
    return [second.start_s for second in signal.seconds if second.agreement is agreement]


def test_half_size_at_crf_28_agrees_in_every_second(frames: Frames, stored: VideoFingerprint, tmp_path: Path) -> None:
    copy = write_clip(tmp_path / "copy.mp4", frames, crf=28, scale=0.5)
    signal = against(decoded(copy), stored)
    assert signal.agreement is Agreement.AGREES
    assert seconds_that(Agreement.AGREES, signal) == [0.0, 1.0, 2.0, 3.0]
    assert signal.offset_s == pytest.approx(0, abs=0.06)


def test_brighter_and_with_more_contrast_still_agrees(frames: Frames, stored: VideoFingerprint) -> None:
    assert against(np.clip(frames * 1.08 + 6, 16, 235).astype(np.uint8), stored).agreement is Agreement.AGREES


def test_letterboxed_still_agrees(frames: Frames, stored: VideoFingerprint) -> None:
    assert against(np.pad(frames, ((0, 0), (24, 24), (0, 0)), constant_values=16), stored).agreement is Agreement.AGREES


def test_an_excerpt_agrees_and_says_where_it_starts(frames: Frames, stored: VideoFingerprint) -> None:
    signal = against(frames[RATE:], stored)
    assert signal.agreement is Agreement.AGREES
    assert signal.offset_s == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("driver", [3, 4, 5, 6, 7])
def test_another_performance_of_the_same_portrait_contradicts(driver: int, stored: VideoFingerprint) -> None:
    signal = against(performance(driver=driver, seconds=4), stored)
    assert signal.agreement is Agreement.CONTRADICTS
    assert signal.layout_correlation is not None
    assert signal.layout_correlation > 0.95


def test_a_performance_that_moves_alike_by_chance_still_does_not_agree(stored: VideoFingerprint) -> None:
    assert against(performance(driver=2, seconds=4), stored).agreement is Agreement.IN_PART


def test_a_mouth_from_another_performance_shows_in_its_regions(frames: Frames, stored: VideoFingerprint) -> None:
    dubbed = frames.copy()
    rows, columns = slice(115, 146), slice(100, 156)
    dubbed[RATE : 3 * RATE, rows, columns] = performance(driver=3, seconds=4)[RATE : 3 * RATE, rows, columns]
    signal = against(dubbed, stored)
    assert signal.agreement is Agreement.IN_PART
    changed = [second for second in signal.seconds if second.regions]
    assert {second.start_s for second in changed} <= {1.0, 2.0}
    assert changed
    assert all(region // 4 in (2, 3) and region % 4 in (1, 2) for second in changed for region in second.regions)


def test_a_spliced_clip_agrees_only_where_it_is_ours(frames: Frames, stored: VideoFingerprint) -> None:
    spliced = frames.copy()
    spliced[3 * RATE :] = performance(portrait=9, driver=9, seconds=1)
    signal = against(spliced, stored)
    assert signal.agreement is Agreement.IN_PART
    assert seconds_that(Agreement.AGREES, signal) == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    "crop", [np.s_[:, 10:-10, 12:-12], np.s_[:, :, 74:-74], np.s_[:, :, ::-1]], ids=["90%", "9:16", "mirror"]
)
def test_honest_crops_and_mirrorings_are_never_a_contradiction(
    crop: tuple[slice, ...], frames: Frames, stored: VideoFingerprint
) -> None:
    assert against(frames[crop], stored).agreement is not Agreement.CONTRADICTS


def test_a_picture_in_picture_is_never_a_contradiction(frames: Frames, stored: VideoFingerprint) -> None:
    around = performance(portrait=5, driver=5, seconds=4, height=432, width=768)
    around[:, 30:222, 30:286] = frames
    assert against(around, stored).agreement is not Agreement.CONTRADICTS


def shown(frames: Frames, times_s: list[float]) -> VideoFingerprint:
    fingerprinter = VideoFingerprinter()
    for batch in batches(frames):
        count = len(batch)
        fingerprinter.update(FrameBatch(batch.pixels, torch.tensor(times_s[:count], dtype=torch.float64)))
        times_s = times_s[count:]
    return fingerprinter.finish()


def test_true_frames_flashed_between_false_ones_do_not_agree(frames: Frames, stored: VideoFingerprint) -> None:
    false = performance(portrait=9, driver=9, seconds=4)
    mixed, times_s = [], []
    for slot in range(31):
        first = round(slot / 8 * RATE)
        mixed += [frames[first], *false[first : first + 3]]
        times_s += [slot / 8 + after_s for after_s in (0.0, 0.002, 0.04, 0.08)]
    signal = compare(shown(np.stack(mixed), times_s), stored)
    assert seconds_that(Agreement.AGREES, signal) == []


def test_false_pictures_that_cancel_out_over_time_do_not_agree(frames: Frames, stored: VideoFingerprint) -> None:
    swing = np.kron(np.random.default_rng(3).choice([-40, 40], (12, 16)), np.ones((16, 16)))
    signs = np.where(np.arange(len(frames)) % 2, -1, 1)[:, None, None]
    flickering = np.clip(frames + swing * signs, 0, 255).astype(np.uint8)
    assert against(flickering, stored).agreement is not Agreement.AGREES


def test_frames_shown_for_other_times_by_a_new_container_still_agree(frames: Frames, stored: VideoFingerprint) -> None:
    jitter_s = np.random.default_rng(4).uniform(-0.01, 0.01, len(frames))
    jitter_s[0] = 0
    assert compare(shown(frames, list(np.arange(len(frames)) / RATE + jitter_s)), stored).agreement is Agreement.AGREES


@pytest.mark.parametrize("rate", [24, 30])
def test_another_frame_rate_still_agrees(rate: int, frames: Frames, stored: VideoFingerprint) -> None:
    picked = frames[np.minimum(np.arange(4 * rate) * RATE // rate, len(frames) - 1)]
    assert compare(fingerprint_of(picked, rate=rate), stored).agreement is Agreement.AGREES


@pytest.mark.parametrize("count", [5, 10, 22], ids=lambda count: f"{count} frames")
def test_anything_before_or_after_our_clip_is_not_ours(count: int, frames: Frames, stored: VideoFingerprint) -> None:
    alien = performance(portrait=9, driver=9, seconds=1)[:count]
    for joined in (np.concatenate([frames, alien]), np.concatenate([alien, frames])):
        assert against(joined, stored).agreement is not Agreement.AGREES


def test_a_caption_that_keeps_the_mean_of_every_cell_shows(frames: Frames, stored: VideoFingerprint) -> None:
    strokes = np.zeros(frames.shape[1:])
    strokes[84:120, 64:192] = np.tile(np.repeat([45, -45], 4), 16)  # bars of 4 pixels in cells of 12x16
    captioned = np.clip(frames + strokes, 0, 255).astype(np.uint8)
    signal = against(captioned, stored)
    assert np.abs(fingerprint_of(captioned).cells.astype(int) - stored.cells).max() <= 4, "the means must be kept"
    assert signal.agreement is not Agreement.AGREES


def test_an_unrelated_clip_never_agrees(stored: VideoFingerprint) -> None:
    for number in range(20, 24):
        signal = against(performance(portrait=number, driver=number, seconds=4), stored)
        assert signal.agreement in (Agreement.CONTRADICTS, Agreement.INCONCLUSIVE)


def test_a_clip_of_another_length_in_frames_per_second_keeps_its_fingerprint(frames: Frames, stored: VideoFingerprint) -> None:
    slower = VideoFingerprinter()
    for batch in batches(frames[::2], rate=RATE / 2):
        slower.update(batch)
    assert compare(slower.finish(), stored).agreement in (Agreement.AGREES, Agreement.IN_PART)


def test_batches_of_any_size_give_the_same_bytes(frames: Frames, stored: VideoFingerprint) -> None:
    fingerprinter = VideoFingerprinter()
    for batch in batches(frames, size=3):
        fingerprinter.update(batch)
    assert fingerprinter.finish().to_bytes() == stored.to_bytes()


def test_bytes_read_back_as_they_were(stored: VideoFingerprint) -> None:
    again = VideoFingerprint.from_bytes(stored.to_bytes())
    assert np.array_equal(again.cells, stored.cells)
    assert np.array_equal(again.spreads, stored.spreads)
    assert np.array_equal(again.layout, stored.layout)
    assert again.duration_s == stored.duration_s


@pytest.mark.parametrize(
    "damage", [lambda data: data[:40], lambda data: b"XXXX" + data[4:], lambda data: data[:-30], lambda data: b""]
)
def test_damaged_bytes_are_refused(damage: object, stored: VideoFingerprint) -> None:
    with pytest.raises(FingerprintUnreadable):
        VideoFingerprint.from_bytes(damage(stored.to_bytes()))  # type: ignore[operator]


def test_a_clip_without_frames_decides_nothing(stored: VideoFingerprint) -> None:
    assert compare(VideoFingerprinter().finish(), stored).agreement is Agreement.INCONCLUSIVE


def test_a_minute_costs_less_than_four_hundred_kilobytes(stored: VideoFingerprint) -> None:
    assert len(stored.to_bytes()) / stored.duration_s * 60 < 400_000


def test_a_copy_without_marks_is_a_strong_find_and_a_still_is_not(
    frames: Frames, stored: VideoFingerprint, tmp_path: Path
) -> None:
    copy = decoded(write_clip(tmp_path / "copy.mp4", frames, crf=30))
    assert strength(against(copy, stored)) is Agreement.STRONG
    assert strength(against(np.repeat(frames[:1], len(frames), axis=0), stored)) is not Agreement.STRONG
    assert strength(against(performance(driver=2, seconds=4), stored)) is not Agreement.STRONG


def test_the_sketch_picks_the_right_record_among_many(frames: Frames, stored: VideoFingerprint) -> None:
    others = [(number, sketch(fingerprint_of(performance(portrait=number, driver=1, seconds=0.5)))) for number in range(30, 36)]
    query = sketch(fingerprint_of(np.clip(frames * 0.9 + 10, 0, 255).astype(np.uint8)))
    assert promising(query, [*others, (1, sketch(stored))], limit=3)[0] == 1
