"""A study's course as a pure step over explicit state.

    enrol ──> train 1 ──> train 2 ──> … ──> train R ──> report ──> done

`step(progress, replies)` gives the next progress and the instruction for all hospitals. Nothing here knows
Flower, time, files or randomness, so a study that was interrupted between any two steps goes on from saved
progress to the same end, bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ground.arrays import all_finite
from ground.errors import FederationError, UsageError
from privacy.accountant import Accountant
from tasks.contract import Task
from tasks.learners import learner_for
from tasks.learners.contract import State, Total, add_up
from tasks.learners.statistics import count_of_patients
from tasks.messages import SAME_VERSION, Instruction, Phase, Reply
from tasks.study import Study

Course = Literal["enrol", "train", "report", "done"]
# Without a [privacy] table a study states no minimum: a sum over fewer than this says too much about each.
MINIMUM_HOSPITALS = 3


@dataclass(frozen=True)
class Member:
    """A hospital of the roster.

    Attributes:
        name: its name.
        patients: how many it has, where it says so.
        quarantined: how many it set aside, where it says so.

    """

    name: str
    patients: int | None
    quarantined: int | None


@dataclass(frozen=True)
class Record:
    """What one evaluation of the shared model showed.

    Attributes:
        after: how many rounds the model had been trained for.
        metrics: hospital -> metric -> value, where the hospital disclosed them.
        contributors: who contributed to the round that came next; empty for the last record.

    """

    after: int
    metrics: Mapping[str, Mapping[str, float]]
    contributors: tuple[str, ...]


@dataclass(frozen=True)
class Progress:
    """All that the coordinator knows of a study.

    Attributes:
        study: the study.
        phase: what the hospitals are being asked.
        round: the round being asked for; 0 while enrolling.
        roster: the hospitals, by name in alphabetical order; empty while enrolling.
        state: the learner's state.
        accountant: the noisy releases so far.
        history: one record for each evaluation.

    """

    study: Study
    phase: Course
    round: int
    roster: tuple[Member, ...]
    state: State
    accountant: Accountant
    history: tuple[Record, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The hospitals' names."""
        return tuple(member.name for member in self.roster)


def begin(study: Study, task: Task) -> Progress:
    """Before anything was sent."""
    return Progress(study, "enrol", 0, (), learner_for(task, study).begin(), Accountant(), ())


def instruction(progress: Progress, task: Task, hospitals: int) -> Instruction | None:
    """What every hospital is to be sent now; None when the study is done."""
    if progress.phase == "done":
        return None
    learner = learner_for(task, progress.study)
    phase: Phase = progress.phase
    return Instruction(
        phase=phase,
        study=progress.study.to_toml(),
        digest=progress.study.digest,
        round=progress.round,
        hospitals=hospitals,
        published={} if phase == "enrol" else learner.publish(progress.state),
    )


def step(progress: Progress, replies: Mapping[str, Reply], task: Task) -> tuple[Progress, Instruction | None]:
    """The next progress and the next instruction, from the replies that were received, by hospital.

    Raises FederationError or UsageError, naming hospitals, where the replies do not allow to go on.
    """
    _check(progress, replies)
    advance = {"enrol": _enrolled, "train": _trained, "report": _reported}[progress.phase]
    following = advance(progress, replies, task)
    return following, instruction(following, task, len(following.roster))


def fewest(study: Study, roster: int) -> int:
    """How many hospitals must contribute to a round for it to count."""
    if study.privacy is None:
        return min(MINIMUM_HOSPITALS, roster)
    if study.privacy.noise == "distributed":
        return roster  # a share of the noise would be missing, and with it a share of the protection
    return study.privacy.minimum_hospitals


def _enrolled(progress: Progress, replies: Mapping[str, Reply], task: Task) -> Progress:  # noqa: ARG001
    names = sorted(replies)
    privacy = progress.study.privacy
    if privacy is not None and len(names) < privacy.minimum_hospitals:
        raise UsageError(
            f"{len(names)} hospitals enrolled, the study asks for at least {privacy.minimum_hospitals}: "
            "wait for more, or lower minimum-hospitals"
        )
    roster = tuple(Member(name, replies[name].patients, replies[name].quarantined) for name in names)
    state, accountant = progress.state, progress.accountant
    plan = progress.study.plan()
    if plan is not None:
        counted = count_of_patients().combine(state, _sum(replies, names))
        state, accountant = counted, accountant.spend(plan.count_event())
    return replace(progress, phase="train", round=1, roster=roster, state=state, accountant=accountant)


def _trained(progress: Progress, replies: Mapping[str, Reply], task: Task) -> Progress:
    names = [name for name in progress.names if name in replies]
    if len(names) < fewest(progress.study, len(progress.roster)):
        lost = [name for name in progress.names if name not in replies]
        raise FederationError(
            f"round {progress.round}: {', '.join(lost)} did not contribute, and the study needs "
            f"{fewest(progress.study, len(progress.roster))} of {len(progress.roster)} hospitals: "
            "run it again, it goes on from here"
        )
    try:
        state = learner_for(task, progress.study).combine(progress.state, _sum(replies, names))
    except ValueError as error:
        raise FederationError(
            f"round {progress.round}: the contributions of {', '.join(names)} do not fit the model: "
            f"{SAME_VERSION}"
        ) from error
    if not all_finite(state.model):
        raise FederationError(
            f"round {progress.round}: the model left the finite numbers: lower the learning rate"
        )
    accountant = progress.accountant
    plan = progress.study.plan()
    if plan is not None:
        accountant = accountant.spend(plan.step_event(plan.steps // progress.study.rounds))
    last = progress.round == progress.study.rounds
    return replace(
        progress,
        phase="report" if last else "train",
        round=progress.round if last else progress.round + 1,
        state=state,
        accountant=accountant,
        history=(*progress.history, _record(progress.round - 1, replies, names)),
    )


def _reported(progress: Progress, replies: Mapping[str, Reply], task: Task) -> Progress:  # noqa: ARG001
    record = replace(_record(progress.round, replies, sorted(replies)), contributors=())
    return replace(progress, phase="done", history=(*progress.history, record))


def _record(after: int, replies: Mapping[str, Reply], names: list[str]) -> Record:
    metrics = {name: dict(replies[name].metrics) for name in names if replies[name].metrics}
    return Record(after, metrics, tuple(names))


def _sum(replies: Mapping[str, Reply], names: list[str]) -> Total:
    vectors = [vector for name in names if (vector := replies[name].vector) is not None]
    if len(vectors) != len(names):
        raise FederationError("a hospital replied without a contribution: both sides need the same version")
    total = add_up(vectors)
    if not all_finite(total.vector):
        guilty = [name for name, vector in zip(names, vectors, strict=True) if not all_finite(vector)]
        raise FederationError(
            f"{', '.join(guilty)} sent numbers that are not finite: the contribution was refused"
        )
    return total


def _check(progress: Progress, replies: Mapping[str, Reply]) -> None:
    """Every reply belongs to this study, phase and round, and has the size of the others."""
    if not replies:
        raise FederationError(f"{progress.phase}, round {progress.round}: no hospital replied")
    sizes = Counter(reply.vector.shape for reply in replies.values() if reply.vector is not None)
    usual = max(sizes, key=lambda size: sizes[size], default=None)
    asked = (progress.study.digest, progress.phase, progress.round)
    for name, reply in replies.items():
        problem = None
        if (reply.digest, reply.phase, reply.round) != asked:
            problem = "answered another study or round"
        elif progress.roster and name not in progress.names:
            problem = "is not on the roster"
        elif reply.vector is not None and reply.vector.shape != usual:
            problem = "sent a contribution of another size than most"
        if problem:
            raise FederationError(f"round {progress.round}: hospital {name} {problem}: its reply was refused")
