"""Secrets that open something: 256 bits from the operating system, of which only a hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets


def new_token() -> str:
    """A secret of 43 characters that are safe in a line of text."""
    made = secrets.token_urlsafe(32)
    return made if made[0].isalnum() else new_token()  # a word that no command line takes for an option


def hash_of(token: str) -> bytes:
    """What is kept of it. A fast hash serves: nobody can guess 256 bits, however fast."""
    return hashlib.sha256(token.encode()).digest()


def is_token(token: str, kept: bytes) -> bool:
    """Whether the hash is this token's, in a time that does not tell how much of it fits."""
    return hmac.compare_digest(hash_of(token), kept)
