"""Real nodes under hostile code, two studies at once, wrong clocks, and a coordinator that goes away."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
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
from server.events import Advanced, Event, listening
from server.link import BUNDLE
from tasks.study import Privacy, Study, Training

pytestmark = pytest.mark.slow
NAMES = ("cleveland", "hungary", "long-beach")
CLOCKS = (0.0, 200.0, -1000.0)  # seconds by which each hospital's clock is ahead
STUDY = Study(
    name="first",
    task="heart-disease",
    rounds=2,
    training=Training(learning_rate=2.0),
    privacy=Privacy(epsilon=4.0, secure_aggregation=True),
)
HOSTILE = (
    "import pathlib\npathlib.Path({marker!r}).write_text('code from outside')\n"
    "raise RuntimeError('and more of it')\n"
)


@dataclass(frozen=True)
class Federation:
    """A SuperLink and three nodes that run, and the hospitals as a local engine takes them."""

    link: SuperLink
    hospitals: tuple[Settings, ...]
    homes: tuple[Settings, ...]

    def approve(self, study: Study) -> None:
        for each in self.homes:
            approved(each, study)

    def calm(self, study: Study) -> np.ndarray[Any, Any]:
        """The model of the same study on the local engine."""
        return federate(study, self.hospitals, Machine()).progress.state.model


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    folder = tmp_path_factory.mktemp("federation")
    data = digital_hospitals("heart-disease", dict.fromkeys(NAMES, 40), 1, folder / "data")
    hospitals = hospitals_in("heart-disease", data, None, secret_noise=False)
    nodes.warm()
    homes = tuple(replace(each, home=folder / each.name, governed=True) for each in introduced(hospitals))
    with ExitStack() as stack:
        link = SuperLink(folder)
        stack.callback(link.stop)
        link.start()
        for settings, ahead in zip(homes, CLOCKS, strict=True):
            node = Node(folder / "nodes" / settings.name, settings)
            link.register(node.key(), node.settings.name)
            stack.enter_context(nodes.running(node, link, ahead))
        yield Federation(link, tuple(hospitals), homes)


def spent(settings: Settings, study: Study) -> dict[tuple[str, int | None], int]:
    assert settings.home is not None
    counted: dict[tuple[str, int | None], int] = {}
    with Ledger(settings.home / "ledger.sqlite") as ledger:
        for each in ledger.history():
            if each.study == study.digest and each.kind in ("reserve", "settle"):
                counted[each.kind, each.round] = counted.get((each.kind, each.round), 0) + 1
    return counted


def expected(study: Study) -> dict[tuple[str, int], int]:
    return {(kind, number): 1 for kind in ("reserve", "settle") for number in range(study.rounds + 1)}


@pytest.mark.fault("coordinator ships hostile code", "whole study", "nothing of it runs at a node")
def test_nothing_of_the_code_that_a_coordinator_ships_runs_at_a_node(
    federation: Federation, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    code = HOSTILE.format(marker=str(marker))
    with pytest.raises(RuntimeError):
        exec(code)  # noqa: S102 - what it would do
    marker.unlink()
    study = STUDY.model_copy(update={"name": "hostile"})
    federation.approve(study)
    bundle = BUNDLE.replace('["study.toml"]', '["study.toml", "hostile/*.py", "client/*.py"]')
    files = {
        "pyproject.toml": bundle.replace("client.app:app", "hostile.app:app").encode(),
        "hostile/__init__.py": code.encode(),
        "hostile/app.py": code.encode(),
        "client/__init__.py": code.encode(),  # in the place of ours
        "client/app.py": code.encode(),
    }
    progress = nodes.run(federation.link, study, len(NAMES), files)
    assert np.array_equal(progress.state.model, federation.calm(study))
    assert not marker.exists()


@pytest.mark.fault("two studies at once", "whole study", "the model of a calm run, ε booked once")
@pytest.mark.fault(
    "clocks off by +200 s and −1000 s", "whole study", "the model of a calm run, ε booked once"
)
def test_two_studies_at_once_are_two_studies_one_after_the_other(federation: Federation) -> None:
    studies = [STUDY.model_copy(update={"name": name}) for name in ("this", "that")]
    for study in studies:
        federation.approve(study)
    pool = multiprocessing.get_context("forkserver").Pool(1)
    with pool:
        second = pool.apply_async(nodes.model_of, (federation.link, studies[1].to_toml(), len(NAMES)))
        first = nodes.run(federation.link, studies[0], len(NAMES)).state.model
        models = [first, second.get(nodes.PATIENCE)]
    for study, model in zip(studies, models, strict=True):
        assert np.array_equal(model, federation.calm(study)), study.name
        for settings in federation.homes:
            assert spent(settings, study) == expected(study), (study.name, settings.name)


@pytest.mark.fault("kill −9 SuperLink", "after round 1", "the model of a calm run, ε booked once")
def test_a_coordinator_that_is_killed_and_comes_back_finishes_the_study(federation: Federation) -> None:
    study, link = STUDY.model_copy(update={"name": "away"}), federation.link
    federation.approve(study)
    begun, over = threading.Event(), threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, Advanced) and event.progress.round >= 1:
            begun.set()

    def away() -> None:
        assert begun.wait(nodes.PATIENCE)
        link.kill()
        link.start()
        over.wait()  # a process ends with the thread that started it

    breaker = threading.Thread(target=away, daemon=True)
    breaker.start()
    with listening(listen):
        progress = nodes.run(link, study, len(NAMES))
    over.set()
    breaker.join()
    assert np.array_equal(progress.state.model, federation.calm(study))
    for settings in federation.homes:
        assert spent(settings, study) == expected(study), settings.name
