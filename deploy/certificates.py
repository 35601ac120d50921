"""Certificates for one machine: an authority, and with it a certificate for a coordinator's address.

Hospitals need no certificate: they know the coordinator by its authority, and it knows them by their keys
(`client.node.keys`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ground.errors import UsageError
from ground.files import write_atomically

EARLIER = timedelta(minutes=5)  # for clocks that are behind


@dataclass(frozen=True)
class Certificates:
    """PEM files.

    Attributes:
        authority: what nodes are given, so that they know their coordinator.
        certificate: of the coordinator.
        key: its private key; the owner's alone.

    """

    authority: Path
    certificate: Path
    key: Path


def make(folder: Path, names: Sequence[str], days: int) -> Certificates:
    """A new authority and a certificate for these host names and addresses, both valid so many days.

    The authority's own key is not kept: it vouches for this one coordinator and for nobody ever again. Raises
    UsageError where there is no name, or no day.
    """
    if not names or days < 1:
        raise UsageError("a certificate needs the coordinator's host name or address, and at least one day")
    until = timedelta(days=days)
    root = ec.generate_private_key(ec.SECP256R1())
    issuer = _named("Laennec authority of " + names[0])
    ca = (
        _begun(issuer, issuer, root.public_key(), until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root.public_key()), critical=False)
        .sign(root, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = (
        _begun(_named(names[0]), issuer, key.public_key(), until)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), critical=False)
        .sign(root, hashes.SHA256())
    )
    made = Certificates(folder / "authority.pem", folder / "coordinator.pem", folder / "coordinator.key")
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_atomically(made.key, private)
    write_atomically(made.certificate, leaf.public_bytes(Encoding.PEM), 0o644)
    write_atomically(made.authority, ca.public_bytes(Encoding.PEM), 0o644)
    return made


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, until: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + until)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
