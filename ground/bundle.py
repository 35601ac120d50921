"""Named arrays and a JSON header in one safetensors file: how all state is kept; nothing is unpickled.

A digest over both is kept with them, since safetensors has none: a flipped bit must not pass for state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ground.arrays import Array, Words
from ground.errors import StateError


def pack(arrays: Mapping[str, Array | Words], header: dict[str, Any]) -> bytes:
    """Bytes that `unpack` reads back to equal arrays and an equal header."""
    contiguous: dict[str, Any] = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    text = json.dumps(header, sort_keys=True)
    # One entry, since safetensors writes several in no fixed order.
    return save(contiguous, metadata={"header": f"{_digest(contiguous, text)} {text}"})


def unpack(data: bytes, where: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays and header; raises StateError, naming `where`, on anything that `pack` did not write."""
    try:
        arrays = load(data)
        size = int.from_bytes(data[:8], "little")
        digest, _, text = json.loads(data[8 : 8 + size])["__metadata__"]["header"].partition(" ")
        if digest != _digest(arrays, text):
            raise ValueError("the digest does not match")
        header = json.loads(text)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise StateError(f"{where}: damaged: restore it from a backup, or start anew") from error
    return arrays, header


def _digest(arrays: Mapping[str, Array | Words], header: str) -> str:
    """SHA-256 over the header and each array's name, type, shape and values."""
    whole = sha256(header.encode())
    for name in sorted(arrays):
        value = arrays[name]
        whole.update(json.dumps([name, value.dtype.name, value.shape]).encode())
        whole.update(value.tobytes())
    return whole.hexdigest()
