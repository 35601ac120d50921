"""The log: one JSON object a line that names study, round and hospitals, and quotes nobody."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path

import pytest
import watched

from server import logs
from server.events import Answered, Waiting, tell
from server.logs import about, latest, logging_to
from server.narrator import Narrator
from tasks.study import parse

log = logging.getLogger("laennec.trial")


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def test_a_study_s_lines_name_study_round_and_hospitals(tmp_path: Path):
    study = parse(watched.STUDY)
    with watched.under_way(tmp_path, study, rounds=3):
        tell(Waiting(("lille",), 40.0, 600.0, "reply", (12.0,)))
    said = lines(tmp_path / "log")
    assert all(each["study"] == "warm-hearts" and each["digest"] == study.digest[:12] for each in said)
    assert all(list(each)[:2] == ["time", "level"] for each in said)
    closed = next(each for each in said if str(each["text"]).startswith("round 2 of 12"))
    assert (closed["round"], closed["hospitals"]) == (2, list(watched.HOSPITALS))
    assert "4 hospitals contributed; before it accuracy" in str(closed["text"])
    out = next(each for each in said if "without lille" in str(each["text"]))
    assert (out["level"], out["round"], out["hospitals"]) == ("warning", 3, ["lille"])
    waits = next(each for each in said if "waiting for" in str(each["text"]))
    assert waits["text"] == "waiting for lille, 40 s of 600 s; last seen 12 s ago"
    assert waits["hospitals"] == ["lille"]


def test_what_any_module_logs_names_the_study_that_it_is_about(tmp_path: Path):
    study = parse(watched.BARE)
    with logging_to(tmp_path / "log"):
        log.info("before")
        with about(study):
            log.warning("during %d", 3)
    before, during = lines(tmp_path / "log")
    assert "study" not in before
    assert (during["study"], during["level"], during["text"], during["logger"]) == (
        "bare-hearts",
        "warning",
        "during 3",
        "laennec.trial",
    )


def test_of_an_exception_only_the_kind_is_logged(tmp_path: Path):
    with logging_to(tmp_path / "log"):
        try:
            raise ValueError("patient 17 is 93 years old")
        except ValueError:
            log.exception("a round failed")
    [line] = lines(tmp_path / "log")
    assert line["error"] == "ValueError"
    assert "patient 17" not in (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_text_of_others_cannot_begin_a_line_of_its_own(tmp_path: Path):
    with logging_to(tmp_path / "log"):
        log.warning("%s", 'lille\n{"level": "info", "text": "forged"}\u2028\ud800')
    assert len(lines(tmp_path / "log")) == 1


def test_a_log_makes_room_and_is_its_owner_s_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logs, "BIGGEST", 2000)
    with logging_to(tmp_path / "log"):
        for number in range(200):
            log.info("line %d", number)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + logs.KEPT
    assert all(file.stat().st_size < 3000 for file in files)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)


def test_afterwards_nothing_is_logged_there_any_more(tmp_path: Path):
    with logging_to(tmp_path / "log"):
        pass
    log.warning("later")
    assert (tmp_path / "log").read_text() == ""
    assert logging.getLogger("laennec").propagate


def test_the_last_lines_are_read_back_newest_first_and_others_passed_over(tmp_path: Path):
    file = tmp_path / "log"
    with logging_to(file):
        for number in range(5):
            log.info("line %d", number)
    file.write_text(file.read_text() + 'nonsense\n{"time": 3}\n[]\n{"half')
    assert [each.text for each in latest(file, 2)] == ["line 4", "line 3"]
    assert len(latest(file, 100)) == 5
    assert latest(tmp_path / "none", 3) == []


def test_a_long_wait_is_told_ever_more_rarely():
    narrator = Narrator(parse(watched.STUDY))
    told = [
        sentence
        for second in range(3600)
        for sentence in narrator.told(Waiting(("lille",), float(second), 3600.0, "connection"))
    ]
    assert 5 < len(told) < 15
    assert all(each.bad for each in told)


def test_only_answers_that_failed_are_told():
    narrator = Narrator(parse(watched.STUDY))
    assert list(narrator.told(Answered("lille", "train", 3, 0.1))) == []
    [sentence] = narrator.told(Answered("lille", "train", 3, 0.1, "its epsilon book refuses the study"))
    assert sentence.text == "lille could not answer (train): its epsilon book refuses the study"
