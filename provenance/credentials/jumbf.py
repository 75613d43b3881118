"""Finds a C2PA manifest store in an MP4 and the claim inside it, byte for byte.

Boxes of ISO/IEC 14496-12, JUMBF superboxes of ISO/IEC 19566-5, the C2PA `uuid` box of C2PA 2.4, "Embedding manifests into
BMFF-based assets". Nothing is interpreted beyond box headers: validation stays the reader's work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

C2PA_BOX_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_MANIFEST_PURPOSE = b"\0\0\0\0manifest\0"  # version and flags of a FullBox, then the purpose
_MERKLE_OFFSET_BYTES = 8
_STORE_BYTES_MAX = 64 * 2**20  # a store of ours is some 20 KB; ingredients with manifests of their own stay far below this
_TOP_LEVEL_BOXES_MAX = 100_000
_DESCRIPTION_HEADER_BYTES = 17  # content type UUID and toggles, before the label


def read_manifest_store(path: Path) -> bytes | None:
    """The only manifest store of an MP4, or None when there is none, more than one, or one over 64 MiB."""
    with path.open("rb") as file:
        stores = [store for store in _stores(file, path.stat().st_size) if store]
    return stores[0] if len(stores) == 1 else None


def claim_sha256(store: bytes, manifest_id: str) -> str | None:
    """SHA-256 (hex) of the CBOR claim of the manifest labelled `manifest_id`; None when there is not exactly one.

    The claim is what the signature covers, and it carries the hash of every assertion. Paddings outside it may change
    without harm, so a digest of the whole store would let anyone make a true file look false.
    """
    manifests = [body for label, body in _children(_content(store)) if label == manifest_id]
    if len(manifests) != 1:
        return None
    claims = [body for label, body in _children(manifests[0]) if label.split("__")[0] in ("c2pa.claim", "c2pa.claim.v2")]
    payloads = [payload for claim in claims for kind, payload in _boxes(claim) if kind == b"cbor"]
    return hashlib.sha256(payloads[0]).hexdigest() if len(payloads) == 1 else None


def _stores(file: BinaryIO, size: int) -> Iterator[bytes]:
    position = 0
    for _ in range(_TOP_LEVEL_BOXES_MAX):
        file.seek(position)
        header = file.read(16)
        length, header_length = _box_length(header, size - position)
        if length < header_length or position + length > size:
            return
        if header[4:8] == b"uuid":
            yield _store_of_box(file, position + header_length, length - header_length)
        position += length


def _store_of_box(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    prefix = file.read(len(C2PA_BOX_UUID) + len(_MANIFEST_PURPOSE) + _MERKLE_OFFSET_BYTES)
    if length > _STORE_BYTES_MAX or not prefix.startswith(C2PA_BOX_UUID + _MANIFEST_PURPOSE):
        return b""
    store = file.read(length - len(prefix))
    # The box may be padded after the store: the superbox says where it ends.
    return store[: _box_length(store[:16], len(store))[0]]


def _box_length(header: bytes, remaining: int) -> tuple[int, int]:
    if len(header) < 8:
        return 0, 8
    length = int.from_bytes(header[:4], "big")
    if length == 1 and len(header) >= 16:
        return int.from_bytes(header[8:16], "big"), 16
    return (remaining if length == 0 else length), 8


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(content):
        length, header_length = _box_length(content[position : position + 16], len(content) - position)
        if length < header_length or position + length > len(content):
            return
        yield content[position + 4 : position + 8], content[position + header_length : position + length]
        position += length


def _content(superbox: bytes) -> bytes:
    return next((body for kind, body in _boxes(superbox) if kind == b"jumb"), b"")


def _children(superbox_content: bytes) -> Iterator[tuple[str, bytes]]:
    for kind, body in _boxes(superbox_content):
        if kind == b"jumb":
            yield _label(body), body


def _label(superbox_content: bytes) -> str:
    description = next((body for kind, body in _boxes(superbox_content) if kind == b"jumd"), b"")
    return description[_DESCRIPTION_HEADER_BYTES:].split(b"\0", 1)[0].decode("utf-8", "replace")
