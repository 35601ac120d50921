"""The authority's own key, and what it signs.

It is made with the coordinator's home and never leaves it. Whoever holds it can pass for the coordinator: a
backup of it belongs in a safe.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from ground.errors import StateError, UsageError
from ground.files import write_atomically
from ground.membership.invitation import fingerprint_of
from ground.membership.messages import IDENTITY
from server.authority.certificates import Certificates, alternative, begun, named

LASTS = timedelta(days=20 * 365)  # of an authority; what it signs is renewed many times meanwhile


class Authority:
    """The key and the certificate of a federation's authority."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key, self._certificate = key, certificate

    @staticmethod
    def new(name: str, lasts: timedelta = LASTS) -> Authority:
        """A new one, which is written nowhere."""
        key, who = ec.generate_private_key(ec.SECP256R1()), named(name)
        made = (
            begun(who, who, key.public_key(), datetime.now(UTC) + lasts, is_authority=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return Authority(key, made)

    @staticmethod
    def begin(folder: Path, name: str) -> Authority:
        """A new one, kept in `folder`; one that is there already stays."""
        if _key(folder).exists():
            return Authority.open(folder)
        made = Authority.new(name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(certificate_in(folder), made.pem, 0o644)
        write_atomically(_key(folder), private_pem(made._key))
        return made

    @staticmethod
    def open(folder: Path) -> Authority:
        """The one in `folder`; raises StateError where it is damaged or not there."""
        try:
            key = load_pem_private_key(_key(folder).read_bytes(), None)
            made = x509.load_pem_x509_certificate(certificate_in(folder).read_bytes())
        except (OSError, ValueError) as error:
            raise StateError(
                f"{folder}: the federation's authority cannot be read: restore this folder from a backup"
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != made.public_key():
            raise StateError(f"{folder}: key and certificate are not of one authority: restore both")
        return Authority(key, made)

    @property
    def pem(self) -> bytes:
        """Its certificate, which everybody may have."""
        return self._certificate.public_bytes(Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its certificate, in hexadecimal."""
        return fingerprint_of(self.pem.decode())

    @property
    def public(self) -> bytes:
        """Its public key, as PEM."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def for_coordinator(
        self, names: Sequence[str], key: ec.EllipticCurvePublicKey, lasts: timedelta
    ) -> bytes:
        """A server's certificate for these host names and addresses, as PEM."""
        made = self._begun(names[0], key, lasts).add_extension(
            x509.SubjectAlternativeName([alternative(name) for name in names]), critical=False
        )
        return self._signed(made, key, ExtendedKeyUsageOID.SERVER_AUTH)

    def for_hospital(
        self, hospital: str, identity: str, key: ec.EllipticCurvePublicKey, lasts: timedelta
    ) -> bytes:
        """A member's certificate, as PEM: this name has this identity (in hexadecimal) and this node key."""
        made = self._begun(hospital, key, lasts).add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"{IDENTITY}{identity}")]),
            critical=False,
        )
        return self._signed(made, key, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _begun(self, name: str, key: ec.EllipticCurvePublicKey, lasts: timedelta) -> x509.CertificateBuilder:
        until = min(datetime.now(UTC) + lasts, self._certificate.not_valid_after_utc)
        return begun(named(name), self._certificate.subject, key, until)

    def _signed(
        self, made: x509.CertificateBuilder, key: ec.EllipticCurvePublicKey, use: x509.ObjectIdentifier
    ) -> bytes:
        mine = self._key.public_key()
        return (
            made.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(mine), critical=False)
            .sign(self._key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )


def make(folder: Path, names: Sequence[str], days: int) -> Certificates:
    """A new authority for one machine, and a certificate for these host names and addresses.

    The authority's own key is not kept: it vouches for this one coordinator and for nobody ever again. Both
    are valid so many days. Raises UsageError where there is no name, or no day.
    """
    if not names or days < 1:
        raise UsageError("a certificate needs the coordinator's host name or address, and at least one day")
    lasts, key = timedelta(days=days), ec.generate_private_key(ec.SECP256R1())
    authority = Authority.new(f"Laennec authority of {names[0]}", lasts)
    made = Certificates(folder / "authority.pem", folder / "coordinator.pem", folder / "coordinator.key")
    write_atomically(made.key, private_pem(key))
    write_atomically(made.certificate, authority.for_coordinator(names, key.public_key(), lasts), 0o644)
    write_atomically(made.authority, authority.pem, 0o644)
    return made


def certificate_in(folder: Path) -> Path:
    """Where an authority keeps what everybody may have."""
    return folder / "authority.pem"


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key, as PEM; to be written where its owner alone reads."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _key(folder: Path) -> Path:
    return folder / "authority.key"
