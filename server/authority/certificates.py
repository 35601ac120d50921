"""What the authority's certificates hold (X.509, RFC 5280), and how one is read again."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from ground.membership.lifetimes import EARLIER


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


@dataclass(frozen=True)
class Facts:
    """What one certificate says.

    Attributes:
        serial: in hexadecimal.
        name: common name.
        key: the public key, as PEM.
        since, until: seconds since 1970.

    """

    serial: str
    name: str
    key: bytes
    since: float
    until: float


def facts_of(pem: bytes | str) -> Facts:
    """Read a certificate; raises ValueError where it is none."""
    read = x509.load_pem_x509_certificate(pem.encode() if isinstance(pem, str) else pem)
    return Facts(
        format(read.serial_number, "x"),
        str(read.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value),
        read.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        read.not_valid_before_utc.timestamp(),
        read.not_valid_after_utc.timestamp(),
    )


def begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    until: datetime,
    *,
    is_authority: bool = False,
) -> x509.CertificateBuilder:
    """A certificate but for what makes it special, valid from a moment ago until then."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - EARLIER)
        .not_valid_after(until)
        .add_extension(
            x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True
        )
        .add_extension(_usage(signs=is_authority), critical=True)
    )


def named(name: str) -> x509.Name:
    """A subject or issuer of that common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def alternative(name: str) -> x509.GeneralName:
    """A host name or an address, as a server's certificate holds it."""
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
