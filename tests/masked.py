"""A study with secure aggregation: digital hospitals that answer, and a coordinator that the test plays."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from flwr.app import ConfigRecord, RecordDict

from client.hospital import Settings
from client.memory import Memory, Store
from client.training import answer
from deploy.digital import digital_hospitals
from deploy.federation import hospitals_in, introduced
from ground.errors import LaennecError
from privacy.plan import Noise, PrivacyPlan
from server import checkpoint, secure
from server.progress import Progress, begin
from server.round import instruction, step
from tasks.contract import Task
from tasks.messages import Instruction, Phase, Reply
from tasks.registry import find
from tasks.study import Privacy, StrategyName, Study, Training

torch.set_num_threads(1)  # as at a hospital: client/app.py
TASK = find("heart-disease")
NAMES = ("cleveland", "hungary", "long-beach", "switzerland")
# Where six sum as few as four, lies could single some out: they confirm what they are asked.
SIX = (*NAMES[:1], "cleveland-2", *NAMES[1:2], "hungary-2", *NAMES[2:])
PATIENTS = 40
# What the coordinator asks for, one sum after another; who is missing is named by these.
Place = tuple[Phase, int]


@cache
def study(
    noise: Noise = "distributed",
    strategy: StrategyName = "fedavg",
    rounds: int = 2,
    minimum: int = 3,
    sampling_rate: float = 1.0,
) -> Study:
    """Those of equal rounds and sampling share a plan, which takes seconds to design."""
    privacy = Privacy(
        epsilon=8.0,
        delta=1e-3,
        sampling_rate=sampling_rate,
        noise=noise,
        secure_aggregation=True,
        minimum_hospitals=minimum,
    )
    training = Training(strategy=strategy, learning_rate=0.5)
    return Study(name="masked", task=TASK.name, rounds=rounds, training=training, privacy=privacy)


def plan(terms: Study) -> PrivacyPlan:
    found = terms.plan()
    assert found is not None
    return found


def plain(terms: Study) -> Study:
    """The same study summed in the clear, with the very same plan."""
    assert terms.privacy is not None
    changes = {"secure_aggregation": False, "delta": plan(terms).delta}
    return terms.model_copy(update={"privacy": terms.privacy.model_copy(update=changes)})


def hospitals(
    folder: Path, home: Path | None = None, names: tuple[str, ...] = NAMES, *, sums_metrics: bool = True
) -> tuple[Settings, ...]:
    """These in that folder, which disclose nothing and trust no sum; metrics enter secure sums alone."""
    if not folder.exists():
        digital_hospitals(TASK.name, dict.fromkeys(names, PATIENTS), 1, folder)
    found = introduced(hospitals_in(TASK.name, folder, home, secret_noise=False))
    return tuple(
        replace(each, discloses=False, trusts_sum=False, sums_metrics=sums_metrics) for each in found
    )


def places(rounds: int, *, confirm: bool = False, again: Collection[int] = ()) -> list[Place]:
    """The course of a study in which nothing goes wrong, as (phase, number of the sum).

    Before the sums `again` everybody is asked to prepare, since somebody missed the one before.
    """
    sums: list[Phase] = ["count", *(["train"] * rounds), "report"]
    course: list[Place] = [("enrol", 0), ("roster", 0)]
    for number, phase in enumerate(sums):
        course += [("roster", number)] if number in again else []
        course += [(phase, number), *([("confirm", number)] if confirm else []), ("unmask", number)]
    return course


class Course:
    """A study and its hospitals in one process, each of which can lose all but what it has saved.

    `missing` says who does not answer: hospitals by what they are asked.
    """

    def __init__(
        self,
        terms: Study,
        everybody: Iterable[Settings],
        missing: Mapping[Place, Collection[str]] | None = None,
        task: Task = TASK,
    ) -> None:
        self.task, self.missing = task, dict(missing or {})
        self.hospitals = {each.name: each for each in everybody}
        self.progress = begin(terms, task)
        self.kept = {name: RecordDict() for name in self.hospitals}
        self.failures: list[tuple[Place, str, LaennecError]] = []
        self.asked: list[Place] = []

    @property
    def study(self) -> Study:
        return self.progress.study

    @property
    def place(self) -> Place:
        request = self.request()
        return request.phase, request.sum_number

    def request(self) -> Instruction:
        request = instruction(self.progress, self.task, len(self.hospitals))
        assert request is not None
        return request

    def answer(self, name: str, request: Instruction) -> Reply:
        return answer(request, self.hospitals[name], self.store(name))

    def ask(self, names: Collection[str] | None = None) -> dict[str, Reply]:
        """As the driver does it: who fails is left out where that can be borne, and named where it cannot."""
        request, replies = self.request(), {}
        gone = self.missing.get(self.place, ())
        for name in self.hospitals if names is None else names:
            try:
                if name not in gone:
                    replies[name] = self.answer(name, request)
            except LaennecError as error:
                if not secure.bearable(self.progress):
                    raise type(error)(f"hospital {name}: {error}") from error
                self.failures.append((self.place, name, error))
        return replies

    def go(self, replies: Mapping[str, Reply] | None = None) -> Course:
        """One step, with these replies or with those of all who answer."""
        self.asked.append(self.place)
        given = self.ask() if replies is None else replies
        self.progress, _ = step(self.progress, given, self.task)
        return self

    def run(self, until: Place | None = None) -> Course:
        """To the end, or until the coordinator asks for that."""
        while self.progress.phase != "done" and self.place != until:
            self.go()
        return self

    def restart(self) -> Course:
        """Everybody goes on from what it has saved."""
        self.progress = checkpoint.from_bytes(checkpoint.to_bytes(self.progress), "disk")
        self.kept = {name: reread(state) for name, state in self.kept.items()}
        return self

    def end(self) -> bytes:
        """All that the study came to, but for keys and masks, which are new in every run."""
        assert self.progress.phase == "done"
        return checkpoint.to_bytes(replace(self.progress, secure=None))

    def memory(self, name: str) -> Memory:
        return self.store(name).load()

    def store(self, name: str) -> Store:
        return Store(self.hospitals[name].home, self.study.digest, self.kept[name])


def reread(state: RecordDict) -> RecordDict:
    """The same records from copies of their bytes, as after a restart of the hospital."""
    return RecordDict(
        {
            name: ConfigRecord({"memory": bytes(bytearray(record["memory"]))})  # type: ignore[arg-type]
            for name, record in state.config_records.items()
        }
    )


def with_settings(course: Course, name: str, **changes: object) -> Course:
    """One of its hospitals with other settings."""
    course.hospitals[name] = replace(course.hospitals[name], **changes)  # type: ignore[arg-type]
    return course


def without(*names: str) -> tuple[str, ...]:
    """The others."""
    return tuple(name for name in NAMES if name not in names)


def spent_at(progress: Progress) -> int:
    """How many gradient sums the coordinator has accounted for."""
    return sum(event.times for event in progress.accountant.events[1:])
