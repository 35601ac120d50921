from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from studies import FREE

from client.app import app
from client.hospital import Settings
from deploy.engines.local import LocalGrid
from server.progress import begin
from server.round import instruction
from tasks.messages import Reply, pack_instruction, unpack_reply
from tasks.registry import find

TASK = find(FREE.task)


def push(grid: LocalGrid, *nodes: int) -> list[str]:
    request = instruction(begin(FREE, TASK), TASK, 3)
    assert request is not None
    messages = [grid.create_message(pack_instruction(request), "query", node, "0") for node in nodes]
    return list(grid.push_messages(messages))


@pytest.fixture
def grid(hospitals: Sequence[Settings]) -> LocalGrid:
    return LocalGrid(app, hospitals)


def test_nodes_are_the_hospitals_in_their_order_from_1(
    grid: LocalGrid, hospitals: Sequence[Settings]
) -> None:
    assert list(grid.get_node_ids()) == [node.node_id for node in grid.get_nodes()] == [1, 2, 3]
    replies = [unpack_reply(message.content) for message in grid.pull_messages(push(grid, 3, 1, 2))]
    assert [reply.hospital for reply in replies] == [hospitals[i].name for i in (2, 0, 1)]


def test_one_worker_is_this_process(grid: LocalGrid) -> None:
    replies: list[Reply] = [unpack_reply(message.content) for message in grid.pull_messages(push(grid, 1, 2))]
    assert {reply.worker for reply in replies} == {str(os.getpid())}


def test_only_what_is_asked_for_is_pulled_and_only_once(grid: LocalGrid) -> None:
    first, second = push(grid, 1, 2)
    assert [message.metadata.reply_to_message_id for message in grid.pull_messages([second])] == [second]
    assert [message.metadata.reply_to_message_id for message in grid.pull_messages([first, second])] == [
        first
    ]
    assert list(grid.pull_messages([first, second, "unknown"])) == []


def test_every_message_has_an_identifier_of_its_own(grid: LocalGrid) -> None:
    identifiers = [*push(grid, 1, 1, 2), *push(grid, 1)]
    assert len(set(identifiers)) == 4


def test_blocking_is_left_to_the_driver(grid: LocalGrid) -> None:
    with pytest.raises(NotImplementedError, match="driver pushes and pulls"):
        grid.send_and_receive([])


def test_there_is_one_run(grid: LocalGrid) -> None:
    grid.set_run(grid.run)
    assert grid.run.run_id == 1
