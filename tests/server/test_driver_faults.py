"""What the driver does when nodes are late, silent, broken or wrong."""

from __future__ import annotations

import math

import pytest
from flwr.app import Error
from test_driver import EVERYBODY, FakeGrid, Node, broken, follow, good, others, refusal
from test_round import DISTRIBUTED, FREE, LOCAL, NAMES

from ground.errors import FederationError, StateError, UsageError
from server import checkpoint
from server.driver import Terms
from server.events import Advanced, Event, Waiting
from tasks.messages import Reply
from tasks.study import Study

FAULTS = {
    "an error of ours": refusal("FederationError", "no memory left"),
    "an error of its runtime": Error(2, "its worker process died"),
    "silence": None,
}
REASONS = ("no memory left", "its node reports error 2", "no reply within 60 s")
EACH_FAULT = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)


def left_out(events: list[Event]) -> list[tuple[int, tuple[tuple[str, str], ...]]]:
    return [(step.round, step.left_out) for step in events if isinstance(step, Advanced) and step.left_out]


@EACH_FAULT
@pytest.mark.parametrize(("phase", "at"), [("enrol", 0), ("train", 1), ("train", 2), ("report", 2)])
@pytest.mark.parametrize("study", [FREE, DISTRIBUTED, LOCAL], ids=["free", "distributed", "local"])
def test_a_node_that_fails_twice_and_then_answers_is_as_good_as_one_that_never_failed(
    study: Study, phase: str, at: int, fault: Reply | Error | None
) -> None:
    grid = FakeGrid(broken("hungary", fault, 2, phase, at), *others("hungary"))
    progress, events = follow(grid, study)
    undisturbed, _ = follow(FakeGrid(*EVERYBODY), study)
    assert checkpoint.to_bytes(progress) == checkpoint.to_bytes(undisturbed)
    assert left_out(events) == []
    asked = [node for node, request in grid.asked if (request.phase, request.round) == (phase, at)]
    assert asked == [1, 2, 3, 4, 1, 1]


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize(("fault", "why"), list(zip(FAULTS.values(), REASONS, strict=True)), ids=FAULTS)
def test_local_noise_goes_on_without_a_hospital_and_says_in_which_round_and_why(
    fault: Reply | Error | None, why: str, at: int
) -> None:
    progress, events = follow(FakeGrid(broken("hungary", fault, math.inf, at=at), *others("hungary")), LOCAL)
    assert left_out(events) == [(at, (("hungary", why),))]
    assert progress.history[at - 1].contributors == ("cleveland", "long-beach", "switzerland")
    assert progress.history[2 - at].contributors == NAMES


@EACH_FAULT
def test_distributed_noise_ends_without_a_hospital_and_names_it(fault: Reply | Error | None) -> None:
    grid = FakeGrid(broken("hungary", fault, math.inf, at=2), *others("hungary"))
    with pytest.raises(FederationError, match="round 2: hungary did not contribute"):
        follow(grid, DISTRIBUTED)


def test_a_node_that_never_answers_is_given_up_after_three_times_the_reply_time() -> None:
    grid = FakeGrid(lambda *_: None, *others("hungary"))
    with pytest.raises(FederationError, match=r"^hospital node 1: no reply within 7 s$"):
        follow(grid, FREE, terms=Terms(hospitals=4, reply_seconds=7.0))
    assert 3 * 7.0 <= grid.clock.now < 3 * 7.0 + 3


def test_a_node_that_falls_silent_before_the_report_is_named_and_the_model_is_not_lost() -> None:
    silent = broken("hungary", None, math.inf, "report", 2)
    progress, events = follow(FakeGrid(silent, *others("hungary")), FREE)
    undisturbed, _ = follow(FakeGrid(*EVERYBODY), FREE)
    assert left_out(events) == [(2, (("hungary", "no reply within 60 s"),))]
    assert (progress.state.model == undisturbed.state.model).all()
    assert "hungary" not in progress.history[-1].metrics


def test_too_few_hospitals_for_the_report_end_the_study_with_the_name_of_one() -> None:
    silent = [broken(name, None, math.inf, "report", 2) for name in ("cleveland", "hungary")]
    with pytest.raises(FederationError, match=r"^hospital cleveland: no reply within 60 s$"):
        follow(FakeGrid(*silent, *others("cleveland", "hungary")), FREE)


def test_a_round_in_which_everybody_fails_gives_one_of_their_reasons() -> None:
    nodes = [broken(name, refusal("FederationError", f"{name} is ill"), math.inf) for name in NAMES]
    with pytest.raises(FederationError, match=r"^hospital cleveland: cleveland is ill$"):
        follow(FakeGrid(*nodes), LOCAL)


@pytest.mark.parametrize(("phase", "at"), [("enrol", 0), ("train", 2), ("report", 2)])
@pytest.mark.parametrize("kind", ["UsageError", "DataError", "StudyError", "TaskError"])
def test_wrong_use_at_a_hospital_ends_the_study_at_once_with_its_name(kind: str, phase: str, at: int) -> None:
    wrong = broken("hungary", refusal(kind, "line 3 has 2 columns"), math.inf, phase, at)
    grid = FakeGrid(wrong, *others("hungary"))
    with pytest.raises(UsageError, match=r"^hospital hungary: line 3 has 2 columns$") as caught:
        follow(grid, LOCAL)
    assert type(caught.value).__name__ == kind
    assert [node for node, i in grid.asked if (i.phase, i.round) == (phase, at)] == [1, 2, 3, 4]


def test_an_error_at_enrolment_ends_the_study_even_where_others_would_suffice() -> None:
    ill = broken("hungary", refusal("StateError", "memory is damaged"), math.inf, "enrol", 0)
    with pytest.raises(StateError, match=r"^hospital hungary: memory is damaged$"):
        follow(FakeGrid(ill, *others("hungary")), LOCAL)


def test_two_nodes_with_one_name_are_wrong_use() -> None:
    with pytest.raises(UsageError, match="two nodes call themselves hungary: give each"):
        follow(FakeGrid(good("hungary"), *others()), FREE)


def test_nodes_that_connect_late_are_waited_for() -> None:
    grid = FakeGrid(*EVERYBODY, joining=50.0)
    progress, _ = follow(grid, FREE)
    assert progress.names == NAMES
    assert grid.clock.now >= 200.0


def test_too_few_nodes_within_the_joining_time_are_counted() -> None:
    grid = FakeGrid(*EVERYBODY, joining=50.0)
    with pytest.raises(FederationError, match=r"^3 of 4 hospitals connected within 160 s: start the others"):
        follow(grid, FREE, terms=Terms(hospitals=4, join_seconds=160.0))
    assert grid.asked == []


def test_whoever_waits_is_told_for_whom_how_long_and_until_when() -> None:
    _, events = follow(FakeGrid(broken("hungary", None, 2), *others("hungary")), LOCAL)
    waiting = [event for event in events if isinstance(event, Waiting)]
    assert {(event.hospitals, event.limit) for event in waiting} == {(("hungary",), 60.0)}
    assert all(0.0 < event.seconds <= 61.0 for event in waiting)


def test_before_anything_was_heard_the_waiting_names_nodes() -> None:
    silent: list[Node] = [broken(name, None, 1, "enrol", 0) for name in NAMES]
    _, events = follow(FakeGrid(*silent), FREE)
    waiting = {event.hospitals for event in events if isinstance(event, Waiting)}
    assert waiting == {("node 1", "node 2", "node 3", "node 4")}
