from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ground.errors import PrivacyError, StudyError, UsageError
from ground.files import locked
from server.coordinating import orders
from server.coordinating.every import Every
from server.coordinating.outcome import seconds_of
from server.coordinating.places import places_of
from server.coordinating.status import Status, is_running, read_status, write_status
from server.home import CoordinatorHome
from server.registry.hospitals import Hospitals
from tasks.study import Privacy, Study

STUDY = Study(name="first", task="heart-disease", rounds=2)


class Member:
    def __init__(self, name: str) -> None:
        self.name = name


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CoordinatorHome:
    members = tuple(map(Member, ("brest", "lille")))
    monkeypatch.setattr(Hospitals, "members", lambda _: members)
    return CoordinatorHome.begin(tmp_path / "alpes", "alpes", ["127.0.0.1"])


def test_a_study_asks_every_member_unless_it_is_told_whom(home: CoordinatorHome) -> None:
    assert orders.launch(home, STUDY, by="anne").hospitals == ("brest", "lille")
    other = STUDY.model_copy(update={"seed": 7})
    made = orders.launch(home, other, by="anne", hospitals=["lille"], approval_days=2.0)
    assert (made.hospitals, made.approval_seconds) == (("lille",), 2 * 86400.0)


@pytest.mark.parametrize(
    ("change", "wanted", "said"),
    [
        ({}, {"hospitals": ["paris"]}, "paris: no member here"),
        ({}, {"approval_days": -1.0}, "--approval-days"),
        ({"task": "alchemy"}, {}, "alchemy"),
        ({"privacy": Privacy(epsilon=1.0)}, {}, "asks for at least 3 hospitals, and 2 would take part"),
    ],
)
def test_a_study_that_cannot_be_run_is_not_written_down(
    home: CoordinatorHome, change: dict[str, Any], wanted: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        orders.launch(home, STUDY.model_copy(update=change), by="anne", **wanted)
    assert home.registry.studies.all() == ()


def test_a_privacy_that_cannot_be_had_is_said_at_once(
    home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impossible(_: Study) -> None:
        raise PrivacyError("no noise is enough")

    monkeypatch.setattr(Study, "plan", impossible)
    with pytest.raises(StudyError, match="study first: no noise is enough"):
        orders.launch(home, STUDY, by="anne")


def test_the_status_of_a_coordinator_that_was_killed_is_dead(home: CoordinatorHome) -> None:
    assert read_status(home) is None
    said = Status("running", 7, 1.0, 8, serving=True, health="127.0.0.1:1", studies={"ab": 9})
    write_status(home, said)
    with locked(home.lock, 0.0, "busy"):
        assert is_running(home)
        assert read_status(home) == said
    assert not is_running(home)
    dead = read_status(home)
    assert dead is not None
    assert (dead.state, dead.pid, dead.superlink, dead.studies) == ("dead", None, None, {})


def test_a_finished_studys_state_is_taken_away_even_where_a_kill_left_half_of_it(
    home: CoordinatorHome,
) -> None:
    places = places_of(home, "ab" * 32)
    places.make()
    for folder in (places.state, places.state.with_name(".state")):
        folder.mkdir()
        (folder / "coordinator.safetensors").write_bytes(b"much")
    places.run.write_text("7")
    places.log.write_text("kept")
    places.tidy()
    places.tidy()
    assert [path.name for path in places.folder.iterdir()] == ["log"]


def test_what_goes_wrong_once_in_a_while_is_said_once_and_done_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done, enough = [], threading.Event()

    def fails() -> None:
        done.append(time.monotonic())
        if len(done) > 3:
            enough.set()
        raise UsageError("no disk")

    each = Every(0.001, fails, "certificate")
    each.start()
    assert enough.wait(20.0)
    each.stop()
    assert [record.getMessage() for record in caplog.records].count("certificate: no disk") == 1


def test_seconds_are_those_of_all_attempts_without_the_time_between_them(tmp_path: Path) -> None:
    def step(time: float, number: int, seconds: float, busy: float) -> dict[str, Any]:
        return {"what": "step", "time": time, "round": number, "seconds": seconds, "busy": busy}

    lines = [
        {"what": "begin", "time": 0.0},
        step(5.0, 0, 5.0, 4.0),
        step(7.0, 1, 2.0, 1.5),
        {"what": "begin", "time": 1000.0},
        step(1003.0, 2, 3.0, 1.0),
        {"what": "end", "time": 1004.0},
    ]
    (tmp_path / "events.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = seconds_of(tmp_path)
    assert (found.total, found.training, found.overhead_per_round) == (11.0, 6.5, 2.0)
