"""Reads and validates the manifest of any file, trusting only the anchors it is given and never fetching anything.

The library's objects hold native memory, break in a forked child and are not thread-safe, so each call makes its own
(a context costs 0.4 ms).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import c2pa

from provenance.credentials.jumbf import claim_sha256, read_manifest_store
from provenance.signals import ManifestReading, ManifestState, SoftBinding

_STATES = {"Invalid": ManifestState.INVALID, "Valid": ManifestState.VALID, "Trusted": ManifestState.TRUSTED}
_INTACT = (ManifestState.VALID, ManifestState.TRUSTED)
_EXPIRED = "signingCredential.expired"
_ONLY_EXPIRED = {_EXPIRED, "signingCredential.untrusted"}  # an expired chain is reported as both


def reader_settings(anchors_pem: str) -> dict[str, Any]:
    """Settings of every context of ours. Fetching is off: a manifest must not make a server call addresses it names."""
    return {
        "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
        "trust": {"user_anchors": anchors_pem},
    }


def read_manifest(path: Path, *, anchors_pem: str) -> ManifestReading:
    """What the embedded manifest of `path` says. `anchors_pem`: our roots, PEM.

    Never raises for a bad file: a container the reader does not know or cannot parse gives state `unreadable`, which no
    rule of `verify` takes for a manifest. Raises OSError when the file cannot be opened.
    """
    media_type = _media_type(path)
    if media_type is None:
        return ManifestReading(ManifestState.UNREADABLE, note="container not supported by the manifest reader")
    try:
        with c2pa.Context.from_dict(reader_settings(anchors_pem)) as context:
            return _read(path, media_type, context)
    except c2pa.C2paError as error:
        return ManifestReading(ManifestState.UNREADABLE, note=str(error)[:200])


def _media_type(path: Path) -> str | None:
    # By content: the name of an upload says nothing.
    with path.open("rb") as file:
        header = file.read(12)
    if header[4:8] != b"ftyp":
        return None
    return "video/quicktime" if header[8:12] == b"qt  " else "video/mp4"


def _read(path: Path, media_type: str, context: c2pa.Context) -> ManifestReading:
    with path.open("rb") as file:
        reader = c2pa.Reader.try_create(media_type, file, context=context)
        if reader is None:
            return ManifestReading(ManifestState.NONE)
        with reader:
            report: dict[str, Any] = json.loads(reader.json())
    return _reading(report, read_manifest_store(path))


def _reading(report: Mapping[str, Any], store: bytes | None) -> ManifestReading:
    manifest_id = str(report.get("active_manifest", ""))
    manifest = report.get("manifests", {}).get(manifest_id, {})
    results = report.get("validation_results", {}).get("activeManifest", {})
    passed, failed = _codes(results, "success"), _codes(results, "failure")
    state = _STATES.get(str(report.get("validation_state")), ManifestState.INVALID)
    signature = manifest.get("signature_info", {})
    signature_holds = "claimSignature.validated" in passed
    expired = _EXPIRED in failed
    return ManifestReading(
        state=state,
        manifest_id=manifest_id or None,
        manifest_sha256=claim_sha256(store, manifest_id) if store else None,
        store_sha256=hashlib.sha256(store).hexdigest() if store else None,
        signature_holds=signature_holds,
        signed_by_us=signature_holds and "signingCredential.trusted" in passed,
        hard_binding_holds=_binding_holds(state, passed, failed),
        expired=expired,
        signer_serial=signature.get("cert_serial_number"),
        signer_name=signature.get("common_name"),
        codes=tuple(sorted(failed)),
        claim_generator=_generator(manifest),
        ingredients=tuple(str(item.get("relationship")) for item in manifest.get("ingredients", [])),
        soft_bindings=_soft_bindings(manifest),
    )


def _binding_holds(state: ManifestState, passed: set[str], failed: set[str]) -> bool:
    intact = state in _INTACT or (bool(failed) and failed <= _ONLY_EXPIRED)
    return intact and "assertion.bmffHash.match" in passed


def _codes(results: Mapping[str, Any], kind: str) -> set[str]:
    return {str(entry.get("code")) for entry in results.get(kind, [])}


def _generator(manifest: Mapping[str, Any]) -> str | None:
    for entry in manifest.get("claim_generator_info", []):
        return " ".join(str(entry[key]) for key in ("name", "version") if key in entry)
    return None


def _soft_bindings(manifest: Mapping[str, Any]) -> tuple[SoftBinding, ...]:
    assertions = manifest.get("assertions", [])
    data = [entry.get("data", {}) for entry in assertions if str(entry.get("label", "")).startswith("c2pa.soft-binding")]
    return tuple(_soft_binding(entry) for entry in data if entry.get("blocks"))


def _soft_binding(data: Mapping[str, Any]) -> SoftBinding:
    blocks = data["blocks"]
    spans = (block.get("scope", {}).get("timespan") for block in blocks)
    spans_ms = tuple((int(span["start"]), int(span["end"])) for span in spans if span)
    return SoftBinding(str(data.get("alg", "")), str(blocks[0].get("value", "")), spans_ms)
