"""A study that is interrupted anywhere, however often, goes on to the same end, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from flwr.app import ConfigRecord, RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st

from client.hospital import Settings
from client.memory import Memory, Store
from client.training import answer
from deploy.digital import digital_hospitals
from deploy.federation import hospitals_in
from server import checkpoint
from server.progress import Progress, begin
from server.round import instruction, step
from tasks.messages import Instruction, Reply, reply_to_text
from tasks.registry import find
from tasks.study import Study, parse

torch.set_num_threads(1)  # as at a hospital: client/app.py
TASK = find("heart-disease")
NAMES = ("cleveland", "hungary", "long-beach")
DISTRIBUTED = "[privacy]\nepsilon = 2.0\nsampling-rate = 0.5\n"
LOCAL = '[privacy]\nepsilon = 4.0\nnoise = "local"\n'
SCHEMES = {
    "fedavg": '[training]\nstrategy = "fedavg"\nlocal-steps = 2\n',
    "fedadam": '[training]\nstrategy = "fedadam"\n',
    "scaffold": '[training]\nstrategy = "scaffold"\nlocal-steps = 2\n',
    "ditto": '[training]\nstrategy = "ditto"\n',
    "distributed DP": DISTRIBUTED,
    "local DP": '[training]\nstrategy = "scaffold"\nlocal-steps = 2\n' + LOCAL,
}
ALL = pytest.mark.parametrize("scheme", SCHEMES)
ROUNDS = 3
STEPS = ROUNDS + 2  # enrolment before them, a report after them
# Before a step: nothing; or everybody restarts, once these hospitals had answered and their replies got lost.
Fault = frozenset[str] | None
FAULTS = st.lists(st.none() | st.frozensets(st.sampled_from(NAMES)), min_size=STEPS, max_size=STEPS)


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, ...]:
    folder = digital_hospitals(TASK.name, dict.fromkeys(NAMES, 40), 1, tmp_path_factory.mktemp("hospitals"))
    return tuple(hospitals_in(TASK.name, folder, None, secret_noise=False))


def study_of(scheme: str) -> Study:
    return parse(f'name = "interrupted"\ntask = "heart-disease"\nrounds = {ROUNDS}\n{SCHEMES[scheme]}')


class Course:
    """A study and its hospitals in one process, each of which can lose all but what it has saved."""

    def __init__(self, study: Study, hospitals: Sequence[Settings]) -> None:
        self.hospitals = hospitals
        self.progress = begin(study, TASK)
        self.kept = {hospital.name: RecordDict() for hospital in hospitals}

    def request(self) -> Instruction | None:
        return instruction(self.progress, TASK, len(self.hospitals))

    def ask(self, names: Sequence[str] | frozenset[str] = NAMES) -> dict[str, Reply]:
        request = self.request()
        assert request is not None
        return {
            each.name: answer(request, each, self._store(each))
            for each in self.hospitals
            if each.name in names
        }

    def restart(self) -> None:
        self.progress = checkpoint.from_bytes(checkpoint.to_bytes(self.progress), "disk")
        self.kept = {name: reread(state) for name, state in self.kept.items()}

    def run(self, faults: Sequence[Fault] = ()) -> Course:
        for fault in [*faults, *[None] * (STEPS - len(faults))]:
            if fault is not None:
                self.ask(fault)
                self.restart()
            self.progress, _ = step(self.progress, self.ask(), TASK)
        return self

    def end(self) -> bytes:
        assert self.progress.phase == "done"
        return checkpoint.to_bytes(self.progress)

    def memories(self) -> dict[str, Memory]:
        return {each.name: self._store(each).load() for each in self.hospitals}

    def _store(self, hospital: Settings) -> Store:
        return Store(None, self.progress.study.digest, self.kept[hospital.name])


def reread(state: RecordDict) -> RecordDict:
    """The same records from copies of their bytes, as after a restart of the hospital."""
    return RecordDict(
        {
            name: ConfigRecord({"memory": bytes(bytearray(record["memory"]))})  # type: ignore[arg-type]
            for name, record in state.config_records.items()
        }
    )


@lru_cache(maxsize=len(SCHEMES))
def undisturbed(scheme: str, hospitals: tuple[Settings, ...]) -> Course:
    return Course(study_of(scheme), hospitals).run()


@ALL
@settings(max_examples=8, deadline=None)
@given(faults=FAULTS)
def test_an_interrupted_study_ends_as_an_undisturbed_one(
    scheme: str, hospitals: tuple[Settings, ...], faults: list[Fault]
) -> None:
    assert Course(study_of(scheme), hospitals).run(faults).end() == undisturbed(scheme, hospitals).end()


@ALL
def test_a_round_asked_twice_changes_nothing_and_costs_nothing(
    scheme: str, hospitals: tuple[Settings, ...]
) -> None:
    twice, once = (
        Course(study_of(scheme), hospitals).run([frozenset(NAMES)] * STEPS),
        undisturbed(scheme, hospitals),
    )
    assert twice.end() == once.end()
    assert twice.progress.accountant == once.progress.accountant
    for name, memory in twice.memories().items():
        assert memory.accountant == once.memories()[name].accountant


@ALL
def test_a_step_changes_neither_the_progress_nor_the_replies_that_it_is_given(
    scheme: str, hospitals: tuple[Settings, ...]
) -> None:
    course = Course(study_of(scheme), hospitals)
    for _ in range(STEPS):
        replies = course.ask()
        before = checkpoint.to_bytes(course.progress), values(replies)
        following, _ = step(course.progress, replies, TASK)
        assert (checkpoint.to_bytes(course.progress), values(replies)) == before
        course.progress = following


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if "DP" in name])
def test_the_coordinator_and_every_hospital_count_the_same_releases(
    scheme: str, hospitals: tuple[Settings, ...]
) -> None:
    course = undisturbed(scheme, hospitals)
    plan = study_of(scheme).plan()
    assert plan is not None
    assert course.progress.accountant == plan.cost()
    assert {memory.accountant for memory in course.memories().values()} == {plan.cost()}


def test_hospitals_in_their_own_folders_give_the_same_model_after_a_restart(
    hospitals: tuple[Settings, ...], tmp_path: Path
) -> None:
    """As `run` keeps them: a new Store on the same folder knows the round that was answered."""
    study = study_of("local DP")
    progress = begin(study, TASK)
    while (request := instruction(progress, TASK, len(hospitals))) is not None:
        for _ in range(2):
            replies = {
                h.name: answer(request, h, Store(tmp_path / h.name, study.digest, RecordDict()))
                for h in hospitals
            }
        progress, _ = step(progress, replies, TASK)
    assert checkpoint.to_bytes(progress) == undisturbed("local DP", hospitals).end()


def values(replies: dict[str, Reply]) -> dict[str, tuple[str, bytes]]:
    return {
        name: (reply_to_text(reply), b"" if reply.vector is None else reply.vector.tobytes())
        for name, reply in replies.items()
    }


def test_an_undisturbed_study_ends_after_its_rounds(hospitals: tuple[Settings, ...]) -> None:
    progress: Progress = undisturbed("fedavg", hospitals).progress
    assert (progress.phase, progress.round, len(progress.history)) == ("done", ROUNDS, ROUNDS + 1)
