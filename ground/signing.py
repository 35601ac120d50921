"""What a hospital signs with its identity (Ed25519, RFC 8032) outside a secure sum, and how to check it.

A statement begins with its purpose, so that a signature given for one can never pass for another; and with
other words than those of secure aggregation (`privacy.secagg.identity`), which uses the same key.
"""

from __future__ import annotations

import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def new_private() -> bytes:
    """A new key's 32 private bytes, from the operating system's randomness."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())


def sign(private: bytes, purpose: str, *parts: str | int) -> str:
    """The signature of the key with these 32 private bytes, in hexadecimal; raises ValueError on others."""
    return Ed25519PrivateKey.from_private_bytes(private).sign(_statement(purpose, *parts)).hex()


def is_signed(public: bytes, signature: str, purpose: str, *parts: str | int) -> bool:
    """Whether the owner of that identity (32 public bytes) signed just this."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(
            bytes.fromhex(signature), _statement(purpose, *parts)
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def public_of(private: bytes) -> bytes:
    """The public half of a key, 32 bytes; raises ValueError where it is not one."""
    key = Ed25519PrivateKey.from_private_bytes(private).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _statement(purpose: str, *parts: str | int) -> bytes:
    return json.dumps(["laennec hospital 1", purpose, *parts]).encode()
