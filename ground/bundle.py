"""Named arrays and a JSON header in one safetensors file: how all state is kept; nothing is unpickled.

A digest over both is kept with them, since safetensors has none: a flipped bit must not pass for state.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from ground.arrays import Array, Words
from ground.errors import StateError

# What safetensors calls the types that are kept here.
KINDS = {
    **{"float16": "F16", "float32": "F32", "float64": "F64"},
    **{"uint8": "U8", "uint16": "U16", "uint32": "U32", "uint64": "U64"},
    **{"int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "bool": "BOOL"},
}


def pack(arrays: Mapping[str, Array | Words], header: dict[str, Any]) -> bytes:
    """Bytes that `unpack` reads back to equal arrays and an equal header."""
    return b"".join(pieces(arrays, header))


def pieces(arrays: Mapping[str, Array | Words], header: dict[str, Any]) -> Iterator[bytes | memoryview]:
    """The same bytes piece by piece, the arrays' own memory among them: nothing large is copied."""
    contiguous: dict[str, Any] = {
        name: np.asarray(value, dtype=value.dtype.newbyteorder("<"), order="C")
        for name, value in arrays.items()
    }
    # The order of safetensors' own writer: wide types first, so that each array is aligned.
    names = sorted(contiguous, key=lambda name: (-contiguous[name].dtype.itemsize, name))
    text = json.dumps(header, sort_keys=True)
    entries: dict[str, Any] = {"__metadata__": {"header": f"{_digest(contiguous, text)} {text}"}}
    end = 0
    for name in names:
        value = contiguous[name]
        begin, end = end, end + value.nbytes
        kind = KINDS[value.dtype.name]
        entries[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [begin, end]}
    said = json.dumps(entries, separators=(",", ":")).encode()
    said += b" " * (-len(said) % 8)
    yield len(said).to_bytes(8, "little") + said
    for name in names:
        if contiguous[name].size:
            yield contiguous[name].reshape(-1).data.cast("B")


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
        if value.size:
            whole.update(np.ascontiguousarray(value).reshape(-1).data)
    return whole.hexdigest()
