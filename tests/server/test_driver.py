"""The driver over a Grid in memory, whose nodes do what a test says, and a clock that only sleep moves."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from flwr.app import DEFAULT_TTL, Error, Message, Metadata, RecordDict
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from test_round import DISTRIBUTED, FREE, LOCAL, NAMES
from test_round import reply as reply_to

from server import asking, checkpoint, driver, nodes
from server.driver import Terms, drive
from server.events import Advanced, Event, listening
from server.progress import Progress, begin
from tasks.messages import Instruction, Reply, pack_reply, unpack_instruction
from tasks.registry import find
from tasks.study import Study, parse

# Given an instruction and how often this node was asked for that round before: its answer, an error of its
# runtime, or None for silence.
Node = Callable[[Instruction, int], Reply | Error | None]
TERMS = Terms(hospitals=4, reply_seconds=60.0)


class Clock:
    """Stands for the module `time`."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    perf_counter = time = monotonic

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeGrid(Grid):
    """Nodes that connect one by one, each `joining` seconds after the one before."""

    def __init__(self, *nodes: Node, joining: float = 0.0) -> None:
        self.clock, self.joining = Clock(), joining
        self.delay = 0.0  # seconds that each answer takes
        self.nodes = dict(enumerate(nodes, 1))
        self.asked: list[tuple[int, Instruction]] = []
        self.replies: dict[str, tuple[float, Message]] = {}
        self.numbers = itertools.count(1)

    def set_run(self, run: Run) -> None: ...

    @property
    def run(self) -> Run:
        return Run.create_empty(run_id=1)

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        metadata = Metadata(
            1, str(next(self.numbers)), 0, dst_node_id, "", group_id, 0.0, ttl or DEFAULT_TTL, message_type
        )
        return Message(content=content, metadata=metadata)  # type: ignore[call-overload, no-any-return]

    def get_node_ids(self) -> Iterable[int]:
        return [node for node in self.nodes if self.clock.now >= self.joining * node]

    def get_nodes(self) -> Iterable[NodeInfo]:
        return []

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        identifiers = []
        for message in messages:
            request, node = unpack_instruction(message.content), message.metadata.dst_node_id
            before = sum(
                1 for n, i in self.asked if (n, i.phase, i.round) == (node, request.phase, request.round)
            )
            self.asked.append((node, request))
            answer = self.nodes[node](request, before)
            if answer is not None:
                content = answer if isinstance(answer, Error) else pack_reply(answer)
                ready = self.clock.now + self.delay
                self.replies[message.metadata.message_id] = ready, Message(content, reply_to=message)
            identifiers.append(message.metadata.message_id)
        return identifiers

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        ready = [name for name in message_ids if name in self.replies and self.is_ready(name)]
        return [self.replies.pop(name)[1] for name in ready]

    def is_ready(self, name: str) -> bool:
        return self.replies[name][0] <= self.clock.now

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        raise NotImplementedError


def reply_of(request: Instruction, name: str, **changes: Any) -> Reply:
    study = parse(request.study)
    asked = replace(begin(study, find(study.task)), phase=request.phase, round=request.round)
    return reply_to(asked, name, **changes)


def good(name: str, **changes: Any) -> Node:
    return lambda request, _: reply_of(request, name, **changes)


def broken(name: str, fault: Reply | Error | None, times: float, phase: str = "train", at: int = 1) -> Node:
    """Good, but for that many attempts at one round of one phase; a fault that is a reply is an error."""

    def node(request: Instruction, before: int) -> Reply | Error | None:
        if (request.phase, request.round, before < times) == (phase, at, True):
            return reply_of(request, name, error=fault.error) if isinstance(fault, Reply) else fault
        return reply_of(request, name)

    return node


def refusal(kind: str, text: str) -> Reply:
    return Reply("", "train", "", 0, error=(kind, text))


def follow(
    grid: FakeGrid, study: Study, home: Path | None = None, terms: Terms = TERMS
) -> tuple[Progress, list[Event]]:
    """Drive the study to its end on the grid's clock; gives what came out, and every event."""
    events: list[Event] = []
    with ExitStack() as stack:
        for module in (asking, driver, nodes):
            stack.enter_context(mock.patch.object(module, "time", grid.clock))
        stack.enter_context(listening(events.append))
        return drive(grid, study, terms, home), events


EVERYBODY = tuple(good(name) for name in NAMES)


def others(*names: str) -> list[Node]:
    return [good(name) for name in NAMES if name not in names]


@pytest.mark.parametrize("study", [FREE, DISTRIBUTED, LOCAL], ids=["free", "distributed", "local"])
def test_a_study_is_driven_to_its_end_and_every_step_is_told(study: Study) -> None:
    progress, events = follow(FakeGrid(*EVERYBODY), study)
    steps = [event for event in events if isinstance(event, Advanced)]
    assert progress.phase == "done"
    assert steps[-1].progress == progress
    assert [(step.progress.phase, step.round) for step in steps] == [
        ("train", 0),
        ("train", 1),
        ("report", 2),
        ("done", 2),
    ]


def test_every_node_is_asked_once_for_each_step() -> None:
    grid = FakeGrid(*EVERYBODY)
    follow(grid, FREE)
    assert [(node, request.phase) for node, request in grid.asked] == [
        (node, phase) for phase in ("enrol", "train", "train", "report") for node in (1, 2, 3, 4)
    ]


def test_the_busiest_worker_counts_all_that_it_computed() -> None:
    nodes = [good(name, worker="ab"[n % 2], seconds=1.0 + n) for n, name in enumerate(NAMES)]
    _, events = follow(FakeGrid(*nodes), FREE)
    assert {event.busy for event in events if isinstance(event, Advanced)} == {2.0 + 4.0}


def test_progress_is_on_disk_before_anybody_is_asked(tmp_path: Path) -> None:
    saved: list[tuple[str, int]] = []

    def node(request: Instruction, _: int) -> Reply:
        progress = checkpoint.load(tmp_path)
        assert progress is not None
        saved.append((progress.phase, progress.round))
        assert saved[-1] == (request.phase, request.round)
        return reply_of(request, "hungary")

    progress, _ = follow(FakeGrid(node, *others("hungary")), FREE, tmp_path)
    assert saved == [("enrol", 0), ("train", 1), ("train", 2), ("report", 2)]
    last = checkpoint.load(tmp_path)
    assert last is not None
    assert checkpoint.to_bytes(last) == checkpoint.to_bytes(progress)
