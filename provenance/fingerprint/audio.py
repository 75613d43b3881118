"""Fingerprint of sound: signs of energy differences between bands and moments (Haitsma and Kalker, ISMIR 2002)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve

from provenance.errors import FingerprintUnreadable
from provenance.signals import Agreement, SecondState, SoundSignal, SoundState

ALGORITHM = "org.countersign.fingerprint.audio.1"
SAMPLE_RATE = 16_000
HOP = 256  # 16 ms
_FRAME = 4096  # 256 ms: long against the hop, so that a shift by half a hop changes few bits
_BANDS = 33
_LOWEST_HZ, _HIGHEST_HZ = 200.0, 4000.0  # speech; codecs keep it at any bit rate
_SILENCE_DBFS = -55.0
_MAGIC, _VERSION = b"CSAF", 1
_HEADER = struct.Struct("<4sBIdB")
_WORDS_MAX = 62 * 3700
_BLOCK_FRAMES = 1024
_ALIGN_S = 0.06  # how far sound may move against the picture before it counts as other sound: lip sync plus codec delay

Samples = npt.NDArray[np.float32]
Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class AudioTolerances:
    """Bit error rates of one second: unrelated sound gives 0.5, AAC at 64 kbit/s below 0.1."""

    agrees: float = 0.30
    differs: float = 0.40
    heard: float = 0.3  # share of a second that must not be silent to say anything


DEFAULT = AudioTolerances()


@dataclass(frozen=True, slots=True)
class AudioFingerprint:
    """bits: bool (T, 32), one word per 16 ms; heard: bool (T,), False in silence; duration_s."""

    bits: Bits
    heard: Bits
    duration_s: float

    def to_bytes(self) -> bytes:
        """Header (magic, version, words, duration, bits per word), then deflated packed bits and the silence mask."""
        header = _HEADER.pack(_MAGIC, _VERSION, len(self.bits), self.duration_s, _BANDS - 1)
        return header + zlib.compress(np.packbits(self.bits, axis=1).tobytes() + np.packbits(self.heard).tobytes(), 6)

    @classmethod
    def from_bytes(cls, data: bytes) -> AudioFingerprint:
        """Raises FingerprintUnreadable when the bytes are of no known version or damaged."""
        try:
            magic, version, count, duration_s, width = _HEADER.unpack_from(data)
            if (magic, version, width) != (_MAGIC, _VERSION, _BANDS - 1) or count > _WORDS_MAX:
                raise FingerprintUnreadable("This fingerprint has an unknown format; upgrade the software that reads it.")
            size = count * (_BANDS - 1) // 8
            raw = zlib.decompressobj().decompress(data[_HEADER.size :], size + (count + 7) // 8 + 1)
            words = np.frombuffer(raw[:size], np.uint8).reshape(count, -1)
            heard = np.unpackbits(np.frombuffer(raw[size:], np.uint8))[:count]
        except (struct.error, zlib.error, ValueError) as error:
            raise FingerprintUnreadable("This fingerprint is damaged; restore the record from a backup.") from error
        return cls(np.unpackbits(words, axis=1).astype(bool), heard.astype(bool), duration_s)


def fingerprint_audio(samples: Samples) -> AudioFingerprint:
    """The fingerprint of mono float samples in -1..1 at 16 kHz. Works in blocks of 16 s."""
    duration_s = len(samples) / SAMPLE_RATE
    padded = np.pad(samples, (_FRAME // 2, _FRAME // 2))  # word k is centred on sample k * HOP
    blocks = list(_band_energies(padded))
    if not blocks:
        return AudioFingerprint(np.zeros((0, _BANDS - 1), bool), np.zeros(0, bool), duration_s)
    energies = np.concatenate(blocks)
    contrast = energies[:, :-1] - energies[:, 1:]
    bits = np.diff(contrast, axis=0, prepend=contrast[:1]) > 0
    level = 10 * np.log10(energies.sum(axis=1) + 1e-12)
    return AudioFingerprint(bits, level > _SILENCE_DBFS, duration_s)


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
    seconds = tuple(_seconds(query, record, shift, tolerances))
    if not seconds:
        return SoundSignal(SoundState.INCONCLUSIVE)
    rates = [state.distance for state in seconds if np.isfinite(state.distance)]
    rate = round(float(np.mean(rates)), 3) if rates else None
    return SoundSignal(_overall(seconds), seconds, round(shift * HOP / SAMPLE_RATE, 3), rate)


def _is_heard(fingerprint: AudioFingerprint | None) -> bool:
    return fingerprint is not None and bool(fingerprint.heard.any())


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


def _seconds(query: AudioFingerprint, record: AudioFingerprint, shift: int, tolerances: AudioTolerances) -> Iterator[SecondState]:
    per_second = SAMPLE_RATE / HOP
    for second in range(max(1, int(query.duration_s + 0.5))):
        rows = np.arange(int(second * per_second), min(int((second + 1) * per_second), len(query.bits)))
        agreement, rate = _second(query, record, rows, shift, tolerances)
        yield SecondState(float(second), min(second + 1.0, query.duration_s), agreement, rate)


def _second(
    query: AudioFingerprint, record: AudioFingerprint, rows: npt.NDArray[np.intp], shift: int, tolerances: AudioTolerances
) -> tuple[Agreement, float]:
    inside = (rows + shift >= 0) & (rows + shift < len(record.bits))
    there = np.zeros(len(rows), bool)
    there[inside] = record.heard[rows[inside] + shift]
    here = query.heard[rows]
    enough = tolerances.heard * SAMPLE_RATE / HOP
    both = here & there
    if both.sum() < enough:
        # Sound where the record is silent was put there; silence where the record sounds took something away.
        lone = max(int((here & ~there).sum()), int((there & ~here).sum()))
        return (Agreement.CONTRADICTS if lone >= enough else Agreement.AGREES), float("inf") if lone >= enough else 0.0
    rate = float(np.mean(query.bits[rows[both]] != record.bits[rows[both] + shift]))
    if rate <= tolerances.agrees:
        return Agreement.AGREES, round(rate, 3)
    return (Agreement.CONTRADICTS if rate >= tolerances.differs else Agreement.INCONCLUSIVE), round(rate, 3)


def _overall(seconds: tuple[SecondState, ...]) -> SoundState:
    agreeing = sum(state.agreement is Agreement.AGREES for state in seconds)
    differing = sum(state.agreement is Agreement.CONTRADICTS for state in seconds)
    if agreeing == len(seconds):
        return SoundState.AGREES
    if not differing:
        return SoundState.INCONCLUSIVE
    return SoundState.IN_PART if agreeing else SoundState.DIFFERS
