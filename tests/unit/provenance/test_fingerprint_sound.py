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


def through_aac(channels: Samples, path: Path, bit_rate: int) -> Samples:
    """Samples (channels, samples) after AAC, of the same length."""
    layout = "stereo" if len(channels) == 2 else "mono"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout=layout)
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels, dtype=np.float32), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        heard = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    return heard[:, : channels.shape[1]]


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
    changed = {second.start_s for second in signal.seconds if second.agreement is not Agreement.AGREES}
    assert 2.0 in changed
    assert changed <= {1.0, 2.0, 3.0}, "only what borders on it may be touched"


@pytest.mark.parametrize("at_s", [0.6, 1.3, 2.8, 3.5])
@pytest.mark.parametrize("milliseconds", [300, 450])
def test_one_replaced_word_is_found(milliseconds: int, at_s: float) -> None:
    word = slice(round(at_s * RATE), round(at_s * RATE) + milliseconds * RATE // 1000)
    swapped = OURS.copy()
    swapped[word] = voice(number=7, seconds=4)[word]
    assert against_ours(swapped).state in (SoundState.IN_PART, SoundState.INCONCLUSIVE)


@pytest.mark.parametrize("bit_rate", [24_000, 64_000])
def test_aac_agrees_in_its_worst_moment(bit_rate: int, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        spoken = voice(number=number, seconds=4)
        copy = through_aac(spoken[None], tmp_path / "copy.mp4", bit_rate)[0]
        assert compare_audio(fingerprint_audio(copy), fingerprint_audio(spoken)).state is SoundState.AGREES


def test_a_voice_that_is_opposite_in_left_and_right_is_heard(tmp_path: Path) -> None:
    opposite = np.stack([OURS + 1.5 * THEIRS, OURS - 1.5 * THEIRS])
    heard = through_aac(opposite, tmp_path / "opposite.mp4", 192_000)
    assert np.abs(heard.mean(axis=0) - OURS[: heard.shape[1]]).max() < 0.05, "in mono it must be gone"
    assert against_ours(np.ascontiguousarray(heard.T)).state is SoundState.DIFFERS
    assert compare_audio(fingerprint_audio(np.stack([THEIRS, -THEIRS], axis=1)), None).state is SoundState.ADDED


def test_the_same_sound_in_two_channels_agrees() -> None:
    assert against_ours(np.stack([OURS, OURS], axis=1)).state is SoundState.AGREES


def test_a_stereo_record_agrees_with_itself_and_with_its_mono_copy() -> None:
    room = np.random.default_rng(6).normal(0, 0.004, len(OURS)).astype(np.float32)
    stereo = np.stack([OURS + room, OURS - room], axis=1)
    stored = fingerprint_audio(stereo)
    assert compare_audio(fingerprint_audio(stereo), stored).state is SoundState.AGREES
    assert compare_audio(fingerprint_audio(OURS), stored).state is SoundState.AGREES


def test_a_word_put_into_a_pause_is_found() -> None:
    paused, filled = OURS.copy(), OURS.copy()
    paused[RATE : RATE + RATE // 2] = 0
    filled[RATE : RATE + RATE // 2] = THEIRS[: RATE // 2]
    assert compare_audio(fingerprint_audio(filled), fingerprint_audio(paused)).state is SoundState.IN_PART


def test_other_sound_in_the_last_part_of_a_second_is_found() -> None:
    swapped = OURS[: round(3.45 * RATE)].copy()
    swapped[3 * RATE :] = THEIRS[3 * RATE : round(3.45 * RATE)]
    assert against_ours(swapped).state is SoundState.IN_PART


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
    assert np.array_equal(again.levels, STORED.levels)
    assert np.array_equal(again.side_bits, STORED.side_bits)
    assert np.array_equal(again.side_levels, STORED.side_levels)


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_damaged_bytes_are_refused(cut: int) -> None:
    with pytest.raises(FingerprintUnreadable):
        AudioFingerprint.from_bytes(STORED.to_bytes()[:cut])
