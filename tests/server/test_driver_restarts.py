"""A coordinator that was stopped, started again over the same home."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from test_driver import EVERYBODY, FakeGrid, broken, follow, others, refusal, reply_of
from test_round import DISTRIBUTED, FREE, LOCAL

from ground.errors import FederationError, StateError
from server import checkpoint
from server.events import Advanced, Event, Waiting, listening
from tasks.messages import Instruction, Reply
from tasks.study import Study


def stop(study: Study, home: Path, phase: str = "train") -> None:
    """Leave a home in which that phase was reached for the first time, and one hospital was asked."""

    def power_cut(request: Instruction, _: int) -> Reply:
        if request.phase == phase:
            raise KeyboardInterrupt
        return reply_of(request, "hungary")

    with pytest.raises(KeyboardInterrupt):
        follow(FakeGrid(power_cut, *others("hungary")), study, home)


@pytest.mark.parametrize("phase", ["enrol", "train", "report"])
@pytest.mark.parametrize("study", [FREE, DISTRIBUTED, LOCAL], ids=["free", "distributed", "local"])
def test_a_coordinator_that_stops_while_asking_goes_on_to_the_same_end(
    tmp_path: Path, study: Study, phase: str
) -> None:
    stop(study, tmp_path, phase)
    resumed, _ = follow(FakeGrid(*EVERYBODY), study, tmp_path)
    undisturbed, _ = follow(FakeGrid(*EVERYBODY), study)
    assert checkpoint.to_bytes(resumed) == checkpoint.to_bytes(undisturbed)


def test_a_round_that_could_not_be_completed_is_asked_again_next_time(tmp_path: Path) -> None:
    ill = broken("hungary", refusal("FederationError", "no memory left"), math.inf, at=2)
    with pytest.raises(FederationError):
        follow(FakeGrid(ill, *others("hungary")), DISTRIBUTED, tmp_path)
    grid = FakeGrid(*EVERYBODY)
    follow(grid, DISTRIBUTED, tmp_path)
    assert (grid.asked[0][1].phase, grid.asked[0][1].round) == ("train", 2)


def test_those_of_the_roster_who_are_missing_are_named_while_waiting(tmp_path: Path) -> None:
    stop(FREE, tmp_path)
    _, events = follow(FakeGrid(broken("hungary", None, 1), *others("hungary")), FREE, tmp_path)
    assert {event.hospitals for event in events if isinstance(event, Waiting)} == {("hungary",)}


def test_the_noise_is_shared_by_the_roster_however_many_are_connected(tmp_path: Path) -> None:
    stop(DISTRIBUTED, tmp_path)
    stranger = broken("zurich", refusal("FederationError", "never enrolled"), math.inf)
    grid = FakeGrid(*EVERYBODY, stranger)
    progress, events = follow(grid, DISTRIBUTED, tmp_path)
    undisturbed, _ = follow(FakeGrid(*EVERYBODY), DISTRIBUTED)
    assert {request.hospitals for _, request in grid.asked} == {4}
    assert checkpoint.to_bytes(progress) == checkpoint.to_bytes(undisturbed)
    # Asked once, while nobody knew who it is; then never again.
    assert [node for node, _ in grid.asked].count(5) == 1
    steps = [event for event in events if isinstance(event, Advanced)]
    assert [name for step in steps for name, _ in step.left_out] == ["zurich"]


def test_another_study_in_the_same_home_is_refused(tmp_path: Path) -> None:
    stop(FREE, tmp_path)
    with pytest.raises(StateError, match=r"holds another study \(steps\): choose another --out"):
        follow(FakeGrid(*EVERYBODY), LOCAL, tmp_path)


def test_a_finished_study_asks_nobody_again_and_tells_its_end(tmp_path: Path) -> None:
    progress, _ = follow(FakeGrid(*EVERYBODY), FREE, tmp_path)
    grid = FakeGrid(*EVERYBODY)
    again, events = follow(grid, FREE, tmp_path)
    told = [event.progress for event in events if isinstance(event, Advanced)]
    assert grid.asked == []
    assert [checkpoint.to_bytes(each) for each in (again, *told)] == [checkpoint.to_bytes(progress)] * 2


def test_whoever_stops_listening_hears_nothing_more() -> None:
    heard: list[Event] = []
    with listening(heard.append):
        pass
    follow(FakeGrid(*EVERYBODY), FREE)
    assert heard == []
