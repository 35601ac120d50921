"""SIGKILL at every step of a round: the model and the ε books are those of an undisturbed run."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import nodes
import numpy as np
import pytest

from client.hospital import Settings
from client.ledger import Ledger
from deploy.digital import digital_hospitals
from deploy.engines.flower import Node, SuperLink, approved
from deploy.federation import Machine, federate, hospitals_in, introduced
from tasks.study import Privacy, Study, Training

NAMES = ("cleveland", "hungary", "long-beach")
POINTS = [f"node after {each}" for each in nodes.SUPERNODE] + [
    f"executor after {each}" for each in nodes.EXECUTOR
]
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
        function = pytest.mark.fault("kill −9 node", point, "the model of a calm run, ε booked once")(
            function
        )
    return function


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, ...]:
    folder = digital_hospitals("heart-disease", dict.fromkeys(NAMES, 40), 1, tmp_path_factory.mktemp("data"))
    return tuple(hospitals_in("heart-disease", folder, None, secret_noise=False))


def booked(home: Path | None) -> Counter[tuple[str, int | None]]:
    """How often each round was reserved and settled."""
    assert home is not None
    with Ledger(home / "ledger.sqlite") as ledger:
        return Counter((e.kind, e.round) for e in ledger.history() if e.kind in ("reserve", "settle"))


@per_point
@pytest.mark.slow
def test_a_node_that_is_killed_at_every_step_ends_in_the_model_and_the_books_of_a_calm_one(
    tmp_path: Path, hospitals: tuple[Settings, ...]
) -> None:
    calm = federate(STUDY, hospitals, Machine()).progress
    nodes.warm()
    settled = [approved(replace(each, home=tmp_path / each.name), STUDY) for each in introduced(hospitals)]
    with ExitStack() as stack:
        link = SuperLink(tmp_path)
        stack.callback(link.stop)
        link.start()
        known = [Node(tmp_path / "nodes" / each.name, each) for each in settled]
        for node in known:
            link.register(node.key(), node.settings.name)
        supervisors = [stack.enter_context(nodes.running(node, link)) for node in known]
        left = list(POINTS)

        def kill() -> None:
            for number, point in enumerate(POINTS):
                file = nodes.order(supervisors[number % len(supervisors)], point)
                nodes.wait_for(lambda file=file: not file.exists(), point)  # type: ignore[misc]
                left.remove(point)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        progress = nodes.run(link, STUDY, len(settled))
        assert left == []
        killer.join()
    assert np.array_equal(progress.state.model, calm.state.model)
    once = {(kind, number): 1 for kind in ("reserve", "settle") for number in range(STUDY.rounds + 1)}
    for each in settled:
        assert booked(each.home) == once, each.name
