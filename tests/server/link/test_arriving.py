"""A reply that comes piece by piece: in its numbers' own memory, without waiting, never more than agreed."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pytest
from flwr.app import DEFAULT_TTL, ArrayRecord, ConfigRecord, Message, Metadata, RecordDict
from flwr.app import Array as FlowerArray
from flwr.app.message import array
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.inflatable.inflatable_utils import ObjectPullError, ObjectUnavailableError

from ground.errors import FederationError
from server.link import arriving
from server.link.arriving import Arriving
from tasks.carried import deflated
from tasks.messages import Reply, pack_reply, unpack_reply

MOST = 10**9
PIECE = 2**16  # bytes, so that it does not take long


def reply(size: int, **changes: Any) -> Reply:
    vector = np.random.default_rng(1).standard_normal(size).astype(np.float32)
    return Reply("lille", "train", "ab" * 32, 3, **{"vector": vector, "metrics": {"auc": 0.5}, **changes})


class Sent:
    """A message as a SuperLink keeps it: its objects, of which some are not here yet."""

    def __init__(self, content: RecordDict) -> None:
        metadata = Metadata(1, "", 7, 1, "the question", "1", 0.0, DEFAULT_TTL, "train")
        message = Message(content=content, metadata=metadata)  # type: ignore[call-overload]
        message.metadata.__dict__["_message_id"] = message.object_id
        self.tree = get_object_tree(message)
        self.objects = {name: each.deflate() for name, each in get_all_nested_objects(message).items()}
        self.away: set[str] = set()
        self.asked: Counter[str] = Counter()

    def fetch(self, name: str) -> bytes:
        self.asked[name] += 1
        if name in self.away:
            raise ObjectUnavailableError(name)
        return self.objects[name]

    @property
    def pieces(self) -> list[str]:
        return [name for name, content in self.objects.items() if content.startswith(b"ArrayChunk")]


def received(message: Message | None) -> Reply:
    assert message is not None
    return unpack_reply(message.content)


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses, and small pieces."""
    monkeypatch.setattr(arriving, "PIECE", PIECE)
    monkeypatch.setattr(array, "FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE", PIECE)
    monkeypatch.setattr(arriving, "SOON", 0.0)
    monkeypatch.setattr(arriving, "LATER", 0.0)


@pytest.mark.parametrize("size", [0, 1, 14, PIECE // 4, PIECE // 4 + 1, 3 * PIECE])
def test_what_comes_is_what_was_sent(size: int) -> None:
    sent = reply(size)
    link = Sent(pack_reply(sent))
    came = received(Arriving(link.tree, MOST).fetch(link.fetch))
    assert came.vector is not None
    assert sent.vector is not None
    assert came.vector.tobytes() == sent.vector.tobytes()
    assert (came.vector.dtype, came.metrics) == (np.float32, {"auc": 0.5})


def test_pieces_that_are_alike_are_sent_once_and_come_as_often_as_they_are_needed() -> None:
    link = Sent(pack_reply(reply(0, vector=np.zeros(PIECE, dtype=np.float32))))
    came = received(Arriving(link.tree, MOST).fetch(link.fetch))
    assert came.vector is not None
    assert came.vector.shape == (PIECE,)
    assert not came.vector.any()
    assert len(link.pieces) == 1


@pytest.mark.parametrize("size", [20_000, PIECE, 3 * PIECE])
def test_what_was_made_smaller_comes_as_it_was(size: int) -> None:
    sent = reply(size)
    whole, small = Sent(pack_reply(sent)), Sent(deflated(pack_reply(sent)))
    came = received(Arriving(small.tree, MOST).fetch(small.fetch))
    assert sent.vector is not None
    assert came.vector is not None
    assert came.vector.tobytes() == sent.vector.tobytes()
    assert sum(map(len, small.objects.values())) < 0.9 * sum(map(len, whole.objects.values()))


def test_nothing_is_waited_for_and_what_is_here_is_remembered() -> None:
    link = Sent(pack_reply(reply(PIECE)))
    pieces = link.pieces
    link.away = set(pieces)
    coming = Arriving(link.tree, MOST)
    seen = []
    for piece in pieces:
        assert coming.fetch(link.fetch) is None
        seen.append(coming.fetched)
        link.away.discard(piece)
    whole = received(coming.fetch(link.fetch))
    assert whole.vector is not None
    assert whole.vector.size == PIECE
    assert seen == sorted(seen)
    assert seen[-1] > 2 * PIECE
    assert coming.fetched == pytest.approx(4 * PIECE, rel=0.01)
    # While it was not complete, each piece was fetched once to see that it is here, and once more at the end.
    assert max(link.asked[piece] for piece in pieces) <= 4


def test_a_reply_that_is_incomplete_holds_no_memory() -> None:
    link = Sent(pack_reply(reply(4 * PIECE)))
    link.away = {link.pieces[-1]}
    coming = Arriving(link.tree, MOST)
    tracemalloc.start()
    assert coming.fetch(link.fetch) is None
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < PIECE / 10


def test_memory_is_that_of_the_numbers_and_a_piece() -> None:
    link = Sent(pack_reply(reply(5 * PIECE)))
    tracemalloc.start()
    came = Arriving(link.tree, MOST).fetch(lambda name: bytes(bytearray(link.fetch(name))))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert came is not None
    assert peak < 4 * (5 * PIECE) + 4 * PIECE


def test_a_reply_that_is_larger_than_agreed_is_refused_before_its_numbers_are_fetched() -> None:
    link = Sent(pack_reply(reply(PIECE)))
    with pytest.raises(FederationError, match=r"holds 0\.3 MB of numbers, and 0\.1 MB are the most: refused"):
        Arriving(link.tree, 10**5).fetch(link.fetch)
    assert not any(link.asked[piece] for piece in link.pieces)


def test_a_text_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "MOST_TEXT", 2**20)
    link = Sent(RecordDict({"text": ConfigRecord({"json": "x" * 2**21})}))
    with pytest.raises(FederationError, match="more than 1 MB of text: refused"):
        Arriving(link.tree, MOST).fetch(link.fetch)


@pytest.mark.parametrize(
    "lie",
    [
        {"shape": (7,)},
        {"shape": (2,)},
        {"shape": (-4,)},
        {"dtype": "O"},
        {"dtype": "<i4"},
        {"stype": "numpy.ndarray"},
    ],
    ids=str,
)
def test_an_array_that_is_not_what_it_says_is_refused(lie: dict[str, Any]) -> None:
    parts: dict[str, Any] = {"dtype": "<f4", "shape": (4,), "stype": "laennec.raw", "data": bytes(16), **lie}
    link = Sent(RecordDict({"arrays": ArrayRecord({"vector": FlowerArray(**parts)})}))
    with pytest.raises(FederationError, match="is no message of ours: refused"):
        Arriving(link.tree, MOST).fetch(link.fetch)


def test_what_will_never_be_complete_is_said() -> None:
    link = Sent(pack_reply(reply(PIECE)))

    def gone(name: str) -> bytes:
        raise ObjectPullError(name, "the object could not be found.")

    with pytest.raises(ObjectPullError):
        Arriving(link.tree, MOST).fetch(gone)
