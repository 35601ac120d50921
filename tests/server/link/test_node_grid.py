"""The Grid of real nodes, over a SuperLink that is only played."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from flwr.app import Error, Message, RecordDict
from flwr.superlink.grid import HttpGrid

from server.link.grid import NodeGrid


class Played:
    """What a SuperLink would say: who is there since when, what was sent, what comes back."""

    def __init__(self) -> None:
        self.nodes = {7: "monday", 8: "monday"}
        self.sent: list[tuple[str, Message]] = []
        self.lost: set[str] = set()
        self.answered: set[str] = set()

    def push(self, messages: list[Message]) -> list[str]:
        names = [f"message {len(self.sent) + number}" for number, _ in enumerate(messages)]
        self.sent += list(zip(names, messages, strict=True))
        return names

    def pull(self, names: Any) -> list[Message]:
        came = []
        for name in list(names):
            message = dict(self.sent)[name]
            message.metadata.__dict__["_message_id"] = name
            if name in self.lost:
                came.append(Message(Error(5, "gone"), reply_to=message))
            elif name in self.answered:
                came.append(Message(RecordDict(), reply_to=message))
        return came


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    from flwr.supercore.task_identity import TaskIdentity

    link = Played()
    nodes = lambda _: [SimpleNamespace(node_id=n, last_activated_at=t) for n, t in link.nodes.items()]  # noqa: E731
    monkeypatch.setattr(HttpGrid, "push_messages", lambda _, messages: link.push(list(messages)))
    monkeypatch.setattr(NodeGrid, "_next", lambda _, names: next(iter(link.pull(names)), None))
    monkeypatch.setattr(NodeGrid, "get_nodes", nodes)
    monkeypatch.setattr(NodeGrid, "LOOK_EVERY", -1.0)
    monkeypatch.setattr(TaskIdentity, "_task_id", 1)
    monkeypatch.setattr(TaskIdentity, "_run_id", 1)
    monkeypatch.setattr(TaskIdentity, "_node_id", 1)
    return link


def made(away: float = 100.0) -> NodeGrid:
    return NodeGrid("127.0.0.1:1", insecure=True, root_certificates=None, token="t", away=away)  # noqa: S106


def ask(grid: NodeGrid) -> list[str]:
    return list(grid.push_messages([grid.create_message(RecordDict(), "train", n, "1") for n in (7, 8)]))


def came(grid: NodeGrid, asked: list[str]) -> list[str]:
    """What is answered now: replies come one at a time."""
    found: list[str] = []
    while replies := list(grid.pull_messages([name for name in asked if name not in found])):
        assert len(replies) == 1
        found += [reply.metadata.reply_to_message_id for reply in replies]
    return found


def test_a_calm_node_is_asked_once(played: Played) -> None:
    grid = made()
    asked = ask(grid)
    assert list(grid.pull_messages(asked)) == []
    played.answered = {"message 0", "message 1"}
    assert came(grid, asked) == asked
    assert len(played.sent) == 2


def test_a_node_that_has_begun_anew_is_asked_again_and_its_reply_is_that_to_the_first_question(
    played: Played,
) -> None:
    grid = made()
    asked = ask(grid)
    played.nodes[8] = "tuesday"
    assert list(grid.pull_messages(asked)) == []
    assert [message.metadata.dst_node_id for _, message in played.sent] == [7, 8, 8]
    played.answered = {"message 0", "message 2"}
    assert came(grid, asked) == asked
    assert len(played.sent) == 3


def test_a_node_that_is_gone_is_waited_for_and_asked_again_when_it_is_back(played: Played) -> None:
    grid = made()
    asked = ask(grid)
    del played.nodes[7]
    played.lost = {"message 0"}
    for _ in range(3):
        assert list(grid.pull_messages(asked)) == []
    assert len(played.sent) == 2
    played.nodes[7] = "tuesday"
    played.answered = {"message 1", "message 2"}
    assert sorted(came(grid, asked)) == asked


def test_a_node_that_stays_away_is_reported_gone(played: Played) -> None:
    grid = made(away=0.0)
    asked = ask(grid)
    del played.nodes[7]
    played.lost = {"message 0"}
    assert list(grid.pull_messages(asked)) == []
    [reply] = grid.pull_messages(asked)
    assert (reply.error.code, reply.metadata.reply_to_message_id) == (5, "message 0")
