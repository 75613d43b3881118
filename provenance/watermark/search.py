"""One search: from a window of residuals to the payload it carries, if any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from . import codec, spectrum, statistic
from .carrier import KeyedPlane
from .codec import Floats
from .geometry import Geometry, LatticeSpectrum, Rung
from .issued import IssuedWords
from .residual import Window
from .schemes import Scheme
from .spectrum import Readings

_SHIFT_GRID = 256
_SHIFTS = 3
_DECODES_PER_RUNG = 16
_DECODES_AT_ONCE = 4


@dataclass(frozen=True)
class KeyedScheme:
    """A key by its name, with what it makes of the scheme's planes."""

    name: str
    luma: KeyedPlane
    chroma: KeyedPlane

    @classmethod
    def of(cls, name: str, key: bytes, scheme: Scheme) -> KeyedScheme:
        """Expands a key once, for any number of searches."""
        return cls(name=name, luma=KeyedPlane.of(key, scheme.luma), chroma=KeyedPlane.of(key, scheme.chroma))


@dataclass(frozen=True)
class Pose:
    """One key at one place of the tile, with the payload dimensions read there."""

    keyed: KeyedScheme
    geometry: Geometry
    sync: float
    luma: Floats
    chroma: Floats

    @cached_property
    def soft(self) -> Floats:
        """Soft code bits, float32 (480,)."""
        soft: Floats = self.keyed.luma.despread(self.luma[None])[0] + self.keyed.chroma.despread(self.chroma[None])[0]
        return soft

    def evidence(self, codeword: Floats) -> float:
        """L of a code word at this pose, in nats."""
        return statistic.log_evidence(np.concatenate([self.luma, self.chroma]), float(self.soft @ codeword))


@dataclass(frozen=True)
class Match:
    """The strongest answer of a search. `accepted` when evidence suffices and, for a free decode, the CRC holds."""

    pose: Pose
    payload: int | None
    evidence: float
    required: float
    searched: float
    accepted: bool


class Searcher:
    """Searches windows with a set of keys and, optionally, the ids that exist. Counts what it tried."""

    def __init__(self, keys: Mapping[str, bytes], issued: IssuedWords | None, scheme: Scheme) -> None:
        self.scheme = scheme
        self._keys = [KeyedScheme.of(name, key, scheme) for name, key in keys.items()]
        self._issued = issued
        self.windows = 0
        self.candidates = 0

    def search(self, window: Window, ladder: Sequence[Rung]) -> Match | None:
        """Climbs the ladder until an answer is accepted; else the strongest answer of all rungs, None without any key."""
        self.windows += 1
        view = LatticeSpectrum(window, self.scheme)
        best: Match | None = None
        poses: list[Pose] = []
        for rung in ladder:
            climbed = self._poses(window, rung(view))
            poses += climbed
            for match in self._decodes(climbed):
                best = _stronger(best, match)
                if match.accepted:
                    return match
        return _stronger(best, self._issued_match(poses, self._issued)) if self._issued and poses else best

    def _poses(self, window: Window, geometries: Sequence[Geometry]) -> list[Pose]:
        """The most promising poses of one rung, best first; as many per key as a share of the decodes allows."""
        readings = [(geometry, spectrum.read(window, self.scheme, geometry)) for geometry in geometries]
        chosen: list[Pose] = []
        for keyed in self._keys:
            poses = [pose for geometry, reading in readings for pose in _shifts(keyed, self.scheme, geometry, reading)]
            chosen += sorted(poses, key=lambda pose: -pose.sync)[:_DECODES_PER_RUNG]
        return sorted(chosen, key=lambda pose: -pose.sync)

    def _decodes(self, poses: Sequence[Pose]) -> Iterator[Match]:
        """Free decodes of the poses, a few at a time."""
        for start in range(0, len(poses), _DECODES_AT_ONCE):
            some = poses[start : start + _DECODES_AT_ONCE]
            self.candidates += len(some)
            messages = codec.decode(np.stack([pose.soft for pose in some]))
            for pose, message in zip(some, messages, strict=True):
                yield self._match(pose, codec.payload_of(message), codec.encode(message[None])[0], ids=None)

    def _issued_match(self, poses: Sequence[Pose], issued: IssuedWords) -> Match:
        """The issued id that agrees best with any pose."""
        payload, column = issued.best(np.stack([pose.soft for pose in poses], axis=1))
        self.candidates += len(issued) * len(poses)
        return self._match(poses[column], payload, codec.codewords([payload])[0], ids=len(issued))

    def _match(self, pose: Pose, payload: int | None, codeword: Floats, *, ids: int | None) -> Match:
        searched = statistic.log_searched(ids=ids, keys=len(self._keys), windows=self.windows)
        required = statistic.required_evidence(searched)
        evidence = pose.evidence(codeword)
        return Match(
            pose=pose,
            payload=payload,
            evidence=evidence,
            required=required,
            searched=searched,
            accepted=payload is not None and evidence >= required,
        )


def _stronger(best: Match | None, match: Match) -> Match:
    """The answer that is accepted, or comes closest to it."""
    if best is None or (match.accepted, match.evidence - match.required) > (best.accepted, best.evidence - best.required):
        return match
    return best


def _shifts(keyed: KeyedScheme, scheme: Scheme, geometry: Geometry, reading: Readings) -> list[Pose]:
    """Poses at no shift and at the shifts the known chips favour."""
    grid = spectrum.sync_agreement(reading.luma, keyed.luma.sync, scheme.luma, _SHIFT_GRID)
    grid += spectrum.sync_agreement(reading.chroma, keyed.chroma.sync, scheme.chroma, _SHIFT_GRID)
    agreement = np.real(np.fft.fft2(grid))
    scale = max(float(agreement.std()), 1e-12)
    places = [(0, 0), *_highest(agreement.copy(), _SHIFTS)]
    return [_pose(keyed, scheme, geometry, reading, place, float(agreement[place]) / scale) for place in dict.fromkeys(places)]


def _highest(agreement: npt.NDArray[np.float64], count: int) -> list[tuple[int, int]]:
    """The highest separate peaks of a periodic map."""
    places = []
    near = np.arange(-6, 7)
    for _ in range(count):
        row, column = (int(i) for i in np.unravel_index(int(agreement.argmax()), agreement.shape))
        places.append((row, column))
        agreement[np.ix_((row + near) % _SHIFT_GRID, (column + near) % _SHIFT_GRID)] = -np.inf
    return places


def _pose(keyed: KeyedScheme, scheme: Scheme, geometry: Geometry, reading: Readings, place: tuple[int, int], sync: float) -> Pose:
    shift_y, shift_x = (i / _SHIFT_GRID for i in place)
    luma = spectrum.turn_back(reading.luma, scheme.luma, shift_x, shift_y)
    chroma = spectrum.turn_back(reading.chroma, scheme.chroma, shift_x, shift_y)
    return Pose(
        keyed=keyed,
        geometry=geometry.shifted(shift_x * scheme.period_px, shift_y * scheme.period_px),
        sync=sync,
        luma=spectrum.payload_values(luma, scheme.luma),
        chroma=spectrum.payload_values(chroma, scheme.chroma),
    )


def pose_at(window: Window, scheme: Scheme, keyed: KeyedScheme, geometry: Geometry) -> Pose:
    """What a key reads from a window at a known place."""
    reading = spectrum.read(window, scheme, geometry)
    return Pose(
        keyed=keyed,
        geometry=geometry,
        sync=0.0,
        luma=spectrum.payload_values(reading.luma, scheme.luma),
        chroma=spectrum.payload_values(reading.chroma, scheme.chroma),
    )
