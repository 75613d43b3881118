"""One search: from a window of residuals to the payload it carries, if any."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from . import codec, spectrum, statistic
from .carrier import Complexes
from .codec import Floats
from .geometry import SYMMETRIES, Geometry
from .issued import IssuedWords
from .keys import KeyedScheme, KeyRing, SyncGroup, payload_dimensions, pilot_dimensions
from .lattice import LatticeSpectrum, Rung
from .residual import Window
from .schemes import Scheme
from .spectrum import Readings

_SHIFT_GRID = 128
_SHIFTS = 2
_POSES_PER_RUNG = 12
_DECODED_ANYWAY = 6  # per rung; the others only when the known chips speak for them
_LIKELY_SYNC = 4.6  # sigmas: what the best of all shifts reaches by chance
_DECODES_AT_ONCE = 4
_KEYS_PER_POSE = 4


@dataclass(frozen=True)
class Pose:
    """One key at one place of the tile, with the dimensions read there. rank: sigmas of the chips that do not carry payload."""

    keyed: KeyedScheme
    geometry: Geometry
    rank: float
    luma: Floats
    chroma: Floats

    @cached_property
    def soft(self) -> Floats:
        """Soft code bits, float32 (480,)."""
        soft: Floats = self.keyed.luma.despread(self.luma[None])[0] + self.keyed.chroma.despread(self.chroma[None])[0]
        return soft

    def evidence(self, codeword: Floats) -> float:
        """L of a code word at this pose, in nats. The key's own chips do not count: they would speak for any id of that key."""
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
    """Searches windows with a ring of keys and, optionally, the ids that exist. Counts what it tried.

    keys_tried: keys that the whole search tries, where it has other rings beside this one.
    """

    def __init__(self, ring: KeyRing, issued: IssuedWords | None, keys_tried: int | None = None) -> None:
        self.scheme, self._ring, self._issued = ring.scheme, ring, issued
        self._keys_tried = keys_tried or len(ring)
        self.windows = 0
        self.candidates = 0

    def search(self, view: LatticeSpectrum, ladder: Sequence[Rung]) -> Match | None:
        """Climbs the ladder until an answer is accepted; else the strongest answer of all rungs, None without any key."""
        self.windows += 1
        best: Match | None = None
        poses: list[Pose] = []
        for rung in ladder:
            climbed = self._poses(view.window, view.climb(rung))
            poses += climbed
            for match in self._decodes(climbed):
                best = _stronger(best, match)
                if match.accepted:
                    return match
        return _stronger(best, self._issued_match(poses, self._issued)) if self._issued and poses else best

    def _poses(self, window: Window, geometries: Sequence[Geometry]) -> list[Pose]:
        """The most promising poses of one rung, best first; as many per sync group as a share of the decodes allows."""
        readings = [(geometry, spectrum.read(window, self.scheme, geometry)) for geometry in geometries]
        chosen: list[Pose] = []
        for group in self._ring.groups:
            places = [place for geometry, reading in readings for place in _places(group, self.scheme, geometry, reading)]
            likely = sorted(places, key=lambda place: -place.sync)[:_POSES_PER_RUNG]
            poses = [pose for place in likely for pose in self._keyed(group, place)]
            chosen += sorted(poses, key=lambda pose: -pose.rank)[:_POSES_PER_RUNG]
        return sorted(chosen, key=lambda pose: -pose.rank)

    def _keyed(self, group: SyncGroup, place: _Place) -> Iterator[Pose]:
        """A place with each key whose own chips speak for it."""
        scheme = self.scheme
        pilots = np.concatenate([pilot_dimensions(place.luma, scheme.luma), pilot_dimensions(place.chroma, scheme.chroma)])
        for name, agreement in self._ring.promising(group, pilots, _KEYS_PER_POSE):
            yield Pose(
                keyed=self._ring.expanded(name),
                geometry=place.geometry,
                rank=float(np.hypot(place.sync, max(agreement, 0.0))),
                luma=payload_dimensions(place.luma, scheme.luma),
                chroma=payload_dimensions(place.chroma, scheme.chroma),
            )

    def _decodes(self, poses: Sequence[Pose]) -> Iterator[Match]:
        """Free decodes of the likely poses, a few at a time."""
        anyway = _DECODED_ANYWAY * len(self._ring.groups)
        chance = max((math.sqrt(2.0 * math.log(len(group.names))) for group in self._ring.groups), default=0.0)
        likely = [pose for i, pose in enumerate(poses) if i < anyway or pose.rank > math.hypot(_LIKELY_SYNC, chance)]
        for start in range(0, len(likely), _DECODES_AT_ONCE):
            some = likely[start : start + _DECODES_AT_ONCE]
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
        searched = statistic.log_searched(ids=ids, keys=self._keys_tried, windows=self.windows)
        searched += math.log(2.0) if self._issued else 0.0  # decoded freely, and compared with the issued ids
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


@dataclass(frozen=True)
class _Place:
    """The tile at one place, with the coefficients (bins,) read there. sync: sigmas of the known chips."""

    geometry: Geometry
    sync: float
    luma: Complexes
    chroma: Complexes


def _places(group: SyncGroup, scheme: Scheme, geometry: Geometry, reading: Readings) -> list[_Place]:
    """The picture as it is, and where else the known chips put the tile: every shift, mirrored and turned by quarters."""
    turned = [
        (spectrum.bins_under(reading.luma, scheme.luma, way), spectrum.bins_under(reading.chroma, scheme.chroma, way))
        for way in SYMMETRIES
    ]
    grids = [
        spectrum.sync_agreement(luma, group.luma, scheme.luma, _SHIFT_GRID)
        + spectrum.sync_agreement(chroma, group.chroma, scheme.chroma, _SHIFT_GRID)
        for luma, chroma in turned
    ]
    agreement = np.fft.fft2(np.stack(grids)).real
    agreement /= max(float(agreement.std()), 1e-12)
    peaks = [(0, 0.0, 0.0, float(agreement[0, 0, 0])), *_highest(agreement, _SHIFTS)]
    return [_placed(scheme, geometry, turned[way], way, (y, x), sync) for way, y, x, sync in peaks]


def _highest(agreement: npt.NDArray[np.float64], count: int) -> list[tuple[int, float, float, float]]:
    """The highest separate peaks of periodic maps (ways, size, size): way, row, column between grid points, height."""
    remaining = agreement.copy()
    near = np.arange(-3, 4)
    peaks = []
    for _ in range(count):
        way, row, column = (int(i) for i in np.unravel_index(int(remaining.argmax()), remaining.shape))
        around = agreement[way]
        y = row + _vertex(*(float(around[(row + i) % _SHIFT_GRID, column]) for i in (-1, 0, 1)))
        x = column + _vertex(*(float(around[row, (column + i) % _SHIFT_GRID]) for i in (-1, 0, 1)))
        peaks.append((way, y, x, float(around[row, column])))
        remaining[way][np.ix_((row + near) % _SHIFT_GRID, (column + near) % _SHIFT_GRID)] = -np.inf
    return peaks


def _vertex(before: float, at: float, after: float) -> float:
    """Where the parabola through three neighbours is highest, from the middle one."""
    bend = before - 2.0 * at + after
    return 0.0 if bend >= 0.0 else max(-0.5, min(0.5, 0.5 * (before - after) / bend))


def _placed(
    scheme: Scheme,
    geometry: Geometry,
    values: tuple[Complexes, Complexes],
    way: int,
    place: tuple[float, float],
    sync: float,
) -> _Place:
    shift_y, shift_x = (i / _SHIFT_GRID for i in place)
    return _Place(
        geometry=geometry.placed(SYMMETRIES[way], shift_x * scheme.period_px, shift_y * scheme.period_px),
        sync=sync,
        luma=spectrum.turn_back(values[0], scheme.luma, shift_x, shift_y),
        chroma=spectrum.turn_back(values[1], scheme.chroma, shift_x, shift_y),
    )


def pose_at(window: Window, scheme: Scheme, keyed: KeyedScheme, geometry: Geometry) -> Pose:
    """What a key reads from a window at a known place."""
    reading = spectrum.read(window, scheme, geometry)
    luma, chroma = spectrum.bins_under(reading.luma, scheme.luma), spectrum.bins_under(reading.chroma, scheme.chroma)
    return Pose(
        keyed=keyed,
        geometry=geometry,
        rank=0.0,
        luma=payload_dimensions(luma, scheme.luma),
        chroma=payload_dimensions(chroma, scheme.chroma),
    )
