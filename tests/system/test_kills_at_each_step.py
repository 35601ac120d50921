"""SIGKILL of SuperLink, of the coordinator, of all at once, at each step; and an upgrade between rounds."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import coordinators
import nodes
import pytest
from conftest import Seen
from federations import NAMES, SECURE
from test_coordinator_kills import booked
from test_coordinator_restarts import begin, gone, said

from deploy.digital import digital_hospitals
from deploy.engines.flower import Node, approved
from deploy.federation import Machine, federate, hospitals_in, introduced
from server.coordinating import orders
from server.coordinating.places import places_of
from server.home import CoordinatorHome
from server.recording import standing
from server.results import model_file
from tasks.study import Study

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]  # six minutes
STEPS = ("enrol", "roster", "count", "unmask", "train", "report")
SAME = "the model of a calm run, ε booked once"


@dataclass
class Whole:
    """A coordinator as a person starts it, and three hospitals' nodes."""

    home: CoordinatorHome
    hospitals: tuple[Any, ...]
    homes: tuple[Any, ...]
    supervisors: list[Any] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None

    def phase(self, study: Study) -> str:
        """What the hospitals are being asked now."""
        where = standing(self.home.studies / study.digest)
        return where.phase if where.attempts else ""

    def kill_superlink(self) -> None:
        before = said(self.home).superlink
        os.kill(before or 0, signal.SIGKILL)
        nodes.wait_for(lambda: said(self.home).superlink not in (None, before), "another SuperLink")

    def kill_coordinator(self) -> None:
        before = said(self.home)
        assert self.process is not None
        self.process.kill()
        self.process.communicate()
        nodes.wait_for(gone(before.superlink, *before.studies.values()), "all ends with the coordinator")
        self.process = begin(self.home)

    def kill_everything(self) -> None:
        for each in self.supervisors:
            for child in (each._supernode, each._executor):
                if child.pid is not None:
                    os.kill(child.pid, signal.SIGKILL)
        self.kill_coordinator()

    def approve(self, study: Study) -> None:
        for each in self.homes:
            approved(each, study)

    def is_undisturbed(self, study: Study) -> str:
        """Asserts that model and books are those of a calm run; says so."""
        calm = federate(study, self.hospitals, Machine()).progress
        once = {(kind, number): 1 for kind in ("reserve", "settle") for number in range(study.rounds + 1)}
        assert coordinators.model_in(self.home, study.digest) == model_file(calm)
        for each in self.homes:
            assert booked(each.home, study) == once, each.name
        return "same model, ε booked once"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    folder = tmp_path_factory.mktemp("whole")
    data = digital_hospitals("heart-disease", dict.fromkeys(NAMES, 40), 1, folder / "data")
    hospitals = tuple(hospitals_in("heart-disease", data, None, secret_noise=False))
    nodes.warm()
    homes = tuple(approved(replace(each, home=folder / each.name), SECURE) for each in introduced(hospitals))
    home = coordinators.home_in(folder / "alpes")
    made = Whole(home, hospitals, homes)
    with ExitStack() as stack:
        known = [Node(folder / "nodes" / each.name, each) for each in homes]
        coordinators.join(home, known)
        for node in known:
            made.supervisors.append(stack.enter_context(nodes.running(node, coordinators.link_to(home))))
        stack.callback(lambda: made.process and (made.process.kill(), made.process.communicate()))
        made.process = begin(home)
        yield made


def each_step(fault: str) -> Callable[[Any], Any]:
    def mark(function: Any) -> Any:
        for step in STEPS:
            function = pytest.mark.fault(fault, f"{step} under way", SAME)(function)
        return function

    return mark


def killed_at_each_step(whole: Whole, name: str, kill: Callable[[], None], seen: Seen) -> None:
    study = SECURE.model_copy(update={"name": name})
    whole.approve(study)
    launched = orders.launch(whole.home, study, by="a test")
    left = list(STEPS)
    finished = lambda: coordinators.state_of(whole.home, launched.digest) == "finished"  # noqa: E731
    while left and not finished():
        nodes.wait_for(lambda: whole.phase(study) in left or finished(), f"one of {left}")
        if (phase := whole.phase(study)) in left:
            left.remove(phase)
            kill()
    nodes.wait_for(finished, "it ends")
    assert left == []
    seen(whole.is_undisturbed(study))


@each_step("kill −9 SuperLink")
def test_superlink_is_killed_at_each_step(whole: Whole, seen: Seen) -> None:
    killed_at_each_step(whole, "superlink", whole.kill_superlink, seen)


@each_step("kill −9 coordinator")
def test_the_coordinator_is_killed_at_each_step(whole: Whole, seen: Seen) -> None:
    killed_at_each_step(whole, "coordinator", whole.kill_coordinator, seen)


@each_step("kill −9 everything at once")
def test_everything_is_killed_at_each_step(whole: Whole, seen: Seen) -> None:
    killed_at_each_step(whole, "everything", whole.kill_everything, seen)


def be_upgraded_study(path: str, digest: str, order: str) -> None:
    """The process of one study where the next version of each task is installed."""
    from tasks import registry

    installed = registry.installed
    vars(registry)["installed"] = lambda: {
        name: replace(task, version=task.version + 1) for name, task in installed().items()
    }
    coordinators.be_study(path, digest, order)


class Upgraded(coordinators.Killable):
    """A coordinator of the next version."""

    def _child(self, launched: Any) -> Any:
        order, where = str(self._home.path / "order"), str(self._home.path)
        return nodes.Forked("study", be_upgraded_study, lambda: (where, launched.digest, order))


OTHER = "upgrade between rounds: another version of the task"
LIKE = "upgrade between rounds: the same version of the task"


@pytest.mark.fault(OTHER, "train 1", "refused by name, nothing lost; goes on under the old version")
@pytest.mark.fault(LIKE, "train 1", "goes on")
def test_an_upgrade_between_rounds_goes_on_or_is_refused_by_name(whole: Whole, seen: Seen) -> None:
    study = SECURE.model_copy(update={"name": "upgraded", "rounds": 6})
    whole.approve(study)
    home, digest = whole.home, study.digest
    orders.launch(home, study, by="a test")
    nodes.wait_for(lambda: standing(home.studies / digest).round >= 1, "it comes to round 1")
    assert whole.process is not None
    whole.process.send_signal(signal.SIGTERM)
    whole.process.communicate()
    daemon = Upgraded(home, "127.0.0.1:0")
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        nodes.wait_for(lambda: coordinators.state_of(home, digest) == "failed", "it is refused")
    finally:
        daemon.stop()
        thread.join()
    why = home.registry.studies.get(digest).why
    assert "is installed in version 2, the study asks for version 1" in why
    assert (places_of(home, digest).state / "coordinator.safetensors").is_file()
    whole.process = begin(home)  # also what an upgrade is that leaves the task as it is
    orders.resume(home, "upgraded")
    nodes.wait_for(lambda: coordinators.state_of(home, digest) == "finished", "it goes on")
    same = whole.is_undisturbed(study)
    seen(f"“{why}”; then {same}", OTHER)
    seen(f"goes on: {same}", LIKE)


def test_steps_are_those_of_a_secure_study() -> None:
    from tasks.messages import ORDER

    assert set(STEPS) == set(ORDER) - {"confirm"}  # asked only where lies could single somebody out
