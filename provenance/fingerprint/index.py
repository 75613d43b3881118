"""Narrows a search by content: a sketch of 64 bytes per record picks the few that are worth a full comparison."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from provenance.fingerprint.tolerances import DEFAULT, Tolerances
from provenance.fingerprint.video import LAYOUT, VideoFingerprint
from provenance.signals import Agreement, PictureSignal, SecondState

SKETCH_SIDE = 8
_SKETCH_SCALE = 40.0  # steps per standard deviation; int8 then reaches three of them
_PROMISING = 0.8  # copies of one clip correlate above 0.95, clips of one portrait about as much

Key = TypeVar("Key")


def sketch(fingerprint: VideoFingerprint) -> bytes:
    """The layout at 8x8, free of brightness and contrast, as 64 signed bytes."""
    side = LAYOUT // SKETCH_SIDE
    means = fingerprint.layout.astype(np.float64).reshape(SKETCH_SIDE, side, SKETCH_SIDE, side).mean(axis=(1, 3))
    spread = max(float(means.std()), 1e-6)
    steps = np.clip(np.rint((means - means.mean()) / spread * _SKETCH_SCALE), -127, 127)
    packed: npt.NDArray[np.int8] = steps.astype(np.int8)
    return packed.tobytes()


def promising(query: bytes, stored: Iterable[tuple[Key, bytes]], *, limit: int) -> list[Key]:
    """The keys of at most `limit` sketches that resemble `query`, best first."""
    wanted = _unit(query)
    scored = ((float(_unit(value) @ wanted), key) for key, value in stored if len(value) == len(query))
    best = heapq.nlargest(limit, (item for item in scored if item[0] >= _PROMISING), key=lambda item: item[0])
    return [key for _, key in best]


def strength(signal: PictureSignal, *, tolerances: Tolerances = DEFAULT) -> Agreement:
    """What a comparison with a record that nothing points to is worth: strong, weak or none.

    Strong needs one performance, seen moving, in at least four of five seconds: a still of the same portrait, or real
    footage that a clip was made from, is not ours.
    """
    agreeing = sum(_fits(second, tolerances) for second in signal.seconds)
    if not agreeing:
        return Agreement.NONE
    moving = signal.motion_correlation is not None and signal.motion_correlation >= tolerances.motion_same
    most = agreeing >= max(tolerances.evidence_s, 0.8 * len(signal.seconds))
    return Agreement.STRONG if moving and most else Agreement.WEAK


def _fits(second: SecondState, tolerances: Tolerances) -> bool:
    """Whether a second shows the record's performance; far crops and other speeds fit without being vouched for."""
    return second.agreement is Agreement.AGREES or (not second.regions and second.distance <= tolerances.agrees)


def _unit(value: bytes) -> npt.NDArray[np.float64]:
    steps = np.frombuffer(value, np.int8).astype(np.float64)
    unit: npt.NDArray[np.float64] = steps / max(float(np.linalg.norm(steps)), 1e-6)
    return unit
