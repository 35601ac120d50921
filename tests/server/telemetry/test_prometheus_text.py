"""Numbers for Prometheus, as its own parser reads them, and a run of MLflow where that is installed."""

from __future__ import annotations

import math
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import watched
from prometheus_client.parser import text_string_to_metric_families

from server.events import Waiting, tell
from server.recording import recording, standing
from server.telemetry import mlflow as tracking
from server.telemetry.prometheus import exposition
from tasks.study import parse


def samples(text: bytes) -> dict[tuple[str, str], float]:
    """(name, hospital or state) -> value."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = sample.labels.get("hospital", sample.labels.get("state", ""))
            if "metric" in sample.labels:
                key += f"/{sample.labels['metric']}"
            found[sample.name, key] = sample.value
    return found


def test_a_study_s_numbers_are_there(tmp_path: Path):
    study = parse(watched.STUDY)
    with watched.under_way(tmp_path, study):
        tell(Waiting(("brest",), 40.0, 600.0))
        now = standing(tmp_path)
        found = samples(exposition([now], {"member": 4, "revoked": 1}))
    assert found["laennec_hospitals", "member"] == 4
    assert found["laennec_study_state", "running"] == 1
    assert found["laennec_study_state", "done"] == 0
    assert found["laennec_study_round", ""] == 5
    assert found["laennec_study_rounds", ""] == 12
    assert found["laennec_study_epsilon", ""] == now.spent()
    assert found["laennec_hospital_epsilon", "amiens"] == pytest.approx(now.spent())
    assert found["laennec_hospital_contributions_total", "lille"] == 4
    assert found["laennec_hospital_left_out_total", "lille"] == 1
    assert found["laennec_waiting_seconds", "brest"] == 40
    assert found["laennec_model_metric", "amiens/accuracy"] == pytest.approx(0.9 - 0.3 / 5)
    assert found["laennec_model_metric", "/accuracy"] == pytest.approx(0.825 - 0.3 / 5)
    assert found["laennec_round_seconds", ""] == 1.5


def test_without_privacy_epsilon_is_infinite(tmp_path: Path):
    watched.finished(tmp_path, parse(watched.BARE))
    found = samples(exposition([standing(tmp_path)], {}))
    assert math.isinf(found["laennec_study_epsilon", ""])


def test_a_hospital_s_name_is_escaped(tmp_path: Path):
    study = parse(watched.BARE)
    course = watched.Course.of(study)
    course.hospitals = ('a"b\\c\nd',)
    with recording(tmp_path, study):
        course.enrols()
        course.goes_on()
    found = samples(exposition([standing(tmp_path)], {}))
    assert found["laennec_hospital_contributions_total", 'a"b\\c\nd'] == 1


class Client:
    """What `server.telemetry.mlflow` asks of MLflow's client, in memory."""

    runs: dict[str, dict[str, Any]]

    def __init__(self, place: str) -> None:
        self.place = place

    def get_experiment_by_name(self, name: str) -> Any:
        return types.SimpleNamespace(experiment_id="1", name=name)

    def search_runs(self, _experiments: list[str], filter_string: str) -> list[Any]:
        return [
            types.SimpleNamespace(info=types.SimpleNamespace(run_id=each))
            for each, run in self.runs.items()
            if run["tags"]["digest"] in filter_string
        ]

    def create_run(self, _experiment: str, tags: dict[str, str], run_name: str) -> Any:
        self.runs["r"] = {"tags": tags, "name": run_name, "params": {}, "metrics": [], "place": self.place}
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id="r"))

    def update_run(self, run: str, status: str) -> None:
        self.runs[run]["status"] = status

    def log_param(self, run: str, name: str, value: object) -> None:
        self.runs[run]["params"][name] = value

    def log_metric(self, run: str, name: str, value: float, step: int) -> None:
        self.runs[run]["metrics"].append((name, value, step))

    def get_metric_history(self, run: str, name: str) -> list[Any]:
        return [each for each in self.runs[run]["metrics"] if each[0] == name]

    def set_terminated(self, run: str, status: str) -> None:
        self.runs[run]["status"] = status


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> type[Client]:
    """As if MLflow were installed."""
    Client.runs = {}
    monkeypatch.setitem(sys.modules, "mlflow", types.SimpleNamespace(MlflowClient=Client))
    monkeypatch.setattr("server.recording.recorder.is_installed", lambda: True)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Client


def test_a_study_is_a_run_that_goes_on_after_a_restart(tmp_path: Path, mlflow: type[Client]):
    study = parse(watched.BARE)
    folder = tmp_path / "studies" / study.digest
    course = watched.Course.of(study)

    def interrupted() -> None:
        with recording(folder, study):
            course.enrols()
            course.goes_on()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert mlflow.runs["r"]["status"] == "KILLED"
    with recording(folder, study):
        course.goes_on()
        course.goes_on()
        course.ends()
    run = mlflow.runs["r"]
    assert (run["status"], run["name"]) == ("FINISHED", "bare-hearts")
    assert run["params"]["rounds"] == 3
    assert run["params"]["training.strategy"] == "fedavg"
    assert run["place"] == f"sqlite:///{tmp_path / 'mlflow.db'}"
    steps = [step for name, _, step in run["metrics"] if name == "accuracy"]
    assert steps == [0, 1, 2, 3]  # each once
    assert ("lille/accuracy", pytest.approx(0.75 - 0.3 / 4), 3) in run["metrics"]


def test_a_tracking_server_that_fails_stops_no_study(
    tmp_path: Path, mlflow: type[Client], monkeypatch: pytest.MonkeyPatch
):
    asked = []

    def fails(*_: object, **__: object) -> None:
        asked.append(1)
        raise ConnectionError("secret.example.org refused")

    monkeypatch.setattr(mlflow, "get_experiment_by_name", fails)
    watched.finished(tmp_path / "studies" / "x", parse(watched.BARE))
    assert standing(tmp_path / "studies" / "x").state == "done"
    assert len(asked) == 1
    said = (tmp_path / "studies" / "x" / "log").read_text()
    assert "MLflow is not told any more of bare-hearts: ConnectionError" in said
    assert "secret.example.org" not in said


def test_with_mlflow_itself_the_run_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if not tracking.is_installed():
        pytest.skip("MLflow is not installed: `pip install mlflow`")
    import mlflow as real

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    study = parse(watched.BARE)
    watched.finished(tmp_path / "studies" / study.digest, study)
    client = real.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert [each.step for each in client.get_metric_history(run.info.run_id, "accuracy")] == [0, 1, 2, 3]
