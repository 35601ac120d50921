"""The commands about studies as people call them: launch, status, stop, resume, report, export."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from calls import STUDY, Laennec, write

from server.coordinating.outcome import describe_recorded
from server.home import CoordinatorHome
from server.progress import Member, Record, begin
from server.registry.hospitals import Hospitals
from server.results import write_files
from tasks.registry import find
from tasks.study import parse


class Hospital:
    def __init__(self, name: str) -> None:
        self.name = name


@pytest.fixture(autouse=True)
def anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a wide screen, in a folder that is no home, with two members in every registry."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LOGNAME", "ada")
    monkeypatch.delenv("LAENNEC_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Hospitals, "members", lambda _: (Hospital("brest"), Hospital("caen")))


@pytest.fixture
def home(laennec: Laennec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CoordinatorHome:
    assert laennec("coordinator", "init", "alpes", "--host", "127.0.0.1").code == 0
    write(tmp_path / "study.toml", STUDY)
    monkeypatch.setenv("LAENNEC_HOME", str(tmp_path / "alpes"))
    return CoordinatorHome.open(tmp_path / "alpes")


def finish(home: CoordinatorHome) -> str:
    """Let the study be finished as its process would leave it; its digest."""
    study = parse(STUDY, "study")
    metrics = {"brest": {"accuracy": 0.5}, "caen": {"accuracy": 0.75}}
    history = (Record(0, {}, ("brest", "caen")), Record(1, {}, ("brest", "caen")), Record(2, metrics, ()))
    roster = (Member("brest", None, None), Member("caen", None, None))
    progress = replace(begin(study, find(study.task)), phase="done", round=2, roster=roster, history=history)
    folder = home.studies / study.digest
    folder.mkdir()
    write_files(describe_recorded(progress, folder), folder)
    home.registry.studies.move(study.digest, "finished")
    return study.digest


def test_a_study_is_launched_stopped_and_resumed_whether_the_coordinator_runs_or_not(
    laennec: Laennec, home: CoordinatorHome
) -> None:
    assert "No study was launched yet" in laennec("coordinator", "status").out
    said = laennec("coordinator", "launch", "study.toml", "--approval-days", "3")
    assert said.code == 0, said.err
    assert "begins once brest, caen have approved it, for which it waits 3 days" in " ".join(said.out.split())
    assert "The coordinator does not run: `laennec coordinator start`" in said.out
    again = laennec("coordinator", "launch", "study.toml")
    assert (again.code, "was launched before (waiting)" in again.err) == (2, True)
    stopped = json.loads(laennec("coordinator", "stop", "short", "--json").out)
    assert (stopped["state"], stopped["by"], stopped["coordinator_runs"]) == ("stopped", "ada", False)
    followed = laennec("coordinator", "status", "--follow")
    assert (followed.code, "short" in followed.out, "stopped" in followed.out) == (0, True, True)
    assert laennec("coordinator", "resume", "short").code == 0
    seen = json.loads(laennec("coordinator", "status", "--json").out)
    assert (seen["federation"], seen["coordinator"]) == ("alpes", None)
    [study] = seen["studies"]
    assert (study["state"], study["wanted"], study["standing"]["state"]) == ("waiting", "run", "new")
    home.registry.studies.move(study["digest"], "failed", "brest declined")
    followed = laennec("coordinator", "status", "--follow")
    assert (followed.code, "failed: brest declined" in followed.out) == (1, True)


@pytest.mark.parametrize("command", ["stop", "resume", "report"])
def test_a_study_that_nobody_launched_is_wrong_use(
    laennec: Laennec,
    home: CoordinatorHome,  # noqa: ARG001
    command: str,
) -> None:
    said = laennec("coordinator", command, "other")
    assert (said.code, "other: no such study" in said.err) == (2, True)


def test_results_are_shown_copied_and_handed_on_once_there_are_any(
    laennec: Laennec, home: CoordinatorHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.export.onnx.find_spec", lambda _: None)
    assert laennec("coordinator", "launch", "study.toml").code == 0
    early = laennec("coordinator", "report", "short")
    assert (early.code, "short: is waiting" in early.err) == (2, True)
    digest = finish(home)
    said = laennec("coordinator", "report", "short", "--out", "copy")
    assert said.code == 0, said.err
    assert "0.500" in said.out
    assert "Report: copy/report.html" in said.out
    result = json.loads(laennec("coordinator", "report", digest[:8], "--json").out)
    assert result["metrics"]["worst_hospital"] == {"name": "brest", "accuracy": 0.5}
    assert {path.name for path in (tmp_path / "copy").iterdir()} >= {"result.json", "model.safetensors"}
    made = laennec("coordinator", "export", "short", "--out", "given", "--json")
    assert made.code == 0, made.err
    assert {"model.safetensors", "MODEL_CARD.md"} <= set(json.loads(made.out)["files"])
    assert "At **brest**" in (tmp_path / "given" / "MODEL_CARD.md").read_text()
