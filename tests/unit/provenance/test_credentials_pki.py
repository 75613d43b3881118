"""The development PKI is made once, is marked as what it is, and mistakes say what to do."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID

from provenance.credentials import pki
from provenance.errors import PkiError


def chain(signer: pki.Signer) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(signer.chain_pem.encode())


def test_the_second_call_uses_what_the_first_one_made(tmp_path: Path) -> None:
    assert pki.development_signer(tmp_path).leaf_serial == pki.development_signer(tmp_path).leaf_serial


def test_starting_twice_at_once_makes_one_root(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        anchors = set(pool.map(lambda _: pki.development_signer(tmp_path).anchors_pem, range(8)))
    assert len(anchors) == 1


def test_only_the_owner_can_read_the_keys(tmp_path: Path) -> None:
    pki.development_signer(tmp_path)
    keys = list(tmp_path.glob("*.key.pem"))
    assert len(keys) == 3
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_the_leaf_has_the_profile_of_a_claim_signer(tmp_path: Path) -> None:
    signer = pki.development_signer(tmp_path)
    leaf, intermediate = chain(signer)
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert usage.critical
    assert usage.value.digital_signature
    assert list(purposes) == [ExtendedKeyUsageOID.EMAIL_PROTECTION]
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    leaf.verify_directly_issued_by(intermediate)
    intermediate.verify_directly_issued_by(x509.load_pem_x509_certificate(signer.anchors_pem.encode()))


def test_every_name_says_development_and_the_root_is_not_sent_along(tmp_path: Path) -> None:
    signer = pki.development_signer(tmp_path)
    assert signer.development
    assert all("Development" in certificate.subject.rfc4514_string() for certificate in chain(signer))
    assert all(certificate.subject != certificate.issuer for certificate in chain(signer))


def test_a_signature_is_sixty_four_raw_bytes_that_verify(tmp_path: Path) -> None:
    signer = pki.development_signer(tmp_path)
    raw = signer.sign(b"claim")
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public = chain(signer)[0].public_key()
    assert len(raw) == 64
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(der, b"claim", ec.ECDSA(hashes.SHA256()))


def test_half_a_pki_is_refused(tmp_path: Path) -> None:
    pki.development_signer(tmp_path)
    (tmp_path / pki.KEY_FILE).unlink()
    with pytest.raises(PkiError, match="remove the folder"):
        pki.development_signer(tmp_path)


def test_an_expired_pki_is_refused_before_anything_is_signed(tmp_path: Path) -> None:
    pki.development_signer(tmp_path)
    with pytest.raises(PkiError, match="not valid today"):
        pki.development_signer(tmp_path, now=datetime.now(UTC) + timedelta(days=400))


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    pki.development_signer(tmp_path / "ours")
    pki.development_signer(tmp_path / "theirs")
    with pytest.raises(PkiError, match="belongs together"):
        pki.load_signer(
            chain=tmp_path / "ours" / pki.CHAIN_FILE,
            key=tmp_path / "theirs" / pki.KEY_FILE,
            anchors=tmp_path / "ours" / pki.ROOT_FILE,
        )


@pytest.mark.parametrize("name", [pki.CHAIN_FILE, pki.KEY_FILE])
def test_files_that_are_no_pem_are_named(name: str, tmp_path: Path) -> None:
    pki.development_signer(tmp_path)
    (tmp_path / name).write_text("not a certificate")
    with pytest.raises(PkiError, match=name):
        pki.development_signer(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PkiError, match=r"root\.pem cannot be read"):
        pki.load_anchors(tmp_path / "root.pem")
