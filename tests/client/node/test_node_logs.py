from __future__ import annotations

import logging
import logging.handlers
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.node import logs
from ground.errors import DataError

PATIENT = "DUPONT^JEANNE 1931-04-02"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root, flower, hook = logging.getLogger(), logging.getLogger("flwr"), sys.excepthook
    kept = (root.handlers[:], root.level, flower.handlers[:], flower.level, flower.propagate)
    yield
    logging.captureWarnings(capture=False)
    for handler in root.handlers:
        if isinstance(handler, logging.handlers.WatchedFileHandler):
            handler.close()
    root.handlers[:], root.level, flower.handlers[:], flower.level, flower.propagate = kept
    sys.excepthook = hook


def test_no_patients_value_reaches_the_log(tmp_path: Path) -> None:
    file = tmp_path / "node" / "log"
    logs.write_to(file, "executor")
    try:
        raise ValueError(f"could not convert {PATIENT}")
    except ValueError:
        logging.getLogger("laennec.client").exception("round 3 failed")
        logging.getLogger("flwr").exception("ClientApp raised an exception")
        logging.getLogger("pydicom").warning("invalid value %s", PATIENT)
        sys.excepthook(*sys.exc_info())
    logging.getLogger("node").info("still here")
    text = file.read_text()
    assert PATIENT not in text
    assert "round 3 failed (ValueError)" in text
    assert "info executor: still here" in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_our_own_errors_are_said_in_their_words(tmp_path: Path) -> None:
    logs.write_to(tmp_path / "log", "executor")
    try:
        raise DataError("a table lacks a column")
    except DataError:
        logging.getLogger("node").exception("refused")
    assert "refused (a table lacks a column)" in (tmp_path / "log").read_text()


def test_a_big_log_is_turned_over_and_both_processes_go_on_in_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "log"
    logs.write_to(file, "executor")
    monkeypatch.setattr(logs, "BIGGEST", 10)
    logging.getLogger("node").info("before")
    logs.turn_over(file)
    logging.getLogger("node").info("after")
    assert "before" in (tmp_path / "log.1").read_text()
    assert "after" in file.read_text()
    assert "before" not in file.read_text()
