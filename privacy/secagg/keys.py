"""The keys behind masks and envelopes: agreed by X25519 (RFC 7748), derived by HKDF-SHA256 (RFC 5869).

Every key is for one purpose, one roster (hence one study and its hospitals' fresh keys) and, where it masks,
one round. Both sides derive the same keys from the same secrets, the coordinator only from secrets that it
restored.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ground.errors import PrivacyError
from privacy.secagg.identity import statement
from privacy.secagg.wire import Roster


def mask_key(roster: Roster, number: int, secret: bytes) -> X25519PrivateKey:
    """The private key behind a hospital's pairwise masks of one round, from its shared secret."""
    derived = derive(secret, "mask key", roster.digest, number)
    return X25519PrivateKey.from_private_bytes(derived)


def pair_key(
    roster: Roster, number: int, one: str, other: str, private: X25519PrivateKey, public: bytes
) -> bytes:
    """The key of the mask that two hospitals share in one round; the same from either side."""
    shared = agree(private, public, other)
    return derive(shared, "pair mask", roster.digest, number, *sorted((one, other)))


def envelope_key(roster: Roster, one: str, other: str, private: X25519PrivateKey, public: bytes) -> bytes:
    """The key under which two hospitals seal shares for each other; the same from either side."""
    return derive(agree(private, public, other), "envelope", roster.digest, *sorted((one, other)))


def self_key(roster: Roster, number: int, hospital: str, secret: bytes) -> bytes:
    """The key of a hospital's self mask in one round."""
    return derive(secret, "self mask", roster.digest, number, hospital)


def commitment(roster: Roster, number: int, hospital: str, secret: bytes) -> bytes:
    """What a hospital says of its self mask beforehand: 32 bytes that fix it and do not show it."""
    return derive(secret, "commitment to a self mask", roster.digest, number, hospital)


def derive(secret: bytes, purpose: str, *context: str | int) -> bytes:
    """32 bytes for one purpose, from a shared or a private secret."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=statement(purpose, *context)).derive(secret)


def agree(private: X25519PrivateKey, public: bytes, whose: str) -> bytes:
    """The secret that two hospitals share (X25519, RFC 7748); raises PrivacyError on a degenerate key."""
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise PrivacyError(f"{whose} sent a key that shares no secret: refused") from None


def public_half(private: X25519PrivateKey) -> bytes:
    """The 32 bytes that the other side needs."""
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
