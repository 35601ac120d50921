"""SIGKILL of a study's process at every step: the model and the ε books are those of an undisturbed run."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import coordinators
import nodes
import pytest

from client.ledger import Ledger
from deploy.digital import digital_hospitals
from deploy.engines.flower import Node, approved
from deploy.federation import Machine, federate, hospitals_in, introduced
from server.coordinating import orders
from server.results import model_file
from tasks.study import Privacy, Study, Training

NAMES = ("cleveland", "hungary", "long-beach")
POINTS = [f"study after {each}" for each in coordinators.STUDY]
STUDY = Study(
    name="killed",
    task="heart-disease",
    rounds=3,
    training=Training(learning_rate=2.0),
    privacy=Privacy(epsilon=4.0, secure_aggregation=True),
)


def per_point(function: Any) -> Any:
    """A line of the table of faults for each point."""
    for point in POINTS:
        function = pytest.mark.fault(
            "kill −9 study process", point, "the model of a calm run, ε booked once"
        )(function)
    return function


def booked(home: Path | None, study: Study) -> Counter[tuple[str, int | None]]:
    """How often each round was reserved and settled."""
    assert home is not None
    with Ledger(home / "ledger.sqlite") as ledger:
        entries = [each for each in ledger.history() if each.study == study.digest]
        return Counter((e.kind, e.round) for e in entries if e.kind in ("reserve", "settle"))


@per_point
@pytest.mark.slow
def test_a_study_that_is_killed_at_every_step_ends_in_the_model_and_the_books_of_a_calm_one(
    tmp_path: Path,
) -> None:
    data = digital_hospitals("heart-disease", dict.fromkeys(NAMES, 40), 1, tmp_path / "data")
    hospitals = hospitals_in("heart-disease", data, None, secret_noise=False)
    calm = federate(STUDY, hospitals, Machine()).progress
    nodes.warm()
    settled = [approved(replace(each, home=tmp_path / each.name), STUDY) for each in introduced(hospitals)]
    home = coordinators.home_in(tmp_path / "alpes")
    with ExitStack() as stack:
        known = [Node(tmp_path / "nodes" / each.name, each) for each in settled]
        coordinators.join(home, known)
        daemon = coordinators.Killable(home, "127.0.0.1:0")
        thread = threading.Thread(target=daemon.run)
        thread.start()
        stack.callback(thread.join)
        stack.callback(daemon.stop)
        for node in known:
            stack.enter_context(nodes.running(node, coordinators.link_to(home)))
        first = coordinators.order(home, POINTS[0])
        launched = orders.launch(home, STUDY, by="a test")
        nodes.wait_for(lambda: not first.exists(), POINTS[0])
        for point in POINTS[1:]:
            file = coordinators.order(home, point)
            nodes.wait_for(lambda file=file: not file.exists(), point)  # type: ignore[misc]
        nodes.wait_for(lambda: coordinators.state_of(home, launched.digest) == "finished", "it ends")
        nodes.wait_for(lambda: not (home.studies / STUDY.digest / "state").exists(), "it is tidied up")
    assert coordinators.model_in(home, STUDY.digest) == model_file(calm)
    once = {(kind, number): 1 for kind in ("reserve", "settle") for number in range(STUDY.rounds + 1)}
    for each in settled:
        assert booked(each.home, STUDY) == once, each.name
    contributed = [each["contributors"] for each in coordinators.result_of(home, STUDY.digest)["history"]]
    assert contributed == [sorted(NAMES)] * STUDY.rounds + [[]]
