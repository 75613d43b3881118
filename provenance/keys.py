"""The keys of the mark: derived by name from one master secret, and the embedders and detectors that use them.

A key is named after studio, month, kind and scheme; what it may still be used for is a row (`models.WatermarkKey`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from provenance.errors import WatermarkKeyCompromised, WatermarkKeyUnknown
from provenance.models import Record, WatermarkKey
from provenance.watermark import SCHEME_1, SCHEME_2, SCHEMES, Detector, Embedder, derive_key
from settings.keys import watermark_master_key

MARKING_SCHEME = SCHEME_2  # of everything made from now on
SYNC_NAME = "sync"
ISSUED_IDS_MAX = 50_000  # beyond this the detector decodes freely


class KeySource(Protocol):
    """Whoever holds the master secret: this process, or a key management service that never gives it away."""

    def derive(self, name: str) -> bytes:
        """32 bytes that depend on the name and the master secret alone, always the same ones. A remote source should cache."""


class MasterKey:
    """The master secret from the settings, derived from by HKDF (RFC 5869)."""

    def derive(self, name: str) -> bytes:
        """The key of one name."""
        return derive_key(watermark_master_key(), name)


@cache
def _source_at(path: str) -> KeySource:
    source: KeySource = import_string(path)()
    return source


def watermark_key(name: str) -> bytes:
    """The 32-byte watermark key of one name."""
    return _source_at(settings.WATERMARK_KEY_SOURCE).derive(name)


def sync_key() -> bytes:
    """The key of the place of the tile, one for all: it tells nobody's mark from another's, so it is never rotated."""
    return watermark_key(SYNC_NAME)


def require_uncompromised(record: Record, *, lock: bool = False) -> None:
    """Refuses a record whose key somebody else may hold. Raises WatermarkKeyCompromised, or WatermarkKeyUnknown without a key.

    lock: until the transaction ends nobody can declare the key compromised, so that what is released meanwhile was in time.
    """
    rows = WatermarkKey.objects.filter(name=record.key_name)
    key = (rows.select_for_update() if lock else rows).first()
    if key is None:
        raise WatermarkKeyUnknown(f"There is no watermark key {record.key_name!r}; `watermark_keys list` names them.")
    if key.state == WatermarkKey.State.COMPROMISED:
        raise WatermarkKeyCompromised("The key that marks this clip was compromised; submit the job again.")


def embedder_of(record: Record, *, strength: float = 1.0) -> Embedder:
    """Marks frames as this record's. Raises WatermarkKeyCompromised, and WatermarkKeyUnknown."""
    require_uncompromised(record)
    scheme = SCHEMES[record.scheme]
    shared = sync_key() if scheme.shared_sync else None
    return Embedder(watermark_key(record.key_name), payload_of(record), scheme, strength, sync_key=shared)


def detector() -> Detector:
    """Looks for every mark of ours: all keys, retired and compromised ones too, each by its own scheme."""
    return _detector(_keys_of(SCHEME_1.version), _keys_of(SCHEME_2.version), issued_ids())


def detector_of(record: Record, *, freely: bool = False) -> Detector:
    """Looks for the mark of one record alone. freely: decode as if no id were known, which takes a stronger mark."""
    key = {record.key_name: watermark_key(record.key_name)}
    old = record.scheme == SCHEME_1.version
    return _detector(key if old else {}, {} if old else key, None if freely else [payload_of(record)])


def payload_of(record: Record) -> int:
    """The watermark id as the unsigned number that is embedded."""
    return int(record.watermark_id, 16)


def issued_ids() -> list[int] | None:
    """Every watermark id ever reserved, or None when there are too many to compare with one by one."""
    if Record.objects.count() > ISSUED_IDS_MAX:
        return None
    return [int(value, 16) for value in Record.objects.values_list("watermark_id", flat=True)]


def compromised_keys() -> frozenset[str]:
    """Names of the keys that somebody else may hold: their marks prove nothing."""
    return frozenset(WatermarkKey.objects.filter(state=WatermarkKey.State.COMPROMISED).values_list("name", flat=True))


def _keys_of(scheme: int) -> dict[str, bytes]:
    names = WatermarkKey.objects.filter(scheme=scheme).order_by("-created_at").values_list("name", flat=True)
    return {name: watermark_key(name) for name in names}


def _detector(first: dict[str, bytes], second: dict[str, bytes], ids: Sequence[int] | None) -> Detector:
    return Detector(second, ids, sync_key=sync_key(), scheme_1_keys=first)
