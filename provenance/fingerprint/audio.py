"""Fingerprint of sound: signs of energy differences between bands and moments (Haitsma and Kalker, ISMIR 2002)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve

from provenance.errors import FingerprintUnreadable
from provenance.signals import Agreement, SecondState, SoundSignal, SoundState

ALGORITHM = "org.countersign.fingerprint.audio.2"
SAMPLE_RATE = 16_000
HOP = 256  # 16 ms
_FRAME = 4096  # 256 ms: long against the hop, so that a shift by half a hop changes few bits
_BANDS = 33
_LOWEST_HZ, _HIGHEST_HZ = 200.0, 4000.0  # speech; codecs keep it at any bit rate
_SILENCE_DBFS = -55.0
_FLOOR_DBFS = -100.0
_MOMENT = 12  # words: 0.2 s, the shortest replaced word that is found
_SIDE_BESIDE_DB = 15  # a side weaker than the middle by more is ambience, which codecs drop
_SLACK_DB = 12.0  # copies are made louder or softer
_MAGIC, _VERSION = b"CSAF", 2
_HEADER = struct.Struct("<4sBIdB")
_WORDS_MAX = 62 * 3700
_BLOCK_FRAMES = 1024
_ALIGN_S = 0.06  # how far sound may move against the picture before it counts as other sound: lip sync plus codec delay

Samples = npt.NDArray[np.float32]
Bits = npt.NDArray[np.bool_]
Levels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class AudioTolerances:
    """Bit error rates: unrelated sound gives 0.5, AAC at 64 kbit/s below 0.1 in a second."""

    agrees: float = 0.30
    differs: float = 0.40
    heard: float = 0.3  # share of a second that must not be silent to say anything
    moment_agrees: float = 0.27  # in the worst 0.2 s: AAC and Opus at 24 kbit/s reach 0.22
    moment_differs: float = 0.33  # a word of 250 ms by another voice starts at 0.37


DEFAULT = AudioTolerances()


@dataclass(frozen=True, slots=True)
class AudioFingerprint:
    """Of the middle, (left + right) / 2, and of the side, (left - right) / 2: what is opposite in both is gone in the middle.

    bits, side_bits: bool (T, 32), one word per 16 ms; levels, side_levels: uint8 (T,), dB above -100 dBFS; duration_s.
    """

    bits: Bits
    levels: Levels
    side_bits: Bits
    side_levels: Levels
    duration_s: float

    @property
    def heard(self) -> Bits:
        """bool (T,), False in silence."""
        return _above(self.levels, _SILENCE_DBFS)

    @property
    def there(self) -> Bits:
        """bool (T,), wider than `heard`, so that no copy crosses both borders."""
        return _above(self.levels, _SILENCE_DBFS - _SLACK_DB)

    @property
    def side_heard(self) -> Bits:
        """bool (T,), True where the side cannot be missed beside the middle."""
        beside = self.side_levels >= self.levels.astype(int) - _SIDE_BESIDE_DB
        return _above(self.side_levels, _SILENCE_DBFS) & beside

    @property
    def side_there(self) -> Bits:
        """bool (T,), as `there`, for the side."""
        return _above(self.side_levels, _SILENCE_DBFS - _SLACK_DB)

    def to_bytes(self) -> bytes:
        """Header (magic, version, words, duration, bits per word), then deflated: packed bits and levels, middle, then side."""
        header = _HEADER.pack(_MAGIC, _VERSION, len(self.bits), self.duration_s, _BANDS - 1)
        channels = ((self.bits, self.levels), (self.side_bits, self.side_levels))
        raw = b"".join(np.packbits(bits, axis=1).tobytes() + levels.tobytes() for bits, levels in channels)
        return header + zlib.compress(raw, 6)

    @classmethod
    def from_bytes(cls, data: bytes) -> AudioFingerprint:
        """Raises FingerprintUnreadable when the bytes are of no known version or damaged."""
        try:
            magic, version, count, duration_s, width = _HEADER.unpack_from(data)
            if (magic, version, width) != (_MAGIC, _VERSION, _BANDS - 1) or count > _WORDS_MAX:
                raise FingerprintUnreadable("This fingerprint has an unknown format; upgrade the software that reads it.")
            size = count * (width // 8 + 1)
            raw = zlib.decompressobj().decompress(data[_HEADER.size :], 2 * size + 1)
            middle, side = (_channel(part, count) for part in np.frombuffer(raw, np.uint8).reshape(2, size))
        except (struct.error, zlib.error, ValueError) as error:
            raise FingerprintUnreadable("This fingerprint is damaged; restore the record from a backup.") from error
        return cls(*middle, *side, duration_s)


def fingerprint_audio(samples: Samples) -> AudioFingerprint:
    """The fingerprint of float samples in -1..1 at 16 kHz, mono (samples,) or stereo (samples, 2). Works in blocks of 16 s."""
    pair = samples if samples.ndim == 2 else np.stack([samples, samples], axis=1)
    left, right = pair[:, 0].astype(np.float32), pair[:, 1].astype(np.float32)
    return AudioFingerprint(
        *_words(np.float32(0.5) * (left + right)), *_words(np.float32(0.5) * (left - right)), len(pair) / SAMPLE_RATE
    )


def _words(samples: Samples) -> tuple[Bits, Levels]:
    padded = np.pad(samples, (_FRAME // 2, _FRAME // 2))  # word k is centred on sample k * HOP
    blocks = list(_band_energies(padded))
    if not blocks:
        return np.zeros((0, _BANDS - 1), bool), np.zeros(0, np.uint8)
    energies = np.concatenate(blocks)
    contrast = energies[:, :-1] - energies[:, 1:]
    bits = np.diff(contrast, axis=0, prepend=contrast[:1]) > 0
    level = 10 * np.log10(energies.sum(axis=1) + 1e-12)
    return bits, np.rint(level - _FLOOR_DBFS).clip(0, 255).astype(np.uint8)


def _channel(raw: Levels, count: int) -> tuple[Bits, Levels]:
    words = raw[: len(raw) - count].reshape(count, -1)
    return np.unpackbits(words, axis=1).astype(bool), raw[len(raw) - count :]


def _above(levels: Levels, dbfs: float) -> Bits:
    above: Bits = levels > dbfs - _FLOOR_DBFS
    return above


def compare_audio(
    query: AudioFingerprint | None,
    record: AudioFingerprint | None,
    *,
    offset_s: float = 0.0,
    tolerances: AudioTolerances = DEFAULT,
) -> SoundSignal:
    """How the sound of a file compares with that of a record. offset_s: where in the record the picture starts.

    Sound is compared where the picture says it belongs: a voice moved to other words is other sound.
    """
    query_heard, record_heard = _is_heard(query), _is_heard(record)
    if query is None or record is None or not (query_heard and record_heard):
        return SoundSignal(_one_sided(query_heard, record_heard))
    shift = _best_shift(query, record, offset_s)
    seconds = tuple(_seconds(query, _words_of(query, record, shift), tolerances))
    if not seconds:
        return SoundSignal(SoundState.INCONCLUSIVE)
    rates = [state.distance for state in seconds if np.isfinite(state.distance)]
    rate = round(float(np.mean(rates)), 3) if rates else None
    return SoundSignal(_overall(seconds), seconds, round(shift * HOP / SAMPLE_RATE, 3), rate)


def _is_heard(fingerprint: AudioFingerprint | None) -> bool:
    return fingerprint is not None and bool((fingerprint.heard | fingerprint.side_heard).any())


def _one_sided(query_heard: bool, record_heard: bool) -> SoundState:
    if query_heard:
        return SoundState.ADDED
    return SoundState.MISSING if record_heard else SoundState.ABSENT


def _band_energies(padded: Samples) -> Iterator[npt.NDArray[np.float64]]:
    window = np.hanning(_FRAME)
    edges = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, _BANDS + 1) * _FRAME / SAMPLE_RATE
    starts = np.floor(edges).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::HOP] if len(padded) >= _FRAME else padded[:0, None]
    for first in range(0, len(frames), _BLOCK_FRAMES):
        spectrum = np.abs(np.fft.rfft(frames[first : first + _BLOCK_FRAMES] * window, axis=1) / (_FRAME / 4)) ** 2
        yield np.add.reduceat(spectrum, starts, axis=1)[:, :_BANDS]


def _best_shift(query: AudioFingerprint, record: AudioFingerprint, offset_s: float) -> int:
    """Words of the record before the query starts, within 60 ms of where the picture says."""
    signed_query = (query.bits * 2.0 - 1.0) * query.heard[:, None]
    signed_record = (record.bits * 2.0 - 1.0) * record.heard[:, None]
    expected = round(offset_s * SAMPLE_RATE / HOP)
    reach = int(_ALIGN_S * SAMPLE_RATE / HOP)
    agreement = fftconvolve(signed_record, signed_query[::-1], axes=0).sum(axis=1)
    shifts = np.arange(len(agreement)) - (len(signed_query) - 1)
    near = np.abs(shifts - expected) <= reach
    return int(shifts[near][np.argmax(agreement[near])]) if near.any() else expected


@dataclass(frozen=True, slots=True)
class _Words:
    """A channel of the query word by word, (T,). wrong: share of differing bits; both: heard in both; added, taken: in one."""

    wrong: npt.NDArray[np.float64]
    both: Bits
    added: Bits
    taken: Bits


def _words_of(query: AudioFingerprint, record: AudioFingerprint, shift: int) -> tuple[_Words, _Words]:
    """Middle and side. A side that is gone is nobody's loss: codecs drop it. What was put there counts."""
    rows = np.arange(len(query.bits)) + shift
    inside = (rows >= 0) & (rows < len(record.bits))
    rows = np.clip(rows, 0, max(0, len(record.bits) - 1))
    middle = _Words(
        wrong=(query.bits != record.bits[rows]).mean(axis=1),
        both=query.heard & record.heard[rows] & inside,
        added=query.heard & ~(record.there[rows] & inside),
        taken=record.heard[rows] & inside & ~query.heard,
    )
    side = _Words(
        wrong=(query.side_bits != record.side_bits[rows]).mean(axis=1),
        both=query.side_heard & record.side_there[rows] & inside,
        added=query.side_heard & ~(record.side_there[rows] & inside),
        taken=np.zeros(len(rows), bool),
    )
    return middle, side


def _seconds(query: AudioFingerprint, channels: tuple[_Words, ...], tolerances: AudioTolerances) -> Iterator[SecondState]:
    per_second = SAMPLE_RATE / HOP
    order = (Agreement.AGREES, Agreement.INCONCLUSIVE, Agreement.CONTRADICTS)
    whole = max(1, int(query.duration_s + 0.5))
    for second in range(whole):
        # The last second takes the rest with it: nothing at the end goes unheard.
        rows = slice(int(second * per_second), int((second + 1) * per_second) if second + 1 < whole else None)
        found = [_second(words, rows, tolerances) for words in channels]
        agreement, rate = max(found, key=lambda state: (order.index(state[0]), state[1]))
        yield SecondState(float(second), second + 1.0 if second + 1 < whole else query.duration_s, agreement, rate)


def _second(words: _Words, rows: slice, tolerances: AudioTolerances) -> tuple[Agreement, float]:
    both, added, taken = (mask[rows] for mask in (words.both, words.added, words.taken))
    enough = tolerances.heard * SAMPLE_RATE / HOP
    # Sound where the record is silent was put there; silence where the record sounds took something away.
    if added.sum() >= enough or _moments(words.added)[rows].max(initial=0.0) > _MOMENT - 1:
        return Agreement.CONTRADICTS, float("inf")
    worst = float(_moment_rates(words)[rows].max(initial=0.0))
    if both.sum() < enough:
        if taken.sum() >= enough:
            return Agreement.CONTRADICTS, float("inf")
        rate = 0.0
    else:
        rate = float(words.wrong[rows][both].mean())
    if rate >= tolerances.differs or worst >= tolerances.moment_differs:
        return Agreement.CONTRADICTS, round(rate, 3)
    agrees = rate <= tolerances.agrees and worst <= tolerances.moment_agrees
    return (Agreement.AGREES if agrees else Agreement.INCONCLUSIVE), round(rate, 3)


def _moments(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Sums over the 0.2 s around each word, (T,)."""
    sums: npt.NDArray[np.float64] = np.convolve(np.pad(values.astype(np.float64), (_MOMENT // 2, _MOMENT // 2)), np.ones(_MOMENT))
    return sums[_MOMENT - 1 :][: len(values)]


def _moment_rates(words: _Words) -> npt.NDArray[np.float64]:
    """Bit error rate of the 0.2 s around each word, 0 where too little of it is heard in both."""
    heard = _moments(words.both)
    rates: npt.NDArray[np.float64] = _moments(words.wrong * words.both) / np.maximum(heard, 1.0) * (heard >= _MOMENT * 0.75)
    return rates


def _overall(seconds: tuple[SecondState, ...]) -> SoundState:
    agreeing = sum(state.agreement is Agreement.AGREES for state in seconds)
    differing = sum(state.agreement is Agreement.CONTRADICTS for state in seconds)
    if agreeing == len(seconds):
        return SoundState.AGREES
    if not differing:
        return SoundState.INCONCLUSIVE
    return SoundState.IN_PART if agreeing else SoundState.DIFFERS
