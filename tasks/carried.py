"""Arrays in Flower's records, without a copy as long as they stay in this process.

Flower carries an array as bytes. Made at once, they cost two passes over a model in each direction even where
sender and receiver share memory, as on the local engine. So bytes are made when somebody asks for them: when
the message is pickled for a worker; for the network a chunk at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from flwr.app import Array as FlowerArray
from flwr.app import ArrayRecord, RecordDict

from ground.arrays import Array, Words
from tasks.compressed import deflate, inflate

RAW = "laennec.raw"
DEFLATED = "laennec.deflated"  # `tasks.compressed`
KINDS = ("<f4", "<f8", "<u4", "<u8")  # numbers in the clear, and masked words


class CarriedArray(FlowerArray):
    """A Flower array that keeps the numbers as they are; raw little-endian bytes once they are asked for."""

    def __init__(self, value: Array | Words) -> None:
        kind = np.dtype(value.dtype).newbyteorder("<")
        self.value = np.ascontiguousarray(value, dtype=kind).view()
        self.value.flags.writeable = False  # whoever receives it shares it with whoever sent it
        self.dtype, self.shape, self.stype = kind.str, value.shape, RAW

    @property
    def data(self) -> memoryview:  # type: ignore[override]
        """The bytes, as they lie in memory: Flower cuts them into chunks, which copy nothing either."""
        return self.value.reshape(-1).data.cast("B") if self.value.size else memoryview(b"")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as Flower's own array."""
        return _plain, (self.dtype, self.shape, self.value.tobytes())


# Flower names an object on the wire by its class, and knows its own names only.
CarriedArray.__qualname__ = FlowerArray.__qualname__


def pack_arrays(arrays: Mapping[str, Array | Words]) -> ArrayRecord:
    """As Flower carries them."""
    record = ArrayRecord()  # filled one by one: given a dictionary it would make the bytes
    for name, value in arrays.items():
        record[name] = CarriedArray(value)
    return record


def unpack_array(value: FlowerArray) -> Array:
    """A read-only array of what was received; raises ValueError on anything but numbers of that shape."""
    if isinstance(value, CarriedArray):
        return value.value
    if value.stype not in (RAW, DEFLATED) or value.dtype not in KINDS or min(value.shape, default=0) < 0:
        raise ValueError("not an array of numbers")
    if value.stype == DEFLATED:
        array: Array = np.empty(prod(value.shape), dtype=value.dtype)
        inflate([value.data], array)
        array.flags.writeable = False
    else:
        array = np.frombuffer(value.data, dtype=value.dtype)
    return array.reshape(value.shape)


def deflated(content: RecordDict) -> RecordDict:
    """The same with its arrays made smaller, those that become so: for a slow link, and the same numbers."""
    smaller = RecordDict(dict(content))
    for name, record in content.array_records.items():
        packed = ArrayRecord()
        for key, value in record.items():
            data = deflate(value.value) if isinstance(value, CarriedArray) else None
            packed[key] = value if data is None else FlowerArray(value.dtype, value.shape, DEFLATED, data)
        smaller[name] = packed
    return smaller


def _plain(dtype: str, shape: tuple[int, ...], data: bytes) -> FlowerArray:
    return FlowerArray(dtype=dtype, shape=shape, stype=RAW, data=data)
