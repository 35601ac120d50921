"""A hospital that answers at another hour, and one that did not approve the study."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from test_driver import EVERYBODY, TERMS, FakeGrid, Node, broken, follow, others, refusal, reply_of
from test_round import DISTRIBUTED, FREE, LOCAL

from ground.errors import ApprovalError, FederationError, LaennecError, LaterError
from server import checkpoint
from server.events import Advanced, Waiting
from tasks.messages import Instruction, Reply
from tasks.study import Study

HOUR = 3600.0
SAID = "training runs here in 19:00-07:00 (CET), and it is 12:00: ask again at 19:00"


def open_from(name: str, moment: float, grid: list[FakeGrid]) -> Node:
    """Reads no patient before that moment of the grid's clock."""

    def node(request: Instruction, _: int) -> Reply:
        left = moment - grid[0].clock.now
        good = reply_of(request, name)
        return replace(good, vector=None, error=("LaterError", SAID), later=left) if left > 0 else good

    return node


@pytest.mark.parametrize("study", [FREE, DISTRIBUTED, LOCAL], ids=["free", "distributed", "local"])
def test_a_hospital_with_hours_is_waited_for_and_the_model_is_the_same(study: Study) -> None:
    grids: list[FakeGrid] = []
    grid = FakeGrid(open_from("hungary", 7 * HOUR, grids), *others("hungary"))
    grids.append(grid)
    progress, events = follow(grid, study)
    undisturbed, _ = follow(FakeGrid(*EVERYBODY), study)
    assert checkpoint.to_bytes(progress) == checkpoint.to_bytes(undisturbed)
    assert 7 * HOUR <= grid.clock.now < 7 * HOUR + 60
    assert [node for node, request in grid.asked if request.phase == "enrol"] == [1, 2, 3, 4, 1]
    waiting = [event for event in events if isinstance(event, Waiting)]
    assert {event.hospitals for event in waiting} == {("hungary",)}
    assert max(event.limit for event in waiting) == pytest.approx(7 * HOUR, abs=60)
    assert not any(step.left_out for step in events if isinstance(step, Advanced))


def test_being_late_is_no_failure_and_a_failure_beside_it_is_still_tried_three_times() -> None:
    grids: list[FakeGrid] = []
    ill = broken("cleveland", refusal("FederationError", "no memory left"), math.inf, "train", 1)
    grid = FakeGrid(open_from("hungary", HOUR, grids), ill, *others("hungary", "cleveland"))
    grids.append(grid)
    progress, _ = follow(grid, LOCAL)
    assert progress.history[0].contributors == ("hungary", "long-beach", "switzerland")
    asked = [node for node, request in grid.asked if (request.phase, request.round) == ("train", 1)]
    assert asked.count(2) == 3


def test_a_hospital_that_is_never_open_is_given_up_when_the_terms_say_so() -> None:
    grids: list[FakeGrid] = []
    grid = FakeGrid(open_from("hungary", 1e9, grids), *others("hungary"))
    grids.append(grid)
    with pytest.raises(LaterError, match=r"^hospital hungary: training runs here in 19:00-07:00"):
        follow(grid, FREE)
    grids[0] = grid = FakeGrid(open_from("hungary", 20 * HOUR, grids), *others("hungary"))
    with pytest.raises(FederationError, match="ask again at 19:00"):
        follow(grid, FREE, terms=replace(TERMS, later_seconds=10 * HOUR))
    assert grid.clock.now < HOUR


@pytest.mark.parametrize("later", [0.0, -5.0])
def test_whatever_a_hospital_says_it_is_not_asked_without_a_pause(later: float) -> None:
    tries = 5

    def node(request: Instruction, before: int) -> Reply:
        good = reply_of(request, "hungary")
        late = replace(good, vector=None, error=("LaterError", SAID), later=later)
        return late if request.phase == "enrol" and before < tries else good

    grid = FakeGrid(node, *others("hungary"))
    follow(grid, FREE)
    assert grid.clock.now >= tries


def test_a_study_that_is_not_approved_ends_at_once_with_the_hospital_s_name() -> None:
    said = "study short (abcdef) is not approved here: a person at the hospital decides"
    grid = FakeGrid(
        broken("hungary", refusal("ApprovalError", said), math.inf, "enrol", 0), *others("hungary")
    )
    with pytest.raises(
        ApprovalError, match=r"^hospital hungary: study short \(abcdef\) is not approved here"
    ):
        follow(grid, LOCAL)
    assert [node for node, request in grid.asked if request.phase == "enrol"] == [1, 2, 3, 4]


def test_an_approval_revoked_on_the_way_leaves_its_hospital_out_where_others_suffice() -> None:
    revoked = refusal("ApprovalError", "its approval here was revoked by a person at the hospital")
    progress, events = follow(
        FakeGrid(broken("hungary", revoked, math.inf, "train", 2), *others("hungary")), LOCAL
    )
    assert "hungary" in progress.history[0].contributors
    assert "hungary" not in progress.history[1].contributors
    assert any("revoked" in why for step in events if isinstance(step, Advanced) for _, why in step.left_out)


def test_when_to_ask_again_stays_with_the_error() -> None:
    reply = Reply("hungary", "train", "ab", 1, error=("LaterError", SAID), later=12.5)
    problem = reply.problem()
    assert isinstance(problem, LaterError)
    assert problem.seconds == 12.5
    other = replace(reply, error=("NoSuchError", "x")).problem()
    assert type(other) is LaennecError
