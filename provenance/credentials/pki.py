"""Keys and certificates that sign claims: a development PKI made on first use, and the loader of an operator's own.

Certificate profile: C2PA 2.4, "X.509 certificates", and the claim-signing leaf of the C2PA conformance programme.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provenance.errors import PkiError

CHAIN_FILE = "chain.pem"  # leaf, then intermediate; the root stays out of the file, as C2PA asks
KEY_FILE = "leaf.key.pem"
ROOT_FILE = "root.pem"
DEVELOPMENT_MARK = "Development"

_ROOT_DAYS, _INTERMEDIATE_DAYS, _LEAF_DAYS = 3650, 1825, 365
_P256_BYTES = 32


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs a claim.

    chain_pem: leaf then intermediates, PEM. anchors_pem: the roots that readers of ours trust, PEM. sign: message -> raw
    ECDSA signature r||s, 64 bytes (RFC 9053, section 2.1), over SHA-256 and P-256. development: made on first use, never
    to be trusted outside. tsa_url: RFC 3161 time-stamping authority, or None.
    """

    chain_pem: str
    anchors_pem: str
    sign: Callable[[bytes], bytes]
    leaf_serial: str  # decimal, as readers report it
    development: bool
    tsa_url: str | None = None


@dataclass(frozen=True, slots=True)
class _Issuer:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def raw_signature(der: bytes) -> bytes:
    """DER ECDSA-Sig-Value (RFC 3279, section 2.2.3) to raw r||s of P-256, 64 bytes."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(_P256_BYTES, "big") + s.to_bytes(_P256_BYTES, "big")


def development_signer(folder: Path, *, tsa_url: str | None = None, now: datetime | None = None) -> Signer:
    """The development signer kept in `folder`; its root, intermediate and leaf are made on the first call.

    Raises PkiError when the folder holds half a PKI or an expired one.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(folder / ".lock"):
        present = [(folder / name).exists() for name in (CHAIN_FILE, KEY_FILE, ROOT_FILE)]
        if not any(present):
            _write_development_pki(folder, now or datetime.now(UTC))
        elif not all(present):
            raise PkiError(f"The development PKI in {folder} is incomplete; remove the folder so that it is made again.")
    return load_signer(chain=folder / CHAIN_FILE, key=folder / KEY_FILE, anchors=folder / ROOT_FILE, tsa_url=tsa_url, now=now)


def load_signer(*, chain: Path, key: Path, anchors: Path, tsa_url: str | None = None, now: datetime | None = None) -> Signer:
    """A signer from PEM files: `chain` leaf first, `key` of the leaf (PKCS #8, P-256), `anchors` the trusted roots.

    Raises PkiError when a file is missing or unreadable, when the key is not the leaf's, or when the leaf is not valid now.
    """
    chain_pem, anchors_pem = _read(chain).decode(), _read(anchors).decode()
    private = _load_key(key)
    leaf = _load_leaf(chain, chain_pem)
    _check_leaf(leaf, private, chain, now or datetime.now(UTC))

    def sign(message: bytes) -> bytes:
        return raw_signature(private.sign(message, ec.ECDSA(hashes.SHA256())))

    development = DEVELOPMENT_MARK in leaf.subject.rfc4514_string()
    return Signer(chain_pem, anchors_pem, sign, str(leaf.serial_number), development, tsa_url)


def load_anchors(path: Path) -> str:
    """The trusted roots alone, PEM: what a reader needs and a signer's machine is not required for."""
    return _read(path).decode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PkiError(f"{path} cannot be read ({error.strerror}); check the PKI settings and the file's owner.") from error


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError) as error:
        raise PkiError(f"{path} is not an unencrypted PEM private key; give a PKCS #8 key on P-256.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise PkiError(f"{path} is not a P-256 key; make a certificate on P-256 and give its key.")
    return key


def _load_leaf(path: Path, chain_pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(chain_pem.encode())[0]
    except ValueError as error:
        raise PkiError(f"{path} holds no PEM certificate; give the leaf followed by its intermediates.") from error


def _check_leaf(leaf: x509.Certificate, key: ec.EllipticCurvePrivateKey, path: Path, now: datetime) -> None:
    if leaf.public_key() != key.public_key():
        raise PkiError(f"The key is not the one of the first certificate in {path}; give the pair that belongs together.")
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        raise PkiError(
            f"The signing certificate in {path} is not valid today (until {leaf.not_valid_after_utc:%Y-%m-%d}); "
            "renew it, or remove the folder of a development PKI so that it is made again."
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # Two processes may start at once; only one of them may make the root.
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_development_pki(folder: Path, now: datetime) -> None:
    root = _authority("Root", None, now, _ROOT_DAYS, path_length=1)
    intermediate = _authority("Intermediate", root, now, _INTERMEDIATE_DAYS, path_length=0)
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    leaf = _leaf(leaf_key, intermediate, now)
    _write_private(folder / "root.key.pem", _key_pem(root.key))
    _write_private(folder / "intermediate.key.pem", _key_pem(intermediate.key))
    _write_private(folder / KEY_FILE, _key_pem(leaf_key))
    _write_private(folder / CHAIN_FILE, _pem(leaf) + _pem(intermediate.certificate))
    _write_private(folder / ROOT_FILE, _pem(root.certificate))


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "ZZ"),  # ISO 3166 user-assigned: no country
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"Countersign {DEVELOPMENT_MARK} - not for production"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _authority(role: str, parent: _Issuer | None, now: datetime, days: int, *, path_length: int) -> _Issuer:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"Countersign {DEVELOPMENT_MARK} {role}")
    usage = _key_usage(certificate_signing=True)
    builder = _base(subject, key, parent.certificate.subject if parent else subject, now, days)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    builder = builder.add_extension(usage, critical=True)
    if parent:
        builder = builder.add_extension(_authority_key_id(parent.key), critical=False)
    signing_key = parent.key if parent else key
    return _Issuer(builder.sign(signing_key, hashes.SHA256()), key)


def _leaf(key: ec.EllipticCurvePrivateKey, issuer: _Issuer, now: datetime) -> x509.Certificate:
    builder = _base(_name(f"Countersign {DEVELOPMENT_MARK} Claim Signer"), key, issuer.certificate.subject, now, _LEAF_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(certificate_signing=False), critical=True)
    builder = builder.add_extension(_authority_key_id(issuer.key), critical=False)
    # emailProtection is what readers accept without a trust configuration of their own.
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    return builder.add_extension(purposes, critical=False).sign(issuer.key, hashes.SHA256())


def _base(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, now: datetime, days: int
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    # One hour back: machines whose clocks differ a little must still accept today's certificate.
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=days))
    return builder.add_extension(identifier, critical=False)


def _authority_key_id(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _key_usage(*, certificate_signing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificate_signing,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificate_signing,
        crl_sign=certificate_signing,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
