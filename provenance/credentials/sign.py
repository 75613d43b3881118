"""Signs one rendered file and proves it by reading it back before anyone can see it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import c2pa

from media.digests import file_sha256
from provenance.credentials.jumbf import read_manifest_store
from provenance.credentials.manifest import CREATED_ASSERTION_LABELS, ManifestInputs, binding_value, manifest_definition
from provenance.credentials.pki import Signer
from provenance.credentials.read import read_manifest, reader_settings
from provenance.errors import ReadBackFailed, SigningFailed
from provenance.signals import ManifestReading, ManifestState, SoftBinding

_MEDIA_TYPE = "video/mp4"
_MERKLE_CHUNK_KB = 1024  # hashing by chunks keeps memory at 10 MB for a 1 GB file; ours are never fragmented


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A signed file. manifest_sha256: of the claim, hex; store: the manifest store as embedded; asset_sha256: of the file."""

    path: Path
    manifest_id: str
    manifest_sha256: str
    store: bytes
    store_sha256: str
    asset_sha256: str
    signer_serial: str
    development: bool


class _KeptError:
    """Runs the signing call for the library, which must not see an exception, and keeps what went wrong."""

    def __init__(self, sign: Callable[[bytes], bytes]) -> None:
        self._sign = sign
        self.error: Exception | None = None

    def __call__(self, message: bytes) -> bytes:
        try:
            return self._sign(message)
        except Exception as error:  # noqa: BLE001 - native code calls this: kept here, raised by seal_output
            self.error = error
            return b""


def seal_output(*, rendered_path: Path, destination: Path, manifest_inputs: ManifestInputs, signer: Signer) -> SealedFile:
    """Signs `rendered_path` (an unfragmented MP4) into `destination`, which appears whole and verified, or not at all.

    Raises SigningFailed when no signature came about (the key service or time-stamping authority may be down: retry), and
    ReadBackFailed when the signed file does not read as trusted, bound to its bytes and carrying the given soft binding.
    """
    partial = destination.with_name(f"{destination.name}.{os.getpid()}.signing")
    try:
        _sign(rendered_path, partial, manifest_inputs, signer)
        sealed = _read_back(partial, destination, manifest_inputs, signer)
        partial.replace(destination)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
    return sealed


def _sign(rendered_path: Path, partial: Path, inputs: ManifestInputs, signer: Signer) -> None:
    kept = _KeptError(signer.sign)
    try:
        with (
            c2pa.Context.from_dict(_signing_settings(signer)) as context,
            c2pa.Signer.from_callback(kept, c2pa.C2paSigningAlg.ES256, signer.chain_pem, signer.tsa_url) as native,
            c2pa.Builder(json.dumps(manifest_definition(inputs)), context) as builder,
            rendered_path.open("rb") as source,
            partial.open("w+b") as target,
        ):
            builder.sign(native, _MEDIA_TYPE, source, target)
            target.flush()
            os.fsync(target.fileno())
    except c2pa.C2paError as error:
        cause = kept.error or error
        raise SigningFailed(f"The file was not signed ({cause}); check the signing key's service and try again.") from cause


def _signing_settings(signer: Signer) -> dict[str, Any]:
    return reader_settings(signer.anchors_pem) | {
        "core": {"merkle_tree_chunk_size_in_kb": _MERKLE_CHUNK_KB},
        "builder": {
            "created_assertion_labels": list(CREATED_ASSERTION_LABELS),
            "thumbnail": {"enabled": False},  # a picture of the output inside the manifest would outlive its withdrawal
        },
    }


def _read_back(partial: Path, destination: Path, inputs: ManifestInputs, signer: Signer) -> SealedFile:
    reading = read_manifest(partial, anchors_pem=signer.anchors_pem)
    store = read_manifest_store(partial)
    if store is None or not _is_what_was_signed(reading, inputs, signer):
        codes = ", ".join(reading.codes) or reading.note or reading.state
        raise ReadBackFailed(f"The signed file does not verify ({codes}); keep it from release and check the signing setup.")
    return SealedFile(
        path=destination,
        manifest_id=str(reading.manifest_id),
        manifest_sha256=str(reading.manifest_sha256),
        store=store,
        store_sha256=hashlib.sha256(store).hexdigest(),
        asset_sha256=file_sha256(partial),
        signer_serial=signer.leaf_serial,
        development=signer.development,
    )


def _is_what_was_signed(reading: ManifestReading, inputs: ManifestInputs, signer: Signer) -> bool:
    return (
        reading.state is ManifestState.TRUSTED
        and reading.signed_by_us
        and reading.hard_binding_holds
        and reading.signer_serial == signer.leaf_serial
        and reading.manifest_sha256 is not None
        and [(binding.alg, binding.value) for binding in reading.soft_bindings] == _expected_binding(inputs)
    )


def _expected_binding(inputs: ManifestInputs) -> list[tuple[str, str]]:
    expected = SoftBinding(inputs.binding.alg, binding_value(inputs.binding.value))
    return [(expected.alg, expected.value)]
