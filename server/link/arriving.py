"""A reply on its way through the SuperLink: fetched piece by piece, in the memory of its numbers alone.

Flower sends a message as a tree of objects, an array as pieces of 5 MB, and its own Grid holds all of them,
then their join, then a copy. Here the pieces go straight to where they belong. Nothing is waited for: a reply
whose sender is still sending is left, its memory given back, and looked at again; only which pieces are there
is remembered, which is how far a slow link is. Pieces that are there stay there while a connection is cut.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from flwr.app import Array as FlowerArray
from flwr.app import ArrayRecord, Message
from flwr.app.message.arraychunk import ArrayChunk
from flwr.proto.message_pb2 import ObjectTree
from flwr.supercore.inflatable.inflatable_object import (
    InflatableObject,
    get_object_body,
    get_object_head_values_from_object_content,
)
from flwr.supercore.inflatable.inflatable_utils import (
    ObjectUnavailableError,
    inflate_object_from_contents,
)

from ground.errors import FederationError
from tasks.carried import DEFLATED, KINDS, RAW, CarriedArray
from tasks.compressed import inflate

PIECE = 5 * 2**20  # bytes, about, of which Flower makes a piece of an array
# What is not numbers: texts, metrics, and what holds a message together.
MOST_TEXT = 64 * 2**20
SOON, LATER, SLOWER = 0.02, 1.0, 1.5  # seconds until a reply that is being sent is looked at again
Fetch = Callable[[str], bytes]


@dataclass(eq=False)
class Arriving:
    """One reply. `most` is how many bytes of numbers it may have; more is refused before it is fetched."""

    tree: ObjectTree
    most: int
    known: set[str] = field(default_factory=set)
    fetched: int = 0
    pause: float = SOON
    due: float = 0.0

    @property
    def total(self) -> int:
        """Bytes that the reply has, about."""
        return max(self.fetched, PIECE * max(1, _leaves(self.tree)))

    def fetch(self, fetch: Fetch) -> Message | None:
        """The whole message, or None while its sender is still sending.

        Raises FederationError where it is larger than it may be, or no message, and
        `flwr.supercore.inflatable.inflatable_utils.ObjectPullError` where it will never be complete.
        """
        if time.monotonic() < self.due:
            return None
        before = self.fetched
        try:
            if self.known:  # it was not complete: first see that it is, holding nothing
                self._look(self.tree, fetch)
            message = self._whole(fetch)
        except ObjectUnavailableError:
            self.pause = SOON if self.fetched > before else min(LATER, SLOWER * self.pause)
            self.due = time.monotonic() + self.pause
            return None
        except (ValueError, KeyError, TypeError, IndexError, RecursionError, MemoryError) as error:
            raise FederationError("its reply is no message of ours: refused") from error
        return message

    def _get(self, name: str, fetch: Fetch) -> bytes:
        content = fetch(name)
        if name not in self.known:
            self.known.add(name)
            self.fetched += len(content)
        return content

    def _look(self, tree: ObjectTree, fetch: Fetch) -> None:
        """Raises ObjectUnavailableError where a piece is missing; what is known to be here is passed."""
        for child in tree.children:
            self._look(child, fetch)
        if tree.object_id not in self.known:
            self._get(tree.object_id, fetch)

    def _whole(self, fetch: Fetch) -> Message:
        contents: dict[str, bytes] = {}
        made: dict[str, InflatableObject] = {}
        self._collect(self.tree, fetch, contents, made)
        message = inflate_object_from_contents(self.tree.object_id, contents, objects=made)
        if not isinstance(message, Message):
            raise TypeError("another object")
        return message

    def _collect(
        self, tree: ObjectTree, fetch: Fetch, contents: dict[str, bytes], made: dict[str, InflatableObject]
    ) -> None:
        """Fetch all of it: arrays are made at once, of everything else the bytes are kept."""
        content = self._get(tree.object_id, fetch)
        kind, _, _ = get_object_head_values_from_object_content(content)
        if kind == FlowerArray.__qualname__:
            made[tree.object_id] = self._array(content, fetch)
            return
        contents[tree.object_id] = content
        if sum(map(len, contents.values())) > MOST_TEXT:
            raise FederationError(f"its reply has more than {MOST_TEXT >> 20} MB of text: refused")
        for child in tree.children:
            if child.object_id not in contents and child.object_id not in made:
                self._collect(child, fetch, contents, made)
        if kind == ArrayRecord.__qualname__:  # Flower's own way copies every array
            record = ArrayRecord()
            for name, array in json.loads(get_object_body(content, ArrayRecord)).items():
                record[name] = cast(FlowerArray, made[array])
            made[tree.object_id] = record

    def _array(self, content: bytes, fetch: Fetch) -> FlowerArray:
        """The numbers of an array, each piece put where it belongs as it comes."""
        _, names, _ = get_object_head_values_from_object_content(content)
        about: dict[str, Any] = json.loads(get_object_body(content, FlowerArray))
        shape, order = tuple(map(int, about["shape"])), list(map(int, about["arraychunk_ids"]))
        if about["stype"] not in (RAW, DEFLATED) or about["dtype"] not in KINDS or min(shape, default=0) < 0:
            raise ValueError("not an array of numbers")
        kind = np.dtype(about["dtype"])
        size = prod(shape) * kind.itemsize
        if size > self.most:
            raise FederationError(
                f"its reply holds {size / 1e6:.1f} MB of numbers, and {self.most / 1e6:.1f} MB are the most: "
                "refused"
            )
        values = np.empty(prod(shape), dtype=kind)
        pieces = self._pieces([names[index] for index in order], fetch)
        if about["stype"] == DEFLATED:
            inflate(pieces, values)
        else:
            _fill(values.view(np.uint8), pieces)
        return CarriedArray(values.reshape(shape))

    def _pieces(self, names: list[str], fetch: Fetch) -> Iterator[bytes]:
        """One after the other; one that comes several times is fetched once and again, and never held."""
        for name in names:
            yield get_object_body(self._get(name, fetch), ArrayChunk)


def _fill(room: npt.NDArray[np.uint8], pieces: Iterable[bytes]) -> None:
    end = 0
    for piece in pieces:
        room[end : end + len(piece)] = np.frombuffer(piece, dtype=np.uint8)  # raises where it does not fit
        end += len(piece)
    if end != room.size:
        raise ValueError("fewer numbers than the shape says")


def _leaves(tree: ObjectTree) -> int:
    """How many of its objects may be pieces of arrays."""
    return sum(map(_leaves, tree.children)) if tree.children else 1
