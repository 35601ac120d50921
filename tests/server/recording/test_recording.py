"""A study's course is written down as it happens, whole after any kill, and says where the study stands."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import watched
from watched import HOSPITALS, Course

from ground.errors import FederationError, StateError
from privacy.accountant import Accountant, Event
from server.events import Arriving, Preparing, Waiting, halt, tell
from server.recording import EVENTS, Lines, recording, standing
from server.recording.course import FRESH
from server.recording.lines import NOW
from tasks.study import Study, parse


@pytest.fixture
def study() -> Study:
    return parse(watched.STUDY)


def test_a_whole_study_is_recorded(tmp_path: Path, study: Study):
    watched.finished(tmp_path, study)
    found = standing(tmp_path)
    assert (found.state, found.round, found.rounds, found.phase) == ("done", 12, 12, "done")
    assert (found.study, found.digest, found.headline) == ("warm-hearts", study.digest, "accuracy")
    assert [each.name for each in found.hospitals] == list(HOSPITALS)
    for hospital in found.hospitals:
        assert hospital.contributed == tuple(range(1, 13))
        assert hospital.left_out == ()
        assert hospital.contact is not None
    assert [after for after, _ in found.curve()] == list(range(13))
    assert found.curve_of("lille", "auc") == []
    assert found.curve_of("lille")[-1][1] == pytest.approx(0.75 - 0.3 / 13)
    assert found.waiting == ()
    json.dumps(found.to_dict(), allow_nan=False)


def test_epsilon_is_that_of_the_study_and_of_each_hospital_s_own_book(tmp_path: Path, study: Study):
    with watched.under_way(tmp_path, study, rounds=5):
        found = standing(tmp_path)
    by_name = {each.name: each for each in found.hospitals}
    assert found.spent() == Accountant((replace(watched.A_ROUND, times=5),)).epsilon(1e-4)
    assert found.spent_at(by_name["amiens"]) == found.spent()
    course = Course.of(study)
    with recording(tmp_path / "other", study):
        course.enrols()
    silent = standing(tmp_path / "other").hospitals[0]
    assert standing(tmp_path / "other").spent_at(silent) is None


def test_without_privacy_epsilon_is_infinite_and_null_in_json(tmp_path: Path):
    watched.finished(tmp_path, parse(watched.BARE))
    found = standing(tmp_path)
    assert found.spent() == float("inf")
    said = found.to_dict()
    assert (said["epsilon"], said["private"]) == (None, False)


def test_who_was_left_out_is_named_with_the_reason(tmp_path: Path, study: Study):
    with watched.under_way(tmp_path, study):
        found = standing(tmp_path)
    assert found.left_out == ((3, "lille", "no reply within 600 s"),)
    lille = next(each for each in found.hospitals if each.name == "lille")
    assert lille.contributed == (1, 2, 4, 5)
    assert lille.left_out == ((3, "no reply within 600 s"),)
    assert lille.trouble == ""  # it answered the next question


def test_it_says_whom_a_study_waits_for_until_they_answer(tmp_path: Path, study: Study):
    with watched.under_way(tmp_path, study) as (course, _):
        tell(Waiting(("brest", "lille"), 40.0, 600.0, "reply", (12.0, None)))
        tell(Waiting(("caen",), 5.0, 86400.0, "hours"))
        reply, hours = sorted(standing(tmp_path).waiting, key=lambda each: each.what, reverse=True)
        assert reply.hospitals == ("brest", "lille")
        assert (reply.seconds, reply.limit) == (40.0, 600.0)
        assert reply.last_seen[0] < 12.0  # it answered a moment ago, whatever its node's pings say
        assert hours.hospitals == ("caen",)
        assert "waiting for brest, lille, 40 s of 600 s" in reply.sentence
        course.goes_on()
        assert standing(tmp_path).waiting == ()


def test_what_was_said_of_a_moment_does_not_hold_for_ever(
    tmp_path: Path, study: Study, monkeypatch: pytest.MonkeyPatch
):
    with watched.under_way(tmp_path, study):
        tell(Waiting(("brest",), 40.0, 600.0))
        assert standing(tmp_path).waiting
        import time

        later = time.time() + FRESH + 1
        monkeypatch.setattr("server.recording.reading.time.time", lambda: later)
        assert standing(tmp_path).waiting == ()


def test_a_wait_of_days_fills_no_disk(tmp_path: Path, study: Study):
    with watched.under_way(tmp_path, study):
        before = (tmp_path / EVENTS).stat().st_size
        for second in range(0, 3 * 86400, 600):
            tell(Waiting(("brest",), float(second), 3 * 86400.0, "approval"))
        assert (tmp_path / EVENTS).stat().st_size - before < 5000
        assert len((tmp_path / NOW).read_text()) < 2000


def test_a_digital_start_and_a_slow_link_are_seen(tmp_path: Path, study: Study):
    with watched.under_way(tmp_path, study):
        tell(Arriving("brest", "train", 6, 250, 1000))
        by_name = {each.name: each for each in standing(tmp_path).hospitals}
        assert by_name["brest"].arriving == 0.25
        assert by_name["amiens"].arriving is None
        tell(Preparing(3, 10))
        assert standing(tmp_path).prepared == (3, 10)
        assert standing(tmp_path).state == "preparing"


def test_an_abandoned_round_is_nobody_s(tmp_path: Path, study: Study):
    course = Course.of(study)
    with recording(tmp_path, study):
        course.enrols()
        course.goes_on(abandoned="round 1: too few unmasked")
        found = standing(tmp_path)
    assert found.shown[0].abandoned == "round 1: too few unmasked"
    assert found.round == 1
    assert all(each.contributed == () for each in found.hospitals)


@pytest.mark.parametrize("stopped", [True, False])
def test_it_says_why_a_study_ended_before_its_end(tmp_path: Path, study: Study, stopped: bool):
    if stopped:
        halt.set()
    try:
        with pytest.raises(FederationError), recording(tmp_path, study):
            raise FederationError("lille did not contribute")
    finally:
        halt.clear()
    found = standing(tmp_path)
    assert found.state == ("stopped" if stopped else "failed")
    assert found.why == "lille did not contribute"


def test_of_a_foreign_error_only_the_kind_is_written(tmp_path: Path, study: Study):
    with pytest.raises(ValueError, match="patient 17"), recording(tmp_path, study):
        raise ValueError("patient 17 is 93 years old")
    assert standing(tmp_path).why == "ValueError"
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"patient 17" not in file.read_bytes()


def test_two_processes_do_not_record_one_study(tmp_path: Path, study: Study, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("server.recording.recorder.PATIENCE", 0.1)
    with (
        recording(tmp_path, study),
        pytest.raises(StateError, match="another process is running"),
        recording(tmp_path, study),
    ):
        pass


def _killed_in_the_middle(folder: Path, text: str) -> None:
    with watched.under_way(folder, parse(text), rounds=4):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_after_a_kill_it_is_interrupted_and_goes_on_where_it_was(tmp_path: Path, study: Study):
    child = multiprocessing.get_context("spawn").Process(
        target=_killed_in_the_middle, args=(tmp_path, watched.STUDY)
    )
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    found = standing(tmp_path)
    assert (found.state, found.round, found.attempts) == ("interrupted", 4, 1)
    with (tmp_path / EVENTS).open("a") as file:
        file.write('{"time": 17954')  # half a line, as a kill in the middle of one leaves it
    course = Course.of(study)
    with recording(tmp_path, study):
        course.enrols()
        for _ in range(4):  # the coordinator tells the end of the round again that it had not saved
            course.goes_on()
        course.goes_on()
        found = standing(tmp_path)
        assert (found.state, found.round, found.attempts) == ("running", 5, 2)
        assert [each.after for each in found.shown] == [0, 1, 2, 3, 4]
        assert next(each for each in found.hospitals if each.name == "amiens").contributed == (1, 2, 3, 4, 5)


def test_what_a_kill_kept_from_being_written_is_written_with_the_next_round(tmp_path: Path, study: Study):
    course = Course.of(study)
    with recording(tmp_path, study):
        course.enrols()
        course.goes_on()
    lost = Course.of(study)
    lost.progress = course.progress
    lost.goes_on(tell=lambda _: None)
    lost.goes_on(tell=lambda _: None)
    with recording(tmp_path, study):
        lost.goes_on()
    assert [each.after for each in standing(tmp_path).shown] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "[1, 2]",
        '{"what": 3}',
        '{"what": "shown", "time": 1}',
        '{"what": "step", "time": 1, "round": "x", "left_out": 3, "releases": 1, "next": 1}',
        '{"what": "answer", "time": "x"}',
        '{"what": "enrolled", "time": 1, "hospitals": [3]}',
        '{"what": "unheard of", "time": 1}',
        "[" * 50_000,
        '{"what": "answer", "time": 1, "hospital": "x", "phase": "train", "seconds": 1, "spent": [{"a": 1}]}',
    ],
)
def test_a_damaged_line_costs_that_line(tmp_path: Path, study: Study, line: str):
    watched.finished(tmp_path, study)
    whole = standing(tmp_path)
    text = (tmp_path / EVENTS).read_text().splitlines()
    other = tmp_path / "other"
    other.mkdir()
    (other / EVENTS).write_text("\n".join([*text[:20], line, *text[20:]]) + "\n")
    found = standing(other)
    assert (found.round, found.shown, found.hospitals) == (whole.round, whole.shown, whole.hospitals)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"waits": 3}', '{"waits": {"reply": {"time": "x"}}, "prepare": 1}']
)
def test_a_damaged_moment_is_none(tmp_path: Path, study: Study, text: str):
    with watched.under_way(tmp_path, study):
        (tmp_path / NOW).write_text(text)
        found = standing(tmp_path)
        assert (found.waiting, found.prepared, found.state) == ((), None, "running")


def test_only_what_came_since_is_read(tmp_path: Path, study: Study):
    lines = Lines(tmp_path)
    assert lines.new() == ([], False)
    with watched.under_way(tmp_path, study, rounds=1) as (course, _):
        first, another = lines.new()
        assert first[0]["what"] == "begin"
        assert not another
        assert lines.new() == ([], False)
        course.goes_on()
        assert {each["what"] for each in lines.new()[0]} == {"answer", "shown", "step"}


def test_a_recording_that_was_replaced_is_read_from_its_beginning(tmp_path: Path, study: Study):
    watched.finished(tmp_path, study)
    assert standing(tmp_path).state == "done"
    (tmp_path / EVENTS).unlink()
    course = Course.of(study)
    with recording(tmp_path, study):
        course.enrols()
        assert standing(tmp_path).state == "running"
        assert standing(tmp_path).shown == ()


def test_a_full_disk_stops_no_study(tmp_path: Path, study: Study, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with watched.under_way(tmp_path, study) as (course, _):
        monkeypatch.setattr("server.recording.recorder.append", full)
        monkeypatch.setattr("server.recording.recorder.say_now", full)
        course.goes_on()
        monkeypatch.undo()
        course.goes_on()
        assert standing(tmp_path).round == 7


def test_the_files_are_their_owner_s_alone(tmp_path: Path, study: Study):
    with watched.under_way(tmp_path, study):
        tell(Waiting(("brest",), 40.0, 600.0))
    for name in (EVENTS, NOW, "log"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_releases_are_kept_short_whatever_their_order(tmp_path: Path, study: Study):
    course = Course.of(study)
    with recording(tmp_path, study):
        course.enrols()
        for number in range(6):
            event = Event(1.0, 20.0 + number % 2)
            course.progress = replace(course.progress, accountant=course.progress.accountant.spend(event))
        course.goes_on()
        assert len(standing(tmp_path).releases.events) == 2
        assert sum(each.times for each in standing(tmp_path).releases.events) == 7


def test_a_folder_without_a_recording_is_a_new_study(tmp_path: Path):
    found = standing(tmp_path / "none")
    assert (found.state, found.round, found.hospitals) == ("new", 0, ())
