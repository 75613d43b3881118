"""The sound's fingerprint survives encoding and tells which seconds were spoken by somebody else."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from provenance_samples import performance, voice, write_clip

from provenance.errors import FingerprintUnreadable
from provenance.fingerprint.audio import AudioFingerprint, Samples, compare_audio, fingerprint_audio
from provenance.signals import Agreement, SoundSignal, SoundState

RATE = 16_000
OURS = voice(number=1, seconds=4)
THEIRS = voice(number=2, seconds=4)
STORED = fingerprint_audio(OURS)


def against_ours(samples: Samples, *, offset_s: float = 0.0) -> SoundSignal:
    return compare_audio(fingerprint_audio(samples), STORED, offset_s=offset_s)


def test_aac_agrees_with_few_wrong_bits(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", performance(seconds=4), sound=OURS)
    with av.open(str(path)) as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    signal = against_ours(heard[: 4 * RATE])
    assert signal.state is SoundState.AGREES
    assert signal.error_rate is not None
    assert signal.error_rate < 0.15


def test_another_voice_differs_by_half_of_its_bits() -> None:
    signal = against_ours(THEIRS)
    assert signal.state is SoundState.DIFFERS
    assert signal.error_rate == pytest.approx(0.5, abs=0.06)


def test_one_replaced_second_is_found() -> None:
    swapped = OURS.copy()
    swapped[2 * RATE : 3 * RATE] = THEIRS[2 * RATE : 3 * RATE]
    signal = against_ours(swapped)
    assert signal.state is SoundState.IN_PART
    assert [second.start_s for second in signal.seconds if second.agreement is Agreement.CONTRADICTS] == [2.0]


def test_words_moved_to_other_pictures_are_other_sound() -> None:
    assert against_ours(np.roll(OURS, RATE)).state is SoundState.DIFFERS


def test_an_excerpt_agrees_where_the_picture_says_it_starts() -> None:
    assert against_ours(OURS[RATE + 700 :], offset_s=1.04).state is SoundState.AGREES


def test_louder_softer_and_noisy_copies_agree() -> None:
    noise = np.random.default_rng(5).normal(0, 0.003, len(OURS)).astype(np.float32)
    assert all(against_ours(copy).state is SoundState.AGREES for copy in (OURS * 0.25, OURS * 2, OURS + noise))


def test_a_muted_second_is_a_difference() -> None:
    muted = OURS.copy()
    muted[RATE : 2 * RATE] = 0
    assert against_ours(muted).state is SoundState.IN_PART


def test_no_sound_is_missing_and_sound_where_none_was_is_added() -> None:
    silence = fingerprint_audio(np.zeros(4 * RATE, np.float32))
    assert compare_audio(None, STORED).state is SoundState.MISSING
    assert compare_audio(silence, STORED).state is SoundState.MISSING
    assert compare_audio(STORED, None).state is SoundState.ADDED
    assert compare_audio(STORED, silence).state is SoundState.ADDED
    assert compare_audio(None, None).state is SoundState.ABSENT


def test_a_fraction_of_a_second_does_not_break_anything() -> None:
    assert against_ours(OURS[:100]).state in (SoundState.INCONCLUSIVE, SoundState.AGREES, SoundState.MISSING)
    assert compare_audio(fingerprint_audio(np.zeros(0, np.float32)), STORED).state is SoundState.MISSING


def test_bytes_read_back_as_they_were() -> None:
    again = AudioFingerprint.from_bytes(STORED.to_bytes())
    assert np.array_equal(again.bits, STORED.bits)
    assert np.array_equal(again.heard, STORED.heard)


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_damaged_bytes_are_refused(cut: int) -> None:
    with pytest.raises(FingerprintUnreadable):
        AudioFingerprint.from_bytes(STORED.to_bytes()[:cut])
