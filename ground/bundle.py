"""Named arrays and a JSON header in one safetensors file: how all state is kept; nothing is unpickled."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ground.arrays import Array, Arrays
from ground.errors import StateError


def pack(arrays: Arrays, header: dict[str, Any]) -> bytes:
    """Bytes that `unpack` reads back to equal arrays and an equal header."""
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    return save(contiguous, metadata={"header": json.dumps(header, sort_keys=True)})


def unpack(data: bytes, where: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays and header; raises StateError, naming `where`, on anything that `pack` did not write."""
    try:
        arrays = load(data)
        size = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["header"])
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise StateError(f"{where}: damaged: restore it from a backup, or start anew") from error
    return arrays, header
