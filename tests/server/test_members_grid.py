"""A hospital that is a member no more is gone at once, for the study that is under way."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from flwr.app import DEFAULT_TTL, Message, Metadata, RecordDict

from ground.errors import FederationError
from server.admission.grid import MembersGrid
from server.asking import NO_MEMBER
from server.nodes import Nodes
from server.terms import Terms

NAMES = {7: "brest", 8: "lyon"}


class PlayedGrid:
    """Two nodes that never answer of themselves."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.ready: list[Message] = []
        self.asked: list[list[str]] = []

    def get_nodes(self) -> list[Any]:
        return [SimpleNamespace(node_id=node, name=name, online_until=0.0) for node, name in NAMES.items()]

    def create_message(
        self, content: RecordDict, kind: str, node: int, group: str, ttl: float | None
    ) -> Message:
        metadata = Metadata(1, f"to {node}", 0, node, "", group, time.time(), ttl or DEFAULT_TTL, kind)
        return Message(content=content, metadata=metadata)  # type: ignore[call-overload, no-any-return]

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        sent = list(messages)
        self.sent += [each.metadata.dst_node_id for each in sent]
        return [f"id of {each.metadata.dst_node_id}" for each in sent]

    def pull_messages(self, names: Iterable[str]) -> Iterator[Message]:
        self.asked.append(list(names))
        while self.ready:
            yield self.ready.pop()

    def watch(self) -> str:
        return "watched"


@pytest.fixture
def members() -> set[str]:
    return set(NAMES.values())


@pytest.fixture
def played() -> PlayedGrid:
    return PlayedGrid()


@pytest.fixture
def grid(played: PlayedGrid, members: set[str], monkeypatch: pytest.MonkeyPatch) -> MembersGrid:
    monkeypatch.setattr("server.admission.grid.LOOK_EVERY", 0.0)
    made = MembersGrid(played, lambda: members)  # type: ignore[arg-type]
    assert sorted(made.get_node_ids()) == [7, 8]
    return made


def question(grid: MembersGrid, node: int) -> Message:
    return grid.create_message(RecordDict(), "train", node, "1", None)


def test_while_all_are_members_nothing_is_different(grid: MembersGrid, played: PlayedGrid) -> None:
    asked = [question(grid, node) for node in (7, 8)]
    names = list(grid.push_messages(asked))
    assert names == ["id of 7", "id of 8"]
    assert list(grid.pull_messages(names)) == []
    asked[0].metadata.__dict__["_message_id"] = names[0]
    played.ready = [Message(RecordDict(), reply_to=asked[0])]
    [reply] = grid.pull_messages(names)
    assert not reply.has_error()
    assert grid.watch() == "watched"  # type: ignore[operator]


def test_who_is_revoked_in_the_middle_of_a_round_is_not_waited_for(
    grid: MembersGrid, played: PlayedGrid, members: set[str]
) -> None:
    names = list(grid.push_messages([question(grid, node) for node in (7, 8)]))
    members.remove("brest")
    [reply] = grid.pull_messages(names)
    assert reply.error.code == NO_MEMBER
    assert reply.metadata.reply_to_message_id == names[0]
    assert played.asked[-1] == [names[1]]  # the other one is waited for as before
    assert list(grid.pull_messages(names)) == []


def test_who_is_a_member_no_more_is_sent_nothing(
    grid: MembersGrid, played: PlayedGrid, members: set[str]
) -> None:
    members.remove("lyon")
    names = list(grid.push_messages([question(grid, node) for node in (8, 7, 8)]))
    assert played.sent == [7]
    assert len(set(names)) == 3
    assert names[1] == "id of 7"
    gone = {reply.metadata.reply_to_message_id for reply in grid.pull_messages(names)}
    assert gone == {names[0], names[2]}
    assert list(grid.get_node_ids()) == [7]


def test_a_study_that_goes_on_does_not_wait_for_who_was_revoked_meanwhile(
    grid: MembersGrid, members: set[str]
) -> None:
    waits = Terms(hospitals=2, join_seconds=0.05)
    members.remove("lyon")
    Nodes(grid).wait(waits, ("brest", "lyon"), enough=2)  # at once, though two were asked for
    members.add("nantes")
    with pytest.raises(FederationError, match="connected within"):  # who merely is away is waited for
        Nodes(grid).wait(waits, ("brest", "nantes"), enough=2)


def test_the_registry_is_not_asked_at_every_look(played: PlayedGrid, members: set[str]) -> None:
    looked: list[int] = []
    grid = MembersGrid(played, lambda: looked.append(1) or members)  # type: ignore[arg-type, func-returns-value]
    for _ in range(100):
        list(grid.pull_messages([]))
    assert len(looked) <= 2
