"""Other frame rates are honest, other speeds and what is added at the end are named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from provenance_samples import RATE, Frames, fingerprint_of, performance

from media.frames import FrameBatch
from provenance.fingerprint.compare import compare
from provenance.fingerprint.video import RATE_HZ, VideoFingerprint, VideoFingerprinter
from provenance.signals import Agreement

SECONDS = 3


@pytest.fixture(scope="module")
def frames() -> Frames:
    return performance(seconds=SECONDS)


@pytest.fixture(scope="module")
def calm() -> Frames:
    """A performance that hardly moves."""
    lively = performance(driver=3, seconds=SECONDS).astype(np.float32)
    middle = lively.mean(axis=0)
    return np.rint(middle + 0.25 * (lively - middle)).astype(np.uint8)


def held(frames: Frames, step: int, *, last_s: float = 0.0) -> VideoFingerprint:
    """Each `step`th frame, shown `step` times as long; the last one for `last_s` longer."""
    chosen = list(range(0, len(frames), step))
    stamps = [index / RATE for index in chosen]
    shown = [frames[index] for index in chosen]
    if last_s:
        shown, stamps = [*shown, frames[chosen[-1]]], [*stamps, stamps[-1] + last_s]
    fingerprinter = VideoFingerprinter()
    pixels = torch.from_numpy(np.stack(shown))[..., None].expand(-1, -1, -1, 3).contiguous()
    fingerprinter.update(FrameBatch(pixels, torch.tensor(stamps, dtype=torch.float64)))
    return fingerprinter.finish()


def at_rate(frames: Frames) -> VideoFingerprint:
    return held(frames, 1)


def test_a_copy_at_half_the_frame_rate_that_holds_its_last_frame_agrees(calm: Frames) -> None:
    signal = compare(held(calm, 2, last_s=2 / RATE), at_rate(calm))
    assert signal.agreement is Agreement.AGREES
    assert signal.seconds[-1].end_s > SECONDS


def test_a_foreign_picture_for_the_last_tenth_of_a_second_is_named(calm: Frames) -> None:
    other = performance(portrait=9, seconds=0.12)
    signal = compare(at_rate(np.concatenate([calm, other])), at_rate(calm))
    assert signal.agreement is not Agreement.AGREES
    assert signal.seconds[-1].regions


def test_a_calm_clip_played_a_tenth_faster_does_not_agree_and_says_so(calm: Frames) -> None:
    signal = compare(fingerprint_of(calm, rate=RATE * 1.1), fingerprint_of(calm))
    assert signal.agreement is Agreement.IN_PART
    assert signal.speed == pytest.approx(1.1, abs=0.05)
    assert "another speed" in signal.note


def test_a_compressed_copy_is_not_taken_for_one_at_another_speed(frames: Frames, calm: Frames) -> None:
    chance = np.random.default_rng(1)
    for clip in (frames, calm):
        coarse = np.clip(clip + chance.normal(0, 6, clip.shape), 0, 255).astype(np.uint8)
        assert compare(fingerprint_of(coarse), fingerprint_of(clip)).speed == 1.0


def test_the_last_slot_is_dated_by_the_middle_of_what_it_shows(frames: Frames) -> None:
    times_s = fingerprint_of(frames[: 2 * RATE + 1]).times_s
    assert np.diff(times_s[:-1]) == pytest.approx(1 / RATE_HZ)
    assert times_s[-1] + 0.5 / RATE_HZ == pytest.approx(2.0 + 0.5 / RATE)
