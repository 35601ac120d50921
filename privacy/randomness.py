"""Randomness that an adversary cannot predict, and that a test can repeat.

A `Stream` is the ChaCha20 key stream (RFC 8439) of one key, read as numbers. At a hospital the key comes
from the operating system (`secret_key`); in a simulation it is derived from the seed (`seeded_key`), which
makes a run repeatable and its noise predictable: the privacy card says which of the two it was.
Sub-streams are derived by HKDF-SHA256 (RFC 5869) from the key and a context, so that no two purposes
ever share key stream.
"""

from __future__ import annotations

import hashlib
import os

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from scipy.special import ndtri

Floats = npt.NDArray[np.float64]


def secret_key() -> bytes:
    """32 bytes from the operating system's generator."""
    return os.urandom(32)


def seeded_key(seed: int, *context: str) -> bytes:
    """32 repeatable bytes: for simulations and tests, never for a hospital."""
    return hashlib.sha256("\x1f".join(("laennec-seed", str(seed), *context)).encode()).digest()


class Stream:
    """Numbers drawn in order from one key stream; the same key and context give the same numbers."""

    def __init__(self, key: bytes, *context: str | int) -> None:
        if len(key) != 32:
            raise ValueError(f"a key has 32 bytes, not {len(key)}")
        info = "\x1f".join(map(str, context)).encode()
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key)
        self._key_stream = Cipher(algorithms.ChaCha20(derived, bytes(16)), mode=None).encryptor()

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes."""
        return self._key_stream.update(bytes(count))

    def uniform(self, count: int) -> Floats:
        """`count` numbers in the open interval (0, 1): 52 random bits each, never 0 and never 1."""
        words = np.frombuffer(self.bytes(8 * count), dtype="<u8") >> np.uint64(12)
        return (words.astype(np.float64) + 0.5) * 2.0**-52

    def normal(self, count: int) -> Floats:
        """`count` standard normal numbers, by the inverse of the distribution function.

        52 bits reach 8.2 standard deviations. Floating-point Gaussian noise is not exactly the ideal one
        (Mironov, CCS 2012): the privacy card names it.
        """
        return np.asarray(ndtri(self.uniform(count)), dtype=np.float64)

    def chosen(self, count: int, rate: float) -> npt.NDArray[np.int64]:
        """Poisson sampling: the indices below `count`, each taken independently with probability `rate`."""
        if rate >= 1.0:
            return np.arange(count, dtype=np.int64)
        return np.flatnonzero(self.uniform(count) < rate).astype(np.int64)
