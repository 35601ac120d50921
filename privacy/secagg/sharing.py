"""Secrets in shares, and shares in sealed envelopes.

Shamir's scheme over GF(2^128) is that of pycryptodome; envelopes are AES-256-GCM (NIST SP 800-38D) under a
key that sender and reader share, with a random nonce; study, roster, round, sender and reader are
authenticated with it, so that an envelope opens nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from Crypto.Protocol.SecretSharing import Shamir
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ground.errors import FederationError, PrivacyError
from privacy.secagg.identity import statement

SECRET = 16  # bytes
NONCE = 12


def split(secret: bytes, threshold: int, holders: tuple[str, ...]) -> dict[str, bytes]:
    """One share for each holder; any `threshold` of them restore the secret, fewer say nothing about it.

    A holder's index in Shamir's scheme is its place in `holders`, from 1.
    """
    if threshold == 1:  # pycryptodome wants at least 2; with 1 every share is the secret itself
        return dict.fromkeys(holders, secret)
    shares = Shamir.split(threshold, len(holders), secret, ssss=False)
    return {holders[index - 1]: bytes(share) for index, share in shares}


def combine(shares: Mapping[str, bytes], threshold: int, holders: tuple[str, ...], whose: str) -> bytes:
    """The secret, from the shares by holder; raises FederationError, naming its owner, where too few came."""
    if len(shares) < threshold:
        raise FederationError(
            f"only {len(shares)} of the {threshold} shares needed for {whose} came back: "
            "the round is abandoned"
        )
    if threshold == 1:
        return next(iter(shares.values()))
    indexed = [(holders.index(holder) + 1, share) for holder, share in sorted(shares.items())]
    return bytes(Shamir.combine(indexed[:threshold], ssss=False))


def seal(key: bytes, plain: bytes, *context: str | int) -> bytes:
    """Only who knows the key reads it, and only as what the context says that it is."""
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, statement("shares", *context))


def unseal(key: bytes, sealed: bytes, sender: str, *context: str | int) -> bytes:
    """The inverse of `seal`; raises PrivacyError, naming the sender, where it was meant for anything else."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], statement("shares", *context))
    except InvalidTag:
        raise PrivacyError(
            f"the shares of {sender} do not open here: sealed for another study, round or hospital; refused"
        ) from None
