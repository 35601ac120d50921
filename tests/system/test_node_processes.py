"""`laennec hospital start` and `laennec run --engine flower` as real processes: what they leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nodes
import pytest
from processes import LAENNEC, PATIENCE, finish, start, wait_for_round

from client import approval
from client.home import Home
from client.journal import Journal
from client.node.keys import node_key
from client.node.status import read_status
from deploy.digital import digital_hospitals
from deploy.engines.flower import SuperLink
from deploy.federation import hospitals_in
from tasks.study import Privacy, Study, Training

pytestmark = pytest.mark.slow
STUDY = Study(name="flower", task="heart-disease", rounds=2, training=Training(learning_rate=2.0))
LONG = STUDY.model_copy(update={"name": "long", "rounds": 500})


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], list[str]]:
    """Everything that is started from here on can be found again; gives what still runs."""
    mark = f"LAENNEC_TEST={uuid.uuid4().hex}"
    name, value = mark.split("=")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))

    def running() -> list[str]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    if mark.encode() in (entry / "environ").read_bytes():
                        found.append((entry / "cmdline").read_text())
                except OSError:
                    continue
        return found

    return running


def gone(running: Callable[[], list[str]]) -> bool:
    nodes.wait_for(lambda: not running(), "processes are left")
    return True


def test_a_study_over_real_processes_gives_the_local_model_and_leaves_no_process_and_no_file(
    tmp_path: Path, marked: Callable[[], list[str]]
) -> None:
    data = digital_hospitals("heart-disease", {"cleveland": 40, "hungary": 40}, 1, tmp_path / "data")
    (tmp_path / "study.toml").write_text(STUDY.to_toml())
    command = ("run", tmp_path / "study.toml", "--data", data, "--json")
    code, out, err = finish(*command, "--engine", "flower", "--out", tmp_path / "flower")
    assert code == 0, err
    result: dict[str, Any] = json.loads(out)
    assert result["engine"] == "flower"
    assert finish(*command, "--out", tmp_path / "local")[0] == 0
    models = [(tmp_path / each / "model.safetensors").read_bytes() for each in ("flower", "local")]
    assert models[0] == models[1]
    what = [line.what for line in Journal(tmp_path / "flower" / "hospitals" / "cleveland").lines()]
    assert what[:2] == ["init", "approve"]
    assert gone(marked)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_comparison_over_real_processes_is_that_of_the_local_engine(
    tmp_path: Path, marked: Callable[[], list[str]]
) -> None:
    """Each federated arm over nodes of its own; the arms that need none beside them."""
    data = digital_hospitals("heart-disease", {"cleveland": 40, "hungary": 40}, 1, tmp_path / "data")
    study, arms = STUDY.model_copy(update={"privacy": Privacy(epsilon=8.0)}), ("federated", "pooled")
    (tmp_path / "study.toml").write_text(study.to_toml())
    command = ("compare", tmp_path / "study.toml", "--data", data, "--json", *map("--arm={}".format, arms))
    said = {}
    for engine in ("flower", "local"):
        code, out, err = finish(*command, "--engine", engine, "--out", tmp_path / engine)
        assert code == 0, err
        said[engine] = json.loads(out)
    assert said["flower"]["engine"] == "flower"
    assert set(said["flower"]["arms"]) == set(arms)
    for arm, flower in said["flower"]["arms"].items():
        assert flower["hospitals"] == said["local"]["arms"][arm]["hospitals"]
    assert gone(marked)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_takes_everything_down_and_goes_on_later(
    tmp_path: Path, marked: Callable[[], list[str]], how: signal.Signals
) -> None:
    data = digital_hospitals("heart-disease", {"cleveland": 40}, 1, tmp_path / "data")
    (tmp_path / "study.toml").write_text(LONG.to_toml())
    out = tmp_path / "out"
    with start("run", tmp_path / "study.toml", "--data", data, "--engine", "flower", "--out", out) as process:
        wait_for_round(2, process, out / "state")
        process.send_signal(how)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Interrupted: the same command goes on from here." in err
    assert "Traceback" not in err
    assert gone(marked)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.fixture
def link(tmp_path: Path) -> Iterator[SuperLink]:
    made = SuperLink(tmp_path / "link")
    made.start()
    yield made
    made.stop()


def probed(address: object) -> int:
    """What a health probe is told: 1 is SERVING."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(str(address)) as channel:
        return int(health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest()).status)


def status(home: Path) -> dict[str, object]:
    return read_status(home) or {}


def test_a_hospitals_node_answers_probes_runs_an_approved_study_and_stops_cleanly(
    tmp_path: Path, marked: Callable[[], list[str]], link: SuperLink
) -> None:
    data = digital_hospitals("heart-disease", {"cleveland": 40}, 1, tmp_path / "data")
    source = next(iter(hospitals_in("heart-disease", data, None, secret_noise=False))).sources[0]
    home = tmp_path / "cleveland"
    Home.begin(home, "cleveland")
    with (home / "hospital.toml").open("r+") as file:
        text = file.read()
        file.seek(0)
        file.write(
            f'coordinator = "{link.address}"\ncertificate = "{link.certificates.authority}"\n'
            f'sources = ["{source}"]\n{text}'
        )
    approval.approve(Home.open(home), STUDY, by="a test")
    link.register(node_key(home / "node" / "key"), "cleveland")
    before = len(marked())
    process = subprocess.Popen(
        [LAENNEC, "hospital", "start", "--home", home], stderr=subprocess.PIPE, text=True
    )
    try:
        nodes.wait_for(lambda: status(home).get("state") == "connected", "it connects")
        assert len(marked()) == before + 3
        nodes.wait_for(lambda: probed(status(home)["health"]) == 1, "it serves")
        code, _, err = finish("hospital", "start", "--home", home)
        assert (code, "cleveland: its node is running already" in err) == (1, True), err
        assert nodes.run(link, STUDY, 1).phase == "done"
        process.terminate()
        _, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert status(home)["state"] == "stopped"
    assert len(marked()) == before
    what = [line.what for line in Journal(home).lines()]
    assert [each for each in what if each in ("start", "stop")] == ["start", "stop"]
    log = (home / "node" / "log").read_text()
    assert "node stopped" in log
    # killed, it takes its processes with it
    process = subprocess.Popen([LAENNEC, "hospital", "start", "--home", home], stderr=subprocess.DEVNULL)
    nodes.wait_for(lambda: status(home).get("executor") is not None, "it starts again")
    process.kill()
    process.wait()
    nodes.wait_for(lambda: len(marked()) == before, "children end with it")
    assert status(home)["state"] == "dead"
