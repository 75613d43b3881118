"""Which signer and which anchors this installation uses, from its settings."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from provenance.credentials import pki
from provenance.errors import PkiError


def signer() -> pki.Signer:
    """The signer of the `sign` worker. Raises PkiError; a production installation never falls back to a development key."""
    folder = Path(settings.PKI_DIR)
    if settings.DEVELOPMENT:
        return pki.development_signer(folder, tsa_url=settings.TIMESTAMP_AUTHORITY_URL)
    found = pki.load_signer(
        chain=folder / pki.CHAIN_FILE,
        key=folder / pki.KEY_FILE,
        anchors=folder / pki.ROOT_FILE,
        tsa_url=settings.TIMESTAMP_AUTHORITY_URL,
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
