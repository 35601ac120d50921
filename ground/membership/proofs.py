"""Signatures with a node's key (ECDSA with P-384 and SHA-384), for what a member asks at the front door.

A statement begins with words that no other use of the key has, and with what is asked for.
"""

from __future__ import annotations

import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key


def prove(key: ec.EllipticCurvePrivateKey, asked: str, *parts: str | int) -> str:
    """The signature, in hexadecimal."""
    return key.sign(_statement(asked, *parts), ec.ECDSA(hashes.SHA384())).hex()


def is_proven(public: bytes, signature: str, asked: str, *parts: str | int) -> bool:
    """Whether the owner of that node key (PEM) signed just this."""
    try:
        key = load_pem_public_key(public)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(bytes.fromhex(signature), _statement(asked, *parts), ec.ECDSA(hashes.SHA384()))
    except (InvalidSignature, ValueError):
        return False
    return True


def _statement(asked: str, *parts: str | int) -> bytes:
    return json.dumps(["laennec node 1", asked, *parts]).encode()
