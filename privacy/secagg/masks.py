"""Masks: key streams added to words.

A mask is the AES-256-CTR key stream (NIST SP 800-38A) of one key, read as little-endian unsigned words and
added modulo 2^32 or 2^64. Each key makes one stream (see `keys`), so the counter starts at zero. All 256 bits
of a key reach the mask.
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ground.arrays import Words

CHUNK = 1 << 17  # bytes of key stream at a time: they stay in the processor's cache


def apply(words: Words, key: bytes, *, subtract: bool = False) -> None:
    """Add the key's stream to the words, shape (count,), in place, modulo their width; or take it off again.

    Raises ValueError, with nothing changed, on anything but unsigned words: a mask hides nothing else.
    """
    if words.ndim != 1 or words.dtype.kind != "u":
        raise ValueError(f"masks go on a row of unsigned words, not on {words.dtype} of shape {words.shape}")
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    zeros, stream = bytes(CHUNK), bytearray(CHUNK + 15)
    step = CHUNK // words.itemsize
    mask = np.frombuffer(stream, dtype=words.dtype.newbyteorder("<"), count=step)
    change = np.subtract if subtract else np.add
    for start in range(0, words.size, step):
        part = words[start : start + step]
        encryptor.update_into(zeros[: part.nbytes] if part.size < step else zeros, stream)
        change(part, mask[: part.size], out=part)
