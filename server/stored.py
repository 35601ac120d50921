"""Vectors that lie in files, read and added up a stretch at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import numpy as np

from ground.arrays import Array

STRETCH = 1 << 18  # values


class Source(Protocol):
    """A vector of which a stretch can be had."""

    @property
    def size(self) -> int:
        """How many values it has."""

    @property
    def dtype(self) -> str:
        """Their type, as numpy writes it."""

    def stretch(self, start: int, count: int) -> Array:
        """At the most so many values from this one on; not to be written into."""


@dataclass(frozen=True, eq=False)
class Held:
    """A vector in memory."""

    vector: Array

    @property
    def size(self) -> int:
        """How many values it has."""
        return self.vector.size

    @property
    def dtype(self) -> str:
        """Their type."""
        return self.vector.dtype.str

    def stretch(self, start: int, count: int) -> Array:
        """A view."""
        return self.vector[start : start + count]


@dataclass(frozen=True)
class Stored:
    """A vector in a file of its own, raw; what is known of it is kept elsewhere, with its SHA-256."""

    file: Path
    dtype: str
    size: int
    digest: str

    def stretch(self, start: int, count: int) -> Array:
        """Read from the file, not mapped: what was read takes no more memory once it was used."""
        kind = np.dtype(self.dtype)
        count = min(count, self.size - start)
        values: Array = np.fromfile(self.file, kind, count, offset=start * kind.itemsize)
        return values

    def is_whole(self) -> bool:
        """Whether the file still holds what was written."""
        whole = sha256()
        try:
            if self.file.stat().st_size != self.size * np.dtype(self.dtype).itemsize:
                return False
            for start in range(0, self.size, STRETCH):
                whole.update(self.stretch(start, STRETCH).data)
        except OSError:
            return False
        return whole.hexdigest() == self.digest

    def remove(self) -> None:
        """Delete the file."""
        self.file.unlink(missing_ok=True)


def store(file: Path, parts: Iterable[Array], kind: np.dtype[np.floating]) -> Stored:
    """Write the parts one after the other; durable when this returns. Nobody must read the file before."""
    whole, size = sha256(), 0
    with file.open("wb") as stream:
        os.fchmod(stream.fileno(), 0o600)
        for part in parts:
            for start in range(0, part.size, STRETCH):
                values = np.ascontiguousarray(part[start : start + STRETCH], dtype=kind)
                whole.update(values.data)
                stream.write(values.data)
            size += part.size
        stream.flush()
        os.fsync(stream.fileno())
    return Stored(file, kind.str, size, whole.hexdigest())


def added(sources: Sequence[Source]) -> Iterator[tuple[int, Array]]:
    """The sum in the order given, as (where a stretch begins, its values), in the type of the first.

    The same bits as `tasks.learners.contract.add_up` gives.
    """
    first, *others = sources
    for start in range(0, first.size, STRETCH):
        part = np.array(first.stretch(start, STRETCH))
        for other in others:
            part += other.stretch(start, STRETCH)
        yield start, part
