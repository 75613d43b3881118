"""Several outputs in one file: each stretch that carries a mark, compared by itself with the record of that mark. Pure.

Compared as a whole, the seconds of one output would be aligned, and its contrast fitted, by those of another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

import numpy as np

from provenance.fingerprint.audio import HOP, SAMPLE_RATE, AudioFingerprint
from provenance.fingerprint.video import LAYOUT, RATE_HZ, VideoFingerprint
from provenance.signals import Agreement, FoundMark, PictureSignal, SecondState, SoundSignal

MOST_STRETCHES = 32  # of a file; each is compared with its record, and a file may change marks every second
_RUN_S = 1.9
_OVERHANG = 9  # words of 16 ms: half of the 256 ms that one word hears

Stretch = tuple[float, float, FoundMark]


def stretches(marks: Iterable[FoundMark]) -> list[Stretch]:
    """(start_s, end_s, mark) of the longest stretches, at most MOST_STRETCHES, in order of time."""
    found = [(start, end, mark) for mark in marks for start, end in mark.segments_s]
    longest = sorted(found, key=lambda stretch: stretch[0] - stretch[1])[:MOST_STRETCHES]
    return sorted(longest, key=lambda stretch: stretch[:2])


def cut_picture(fingerprint: VideoFingerprint, start_s: float, end_s: float) -> VideoFingerprint:
    """The fingerprint of a stretch. Its mean picture is made from its cells, which are coarser than that of a whole clip."""
    inside = slice(round(start_s * RATE_HZ), max(round(end_s * RATE_HZ), round(start_s * RATE_HZ) + 1))
    cells, spreads = fingerprint.cells[inside], fingerprint.spreads[inside]
    if not len(cells):
        return replace(fingerprint, cells=cells, spreads=spreads, duration_s=0.0)
    fine = LAYOUT // cells.shape[1]
    layout = np.rint(cells.mean(axis=0)).astype(np.uint8).repeat(fine, axis=0).repeat(fine, axis=1)
    duration_s = max(0.0, min(end_s, fingerprint.duration_s) - start_s)
    return replace(fingerprint, cells=cells, spreads=spreads, layout=layout, duration_s=duration_s)


def cut_sound(fingerprint: AudioFingerprint | None, start_s: float, end_s: float) -> AudioFingerprint | None:
    """The fingerprint of the sound of a stretch. Words at the cuts hear what lies beyond: they count as silence."""
    if fingerprint is None:
        return None
    words = slice(round(start_s * SAMPLE_RATE / HOP), round(end_s * SAMPLE_RATE / HOP))
    levels, side_levels = fingerprint.levels[words].copy(), fingerprint.side_levels[words].copy()
    cuts = [slice(0, _OVERHANG)] * (start_s > 0) + [slice(-_OVERHANG, None)] * (words.stop < len(fingerprint.levels))
    for cut in cuts:
        levels[cut] = side_levels[cut] = 0
    return AudioFingerprint(
        bits=fingerprint.bits[words],
        levels=levels,
        side_bits=fingerprint.side_bits[words],
        side_levels=side_levels,
        duration_s=max(0.0, min(end_s, fingerprint.duration_s) - start_s),
    )


def differing_runs(seconds: Iterable[SecondState]) -> list[tuple[float, float]]:
    """(start_s, end_s) of every run of seconds that do not agree, long enough to compare with something else."""
    runs: list[tuple[float, float]] = []
    for agrees, group in groupby(seconds, key=lambda state: state.agreement is Agreement.AGREES):
        states = list(group)
        if not agrees and states[-1].end_s - states[0].start_s >= _RUN_S:
            runs.append((states[0].start_s, states[-1].end_s))
    return runs


def picture_at(signal: PictureSignal, start_s: float) -> PictureSignal:
    """A comparison of a stretch, its seconds told in the time of the file."""
    return replace(signal, seconds=_moved(signal.seconds, start_s))


def sound_at(signal: SoundSignal, start_s: float) -> SoundSignal:
    """As `picture_at`."""
    return replace(signal, seconds=_moved(signal.seconds, start_s))


def _moved(seconds: Iterable[SecondState], by_s: float) -> tuple[SecondState, ...]:
    return tuple(replace(state, start_s=state.start_s + by_s, end_s=state.end_s + by_s) for state in seconds)
