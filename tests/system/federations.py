"""A federation for tests of faults: SuperLink, nodes that may lie, links that may be bad."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nodes
import numpy as np
from proxies import Proxy, proxy

from client.hospital import Settings
from client.ledger import Ledger
from deploy.digital import digital_hospitals
from deploy.engines.faults import Drop
from deploy.engines.flower import Node, SuperLink, approved
from deploy.federation import Machine, federate, hospitals_in, introduced
from server.events import Advanced, Event, listening
from tasks.study import Privacy, Study, Training

NAMES = ("cleveland", "hungary", "long-beach")
SECURE = Study(
    name="secure",
    task="heart-disease",
    rounds=3,
    training=Training(learning_rate=2.0),
    privacy=Privacy(epsilon=4.0, secure_aggregation=True),
)
PLAIN = Study(name="plain", task="heart-disease", rounds=6, training=Training(learning_rate=2.0))


@dataclass(frozen=True)
class Federation:
    """What runs, and the hospitals as a local engine takes them."""

    link: SuperLink
    supervisors: dict[str, Any]
    proxies: dict[str, Proxy]
    hospitals: tuple[Settings, ...]
    homes: tuple[Settings, ...]

    def run(
        self, study: Study, heard: Callable[[Event], None] = lambda _: None, reply_seconds: float = 300.0
    ) -> list[Advanced]:
        """The study's steps, over the nodes that are there."""
        from server.driver import drive
        from server.terms import Terms

        for each in self.homes:
            approved(each, study)
        steps: list[Advanced] = []

        def collect(event: Event) -> None:
            if isinstance(event, Advanced):
                steps.append(event)
            heard(event)

        self.link.launch({"study.toml": study.to_toml().encode()})
        with listening(collect), self.link.grid() as grid:
            drive(grid, study, Terms(len(self.homes), reply_seconds=reply_seconds), None)
        assert steps[-1].progress.phase == "done"
        return steps

    def calm(self, study: Study, drops: tuple[Drop, ...] = ()) -> np.ndarray[Any, Any]:
        """The model of the same study on the local engine."""
        return federate(study, self.hospitals, Machine(drops=drops)).progress.state.model

    def booked(self, study: Study) -> list[Counter[tuple[str, int | None]]]:
        """For each hospital, how often each round was reserved and settled."""
        found = []
        for each in self.homes:
            assert each.home is not None
            with Ledger(each.home / "ledger.sqlite") as ledger:
                entries = [e for e in ledger.history() if e.study == study.digest]
            found.append(Counter((e.kind, e.round) for e in entries if e.kind in ("reserve", "settle")))
        return found

    def is_undisturbed(self, study: Study, steps: list[Advanced]) -> str:
        """Asserts that model and books are those of a calm run; says so."""
        once = {(kind, number): 1 for kind in ("reserve", "settle") for number in range(study.rounds + 1)}
        assert np.array_equal(steps[-1].progress.state.model, self.calm(study))
        assert self.booked(study) == [once] * len(self.homes)
        return "same model, ε booked once"


@contextmanager
def federation(
    folder: Path, names: Collection[str] = NAMES, *, liars: Collection[str] = (), far: Collection[str] = ()
) -> Iterator[Federation]:
    """`liars` obey `lie`; `far` hospitals are behind a proxy."""
    data = digital_hospitals("heart-disease", dict.fromkeys(names, 40), 1, folder / "data")
    hospitals = hospitals_in("heart-disease", data, None, secret_noise=False)
    nodes.warm()
    homes = tuple(replace(each, home=folder / each.name, governed=True) for each in introduced(hospitals))
    with ExitStack() as stack:
        link = SuperLink(folder)
        stack.callback(link.stop)
        link.start()
        supervisors, proxies = {}, {}
        for settings in homes:
            name, reached = settings.name, link.address
            if name in far:
                proxies[name] = stack.enter_context(proxy(link.address))
                reached = proxies[name].address
            node = Node(folder / "nodes" / name, settings)
            link.register(node.key(), name)
            executor = be_liar if name in liars else nodes.be_executor
            to = SimpleNamespace(address=reached, certificates=link.certificates)
            supervisors[name] = stack.enter_context(nodes.running(node, to, executor=executor))
        yield Federation(link, supervisors, proxies, tuple(hospitals), homes)


def lie(supervisor: Any, lies: dict[int, str]) -> Path:
    """Let that hospital's node lie so in those rounds of training; a silent one speaks once the file goes."""
    file: Path = supervisor.places.folder / "lies"
    file.write_text(json.dumps(lies))
    return file


def be_liar(folder: str, home: str, settings: str | None, order: str, ahead: float) -> None:
    """An executor whose answers are what the file says, whatever the installed task computed."""
    import client.app as inside

    truth, file = inside.answer, Path(folder) / "lies"

    def answer(instruction: Any, settings: Any, store: Any) -> Any:
        reply = truth(instruction, settings, store)
        if instruction.phase != "train" or not file.exists():
            return reply
        return told(reply, json.loads(file.read_text()).get(str(instruction.round), ""), file)

    vars(inside)["answer"] = answer
    nodes.be_executor(folder, home, settings, order, ahead)


def told(reply: Any, how: str, file: Path) -> Any:
    """The reply as a liar sends it."""
    size = reply.vector.size
    if how == "nan":
        return replace(reply, vector=np.full(size, np.nan))
    if how == "infinite":
        return replace(reply, vector=np.full(size, np.inf))
    if how == "longer":
        return replace(reply, vector=np.ones(size + 1))
    if how == "square":
        return replace(reply, vector=np.ones((size, 2)))
    if how == "huge":
        return replace(reply, vector=np.ones(64 * 2**20 // 8))
    if how == "stale":
        return replace(reply, round=reply.round - 1)
    if how == "another study":
        return replace(reply, digest="0" * 64)
    if how == "another hospital":
        return replace(reply, hospital="cleveland")
    while how == "silent" and file.exists() and os.getppid() != 1:
        time.sleep(0.1)
    return reply
