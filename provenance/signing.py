"""Which signer, anchors and names this installation uses, from its settings."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from provenance.credentials import pki
from provenance.credentials.manifest import Software
from provenance.errors import PkiError

SOFT_BINDING_ALG = "org.countersign.video.1"  # unless settings name an algorithm the operator registered
CLAIM_GENERATOR = Software("Countersign", "0.1.0")


def soft_binding_alg() -> str:
    """The watermark's name in the C2PA list of soft-binding algorithms."""
    return str(getattr(settings, "SOFT_BINDING_ALG", SOFT_BINDING_ALG))


def claim_generator() -> Software:
    """Who makes the claims: name and version, from the setting CLAIM_GENERATOR, a pair."""
    name, version = getattr(settings, "CLAIM_GENERATOR", (CLAIM_GENERATOR.name, CLAIM_GENERATOR.version))
    return Software(str(name), str(version))


def signer() -> pki.Signer:
    """The signer of the `sign` worker. Raises PkiError; a production installation never falls back to a development key."""
    folder = Path(settings.PKI_DIR)
    if settings.DEVELOPMENT:
        return pki.development_signer(folder, tsa_url=_tsa_url())
    found = pki.load_signer(
        chain=folder / pki.CHAIN_FILE, key=folder / pki.KEY_FILE, anchors=folder / pki.ROOT_FILE, tsa_url=_tsa_url()
    )
    if found.development:
        raise PkiError(f"{folder} holds a development certificate; put the operator's certificate and key there.")
    return found


def anchors() -> str:
    """The roots that make a manifest ours, PEM. Verification needs no key, and on a web server finds none."""
    folder = Path(settings.PKI_DIR)
    if settings.DEVELOPMENT and not (folder / pki.ROOT_FILE).exists():
        return pki.development_signer(folder).anchors_pem
    return pki.load_anchors(folder / pki.ROOT_FILE)


def _tsa_url() -> str | None:
    found: str | None = getattr(settings, "TIMESTAMP_AUTHORITY_URL", None)
    return found
