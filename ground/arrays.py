"""Named arrays and the flat vector that stands for them on the wire."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Words = npt.NDArray[np.unsignedinteger]
Arrays = Mapping[str, Array]


def flatten(arrays: Arrays) -> Array:
    """All values in the order of the mapping, shape (total size,); empty mapping: shape (0,)."""
    if not arrays:
        return np.zeros(0, dtype=np.float32)
    return np.concatenate([value.reshape(-1) for value in arrays.values()])


def unflatten(vector: Array, like: Arrays) -> dict[str, Array]:
    """The inverse of `flatten`: names, shapes and types as in `like`; raises ValueError on another size.

    A part is a view of the vector where its type is the same: write into neither.
    """
    expected = size(like)
    if vector.shape != (expected,):
        raise ValueError(f"vector of shape {vector.shape} where ({expected},) was expected")
    parts: dict[str, Array] = {}
    start = 0
    for name, value in like.items():
        parts[name] = vector[start : start + value.size].reshape(value.shape).astype(value.dtype, copy=False)
        start += value.size
    return parts


def all_finite(vector: Array | Words) -> bool:
    """Whether no value is NaN or infinite. A finite sum proves it faster than looking at each value."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(vector.sum())) or bool(np.isfinite(vector).all())


def size(arrays: Arrays) -> int:
    """How many numbers the arrays hold together."""
    return sum(value.size for value in arrays.values())
