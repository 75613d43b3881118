"""The keys a detector tries: their places known, their payload parts made only for those that look promising."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from .carrier import Complexes, KeyedPlane, pilot_chips, sync_chips
from .codec import Floats
from .schemes import Lattice, Scheme


@dataclass(frozen=True)
class KeyedScheme:
    """A key by its name, with what it makes of the scheme's planes."""

    name: str
    luma: KeyedPlane
    chroma: KeyedPlane

    @classmethod
    def of(cls, name: str, key: bytes, scheme: Scheme, sync_key: bytes | None = None) -> KeyedScheme:
        """Expands a key once, for any number of searches."""
        luma, chroma = (KeyedPlane.of(key, lattice, sync_key) for lattice in (scheme.luma, scheme.chroma))
        return cls(name=name, luma=luma, chroma=chroma)


@dataclass(frozen=True)
class SyncGroup:
    """Keys that share their sync chips: all of them, or one each where a scheme has no shared sync."""

    luma: Complexes
    chroma: Complexes
    names: tuple[str, ...]


class KeyRing:
    """All keys of one scheme. Raises ValueError when the scheme shares its sync and no sync key is given."""

    def __init__(self, keys: Mapping[str, bytes], scheme: Scheme, sync_key: bytes | None = None) -> None:
        if scheme.shared_sync and sync_key is None:
            raise ValueError("this watermark scheme places its tile by a key for all; give sync_key")
        self.scheme, self._keys = scheme, dict(keys)
        self._sync_key = sync_key if scheme.shared_sync else None
        self.expanded = lru_cache(maxsize=256)(self._expanded)

    def __len__(self) -> int:
        return len(self._keys)

    def _expanded(self, name: str) -> KeyedScheme:
        return KeyedScheme.of(name, self._keys[name], self.scheme, self._sync_key)

    @cached_property
    def groups(self) -> tuple[SyncGroup, ...]:
        """Keys by their sync chips. No keys, no groups."""
        if self._sync_key is not None:
            return (self._group(self._sync_key, tuple(self._keys)),) if self._keys else ()
        return tuple(self._group(key, (name,)) for name, key in self._keys.items())

    def _group(self, sync_key: bytes, names: tuple[str, ...]) -> SyncGroup:
        return SyncGroup(sync_chips(sync_key, self.scheme.luma), sync_chips(sync_key, self.scheme.chroma), names)

    @cached_property
    def _pilots(self) -> Floats:
        """Pilot dimensions of every key: float32 (keys, 2 x pilot bins of both planes)."""
        planes = (self.scheme.luma, self.scheme.chroma)
        chips = [np.concatenate([pilot_chips(key, lattice) for lattice in planes]) for key in self._keys.values()]
        return as_dimensions(np.stack(chips))

    def promising(self, group: SyncGroup, pilots: Floats, count: int) -> list[tuple[str, float]]:
        """The names of a group whose pilots agree best with dimensions read, (2 x pilot bins,), and how well, in sigmas."""
        if len(group.names) == 1:
            return [(group.names[0], 0.0)]
        agreement = self._pilots @ (pilots / max(float(np.linalg.norm(pilots)), 1e-9)) * np.sqrt(2.0)
        best = np.argsort(-agreement, kind="stable")[:count]
        return [(group.names[int(i)], float(agreement[i])) for i in best]


def as_dimensions(values: Complexes) -> Floats:
    """Complex values (..., bins) as real dimensions (..., 2 x bins)."""
    return np.stack([values.real, values.imag], axis=-1).reshape(*values.shape[:-1], -1).astype(np.float32)


def chosen_dimensions(values: Complexes, indices: tuple[int, ...]) -> Floats:
    """The real dimensions of some bins of one plane: float32 (2 x len(indices),)."""
    return as_dimensions(values[list(indices)])


def payload_dimensions(values: Complexes, lattice: Lattice) -> Floats:
    """The dimensions that carry the payload: float32 (dimensions,)."""
    return chosen_dimensions(values, lattice.payload_indices)


def pilot_dimensions(values: Complexes, lattice: Lattice) -> Floats:
    """The dimensions that tell the key: float32 (2 x pilot bins,)."""
    return chosen_dimensions(values, lattice.pilot_indices)
