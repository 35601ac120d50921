"""A coordinator as a person starts, stops and loses it: two studies go on to their calm models."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import coordinators
import nodes
import pytest
from processes import LAENNEC, PATIENCE, finish
from test_coordinator_kills import NAMES, STUDY, booked

from deploy.digital import digital_hospitals
from deploy.engines.flower import Node, approved
from deploy.federation import Machine, federate, hospitals_in, introduced
from server.coordinating import orders
from server.coordinating.status import Status, read_status
from server.home import CoordinatorHome
from server.recording import standing
from server.results import model_file
from tasks.study import Study, Training

LONG = Study(name="long", task="heart-disease", rounds=8, training=Training(learning_rate=2.0))
SHORT = STUDY.model_copy(update={"name": "short"})


def begin(home: CoordinatorHome) -> subprocess.Popen[str]:
    """`laennec coordinator start`, once its SuperLink answers."""
    process = subprocess.Popen(
        [LAENNEC, "coordinator", "start", "--home", home.path], stderr=subprocess.PIPE, text=True
    )
    nodes.wait_for(lambda: process.poll() is not None or said(home).serving, "the coordinator serves")
    assert process.poll() is None, process.communicate()
    return process


def said(home: CoordinatorHome) -> Status:
    found = read_status(home)
    return found or Status("none", None, 0.0, None, serving=False, health="", studies={})


def gone(*pids: int | None) -> Callable[[], bool]:
    return lambda: all(pid is None or not alive(pid) for pid in pids)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def reached(home: CoordinatorHome, number: int) -> Callable[[], bool]:
    """Whether the long study has come to that round, or further."""
    return lambda: standing(home.studies / LONG.digest).round >= number


@pytest.mark.fault(
    "kill −9 coordinator, then SuperLink; stop and resume; two studies",
    "rounds 2, 5, 8",
    "the model of a calm run, ε booked once",
)
@pytest.mark.slow
def test_whatever_is_killed_both_studies_end_in_their_calm_models_and_no_epsilon_is_booked_twice(
    tmp_path: Path,
) -> None:
    data = digital_hospitals("heart-disease", dict.fromkeys(NAMES, 40), 1, tmp_path / "data")
    hospitals = hospitals_in("heart-disease", data, None, secret_noise=False)
    nodes.warm()
    settled = [replace(each, home=tmp_path / each.name) for each in introduced(hospitals)]
    settled = [approved(approved(each, LONG), SHORT) for each in settled]
    home = coordinators.home_in(tmp_path / "alpes")
    with ExitStack() as stack:
        known = [Node(tmp_path / "nodes" / each.name, each) for each in settled]
        coordinators.join(home, known)
        running = begin(home)
        stack.callback(lambda: running.kill())
        for node in known:
            stack.enter_context(nodes.running(node, coordinators.link_to(home)))
        for study in (LONG, SHORT):
            orders.launch(home, study, by="a test")
        nodes.wait_for(lambda: len(said(home).studies) == 2, "both studies run")

        nodes.wait_for(reached(home, 1), "it comes to round 1")
        before = said(home)
        running.kill()
        running.communicate()
        nodes.wait_for(gone(before.superlink, *before.studies.values()), "all ends with the coordinator")
        assert said(home).state == "dead"
        running = begin(home)

        nodes.wait_for(reached(home, 3), "it goes on by itself")
        superlink = said(home).superlink
        os.kill(superlink or 0, signal.SIGKILL)
        nodes.wait_for(lambda: said(home).superlink not in (None, superlink), "another SuperLink")

        nodes.wait_for(reached(home, 5), "it goes on over another SuperLink")
        orders.stop(home, "long")
        nodes.wait_for(lambda: coordinators.state_of(home, LONG.digest) == "stopped", "it stops")
        stopped_at = standing(home.studies / LONG.digest).round
        orders.resume(home, "long")

        for study in (LONG, SHORT):
            done = lambda study=study: coordinators.state_of(home, study.digest) == "finished"  # noqa: E731
            nodes.wait_for(done, f"{study.name} ends")
        code, out, err = finish("coordinator", "status", "--follow", "--home", home.path)
        assert (code, out.count("finished")) == (0, 2), (out, err)
        last = said(home)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=PATIENCE)
        assert running.returncode == 0, err
        assert "Traceback" not in err
        assert gone(last.pid, last.superlink, *last.studies.values())()
        assert said(home).state == "stopped"
    assert 5 <= stopped_at <= LONG.rounds
    for study in (LONG, SHORT):
        calm = federate(study, hospitals, Machine()).progress
        assert coordinators.model_in(home, study.digest) == model_file(calm), study.name
    # A study without privacy keeps no replies: asked again, a hospital computes the same, at ε = ∞ as before.
    once = {(kind, number): 1 for kind in ("reserve", "settle") for number in range(SHORT.rounds + 1)}
    for each in settled:
        assert booked(each.home, SHORT) == once, each.name
