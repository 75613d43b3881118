"""Watermark schemes: all that embedder and detector must agree on. A published scheme never changes; an idea is a new version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

PAYLOAD_BITS = 64
CODED_BITS = 480

Bin = tuple[int, int]


@dataclass(frozen=True)
class Lattice:
    """The half-plane of tile frequencies (ky, kx) that one colour plane carries, in cycles per tile period.

    `sync_count` bins, spread evenly over the frequencies, hold chips known beforehand; `pilot_count` of the others hold chips of
    the key, which tell one key of many; each bin left holds two payload dimensions. Amplitudes rise with the frequency to the
    power of `rise`.
    """

    name: str
    lowest: int
    highest: int
    sync_count: int
    pilot_count: int = 0
    rise: float = 0.0

    @cached_property
    def bins(self) -> tuple[Bin, ...]:
        """All bins, lowest frequency first. One of each conjugate pair: ky > 0, or ky = 0 and kx > 0."""
        span = range(-self.highest, self.highest + 1)
        ring = [
            (ky, kx) for ky in span for kx in span if (ky, kx) > (0, 0) and self.lowest**2 <= ky * ky + kx * kx <= self.highest**2
        ]
        return tuple(sorted(ring, key=lambda k: (k[0] ** 2 + k[1] ** 2, k)))

    @cached_property
    def sync_indices(self) -> tuple[int, ...]:
        """Positions in `bins` of the bins with known chips."""
        return tuple((i * len(self.bins)) // self.sync_count for i in range(self.sync_count))

    @cached_property
    def payload_indices(self) -> tuple[int, ...]:
        """Positions in `bins` of the bins that carry the payload."""
        known = {*self.sync_indices, *self.pilot_indices}
        return tuple(i for i in range(len(self.bins)) if i not in known)

    @cached_property
    def pilot_indices(self) -> tuple[int, ...]:
        """Positions in `bins` of the bins that tell the key."""
        known = set(self.sync_indices)
        free = [i for i in range(len(self.bins)) if i not in known]
        return tuple(free[((2 * i + 1) * len(free)) // (2 * self.pilot_count)] for i in range(self.pilot_count))

    @property
    def payload_dimensions(self) -> int:
        """Real numbers that carry the payload: real and imaginary part of each payload bin."""
        return 2 * len(self.payload_indices)


@dataclass(frozen=True)
class Scheme:
    """One version of the mark.

    The tile repeats every `period_px` luma pixels up to `reference_rows` rows and grows with the height above that, so a
    mark keeps its size relative to the picture where small periods would not survive a reduction to 480 rows.
    Amplitudes are in 8-bit code values at strength 1. shared_sync: the sync bins are keyed by one key for all, so the place of
    the tile is found once however many keys are tried.
    """

    version: int
    period_px: float
    reference_rows: int
    luma: Lattice
    chroma: Lattice
    luma_rms: float
    chroma_rms: float
    shared_sync: bool = False

    def period_for(self, height: int) -> float:
        """Tile period in luma pixels for an output of `height` rows."""
        return self.period_px * max(1.0, height / self.reference_rows)


SCHEME_1 = Scheme(
    version=1,
    period_px=128.0,
    reference_rows=720,
    luma=Lattice("luma", lowest=4, highest=15, sync_count=66),
    chroma=Lattice("chroma", lowest=3, highest=12, sync_count=32),
    luma_rms=1.42,
    chroma_rms=2.5,
)

SCHEME_2 = Scheme(
    version=2,
    period_px=128.0,
    reference_rows=720,
    luma=Lattice("luma", lowest=4, highest=15, sync_count=54, pilot_count=30, rise=0.5),
    chroma=Lattice("chroma", lowest=3, highest=12, sync_count=26, pilot_count=18),
    luma_rms=1.38,
    chroma_rms=2.5,
    shared_sync=True,
)

SCHEMES: Mapping[int, Scheme] = MappingProxyType({scheme.version: scheme for scheme in (SCHEME_1, SCHEME_2)})
