"""Every wait is bounded, and says for whom, for what, how long already and how long at the most."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from flwr.proto.node_pb2 import NodeInfo
from test_driver import EVERYBODY, TERMS, FakeGrid, Node, broken, follow, good, others, refusal, reply_of
from test_driver_restarts import stop
from test_round import DISTRIBUTED, FREE, LOCAL, NAMES, study

from ground.errors import ApprovalError, DeclinedError, FederationError
from server import checkpoint
from server.driver import Terms
from server.events import Advanced, Event, Waiting, What
from server.terms import Speeds
from tasks.messages import Instruction, Reply
from tasks.study import Study

DAY = 86400.0
NOT_YET = "study steps is not approved here: a person at the hospital decides"
PATIENT = replace(TERMS, approval_seconds=3 * DAY)
PRIVATE = study('[privacy]\nepsilon = 2.0\nnoise = "local"\nminimum-hospitals = 3\n')


def approves_at(name: str, moment: float, grid: list[FakeGrid], kind: str = "ApprovalError") -> Node:
    """A hospital where a person approves the study at that moment of the grid's clock."""

    def node(request: Instruction, _: int) -> Reply:
        if grid[0].clock.now < moment:
            return replace(reply_of(request, name), vector=None, error=(kind, NOT_YET))
        return reply_of(request, name)

    return node


def with_approval_at(moment: float, kind: str = "ApprovalError") -> FakeGrid:
    grids: list[FakeGrid] = []
    grid = FakeGrid(approves_at("hungary", moment, grids, kind), *others("hungary"))
    grids.append(grid)
    return grid


def waits(events: list[Event], what: What) -> list[Waiting]:
    return [event for event in events if isinstance(event, Waiting) and event.what == what]


@pytest.mark.parametrize("terms", [FREE, DISTRIBUTED, LOCAL], ids=["free", "distributed", "local"])
def test_an_approval_is_waited_for_and_the_model_is_the_same(terms: Study) -> None:
    grid = with_approval_at(2 * DAY / 24)
    progress, events = follow(grid, terms, terms=PATIENT)
    undisturbed, _ = follow(FakeGrid(*EVERYBODY), terms)
    assert checkpoint.to_bytes(progress) == checkpoint.to_bytes(undisturbed)
    told = waits(events, "approval")
    assert {(each.hospitals, each.limit) for each in told} == {(("hungary",), 3 * DAY)}
    assert max(each.seconds for each in told) == pytest.approx(2 * DAY / 24, abs=60)
    # Asked ever more rarely, and never less than twice a minute: a person waits for what they approved.
    asked = [node for node, request in grid.asked if request.phase == "enrol"]
    assert 100 < asked.count(1) < 300
    assert asked.count(2) == 1


def test_who_never_approves_is_left_out_by_the_study_s_own_rule_and_named() -> None:
    progress, events = follow(
        with_approval_at(math.inf), PRIVATE, terms=replace(PATIENT, approval_seconds=60)
    )
    assert progress.names == tuple(name for name in NAMES if name != "hungary")
    steps = [event for event in events if isinstance(event, Advanced)]
    assert [(step.round, step.left_out) for step in steps if step.left_out] == [(0, (("hungary", NOT_YET),))]


def test_too_few_approvals_end_the_study_when_the_time_is_up() -> None:
    terms = study('[privacy]\nepsilon = 2.0\nnoise = "local"\nminimum-hospitals = 4\n')
    grid = with_approval_at(math.inf)
    with pytest.raises(ApprovalError, match=r"^hospital hungary: study steps is not approved here"):
        follow(grid, terms, terms=replace(PATIENT, approval_seconds=100))
    assert 60 < grid.clock.now <= 100


def test_noise_that_counts_on_everybody_does_not_go_on_without_an_approval() -> None:
    with pytest.raises(ApprovalError, match=r"^hospital hungary: "):
        follow(with_approval_at(math.inf), DISTRIBUTED, terms=replace(PATIENT, approval_seconds=60))


def test_a_no_is_not_asked_for_again() -> None:
    grid = with_approval_at(DAY, "DeclinedError")
    progress, events = follow(grid, FREE, terms=PATIENT)
    assert "hungary" not in progress.names
    assert [node for node, request in grid.asked if request.phase == "enrol"] == [1, 2, 3, 4]
    assert waits(events, "approval") == []
    with pytest.raises(DeclinedError, match=r"^hospital hungary: "):
        follow(with_approval_at(DAY, "DeclinedError"), FREE)


def test_an_approval_is_waited_for_before_the_study_begins_and_not_in_its_midst() -> None:
    later = broken("hungary", refusal("ApprovalError", NOT_YET), math.inf, "train", 2)
    grid = FakeGrid(later, *others("hungary"))
    progress, _ = follow(grid, FREE, terms=PATIENT)
    assert "hungary" not in progress.history[1].contributors
    assert grid.clock.now < 60


class Watched(FakeGrid):
    """A Grid over a network, where nodes have names and beat every 30 s, the last time at second 100."""

    def __init__(self, *nodes: Node, names: Iterable[str] = NAMES, joining: float = 0.0) -> None:
        super().__init__(*nodes, joining=joining)
        self.names = dict(enumerate(names, 1))

    def get_nodes(self) -> Iterable[NodeInfo]:
        there = set(self.get_node_ids())
        return [
            NodeInfo(node_id=node, name=name, online_until=160.0, heartbeat_interval=30.0)
            for node, name in self.names.items()
            if node in there
        ]


def test_waiting_says_when_a_hospital_was_last_heard_of_even_before_it_answered() -> None:
    silent = broken("cleveland", None, 1, "enrol", 0)
    grid = Watched(silent, *others("cleveland"))
    grid.clock.now = 105.0
    _, events = follow(grid, FREE, terms=replace(TERMS, reply_seconds=600))
    told = waits(events, "reply")
    assert {each.hospitals for each in told} == {("cleveland",)}
    assert told[-1].seconds == pytest.approx(600, abs=2)
    assert told[-1].last_seen[0] == pytest.approx(605, abs=2)
    said = [each.sentence for each in told if 39.5 <= each.seconds < 40.5]
    assert said[0] == "waiting for cleveland, 40 s of 600 s; last seen 45 s ago"


def test_a_node_that_calls_itself_otherwise_than_it_is_registered_is_refused_by_its_name() -> None:
    grid = Watched(*EVERYBODY, names=("brest", *NAMES[1:]))
    with pytest.raises(FederationError, match="the node of brest calls itself cleveland"):
        follow(grid, FREE)


def test_who_has_yet_to_connect_is_told_with_the_time_that_is_left() -> None:
    grid = Watched(*EVERYBODY, joining=50.0)
    _, events = follow(grid, FREE)
    told = waits(events, "connection")
    assert told[0].sentence == "waiting for 4 more to connect (connection), 1 s of 300 s"
    assert {each.hospitals for each in told} == {(f"{n} more to connect",) for n in (1, 2, 3, 4)}


@pytest.mark.parametrize(
    ("measured", "limit"), [((), 3600.0), ((0.1,), 60.0), ((30.0, 5.0), 300.0), ((2000.0,), 3600.0)]
)
def test_the_limit_of_an_answer_follows_from_the_slowest_within_bounds(
    measured: tuple[float, ...], limit: float
) -> None:
    speeds = Speeds(Terms(hospitals=3, reply_seconds=3600.0))
    for seconds in measured:
        speeds.took("train", seconds)
    assert speeds.limit("train") == limit
    assert speeds.limit("report") == 3600.0


def test_a_hospital_that_becomes_slower_is_left_out_once_and_waited_for_longer_from_then_on() -> None:
    """All need 12 s a round, so that 120 s are waited; in round 2 hungary is silent."""

    def slow(request: Instruction, _: int) -> Reply | None:
        silent = request.round == 2 and request.phase == "train"
        return None if silent else reply_of(request, "hungary")

    grid = FakeGrid(slow, *others("hungary"))
    grid.delay = 12.0
    progress, events = follow(grid, FREE, terms=replace(TERMS, reply_seconds=3600))
    limits = {each.limit for each in waits(events, "reply")}
    assert min(limits) == pytest.approx(120, rel=0.05)
    assert "hungary" not in progress.history[1].contributors
    speeds = Speeds(TERMS)
    speeds.took("train", min(limits))  # as a wait in vain does
    assert replace(speeds, terms=Terms(4)).limit("train") == pytest.approx(1200, rel=0.05)


def test_late_answers_to_an_earlier_attempt_are_taken() -> None:
    grid = FakeGrid(*EVERYBODY)
    grid.delay = 61.0
    progress, _ = follow(grid, FREE, terms=replace(TERMS, reply_seconds=60))
    assert progress.names == NAMES
    # After the first round of questions everybody knows better; no answer was lost.
    enrols = [node for node, request in grid.asked if request.phase == "enrol"]
    assert enrols == [1, 2, 3, 4, 1, 2, 3, 4]


@pytest.mark.parametrize("names", [NAMES, ()], ids=["registered by name", "unknown"])
def test_after_a_restart_the_roster_is_waited_for_and_then_the_study_s_rule_decides(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    stop(LOCAL, tmp_path)
    silent = [good(name) for name in NAMES if name != "hungary"]
    left = [name for name in names if name != "hungary"]
    grid = Watched(*silent, names=left) if names else FakeGrid(*silent)
    progress, events = follow(grid, LOCAL, tmp_path)
    assert [record.contributors for record in progress.history[:2]] == [
        ("cleveland", "long-beach", "switzerland")
    ] * 2
    assert waits(events, "connection")[-1].hospitals == (
        ("hungary",) if names else (f"1 of {', '.join(NAMES)}",)
    )
    assert 300 <= grid.clock.now < 310
    # Never in silence: whoever is not even connected is named for each round.
    steps = [event for event in events if isinstance(event, Advanced)]
    assert {step.left_out for step in steps} == {(("hungary", "its node is not connected"),)}
