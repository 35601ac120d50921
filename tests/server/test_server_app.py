from __future__ import annotations

import json

import pytest
from flwr.app import Context, RecordDict, UserConfig
from test_driver import EVERYBODY, FakeGrid
from test_round import FREE

from ground.errors import StudyError, UsageError
from server.app import COORDINATOR_VARIABLE, app
from server.events import Advanced, Event, listening

SETTINGS: UserConfig = {"study": FREE.to_toml(), "hospitals": 4, "home": "", "reply-seconds": 60.0}


def run(settings: UserConfig) -> list[Event]:
    events: list[Event] = []
    with listening(events.append):
        app(FakeGrid(*EVERYBODY), Context(1, 0, {}, RecordDict(), settings))
    return events


def test_the_app_drives_the_study_of_its_settings() -> None:
    last = run(SETTINGS)[-1]
    assert isinstance(last, Advanced)
    assert (last.progress.study, last.progress.phase) == (FREE, "done")


def test_settings_that_flower_does_not_pass_are_found_in_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(COORDINATOR_VARIABLE, json.dumps(SETTINGS))
    assert sum(isinstance(each, Advanced) for each in run({})) == 4


def test_an_app_without_a_study_is_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COORDINATOR_VARIABLE, raising=False)
    with pytest.raises(UsageError, match="not told which study"):
        run({})


def test_an_app_with_a_study_that_cannot_be_read_is_wrong_use() -> None:
    with pytest.raises(StudyError, match="missing key"):
        run({**SETTINGS, "study": 'name = "x"'})
