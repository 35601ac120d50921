"""What the coordinator knows of a study: explicit state, saved between any two steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from privacy.accountant import Accountant
from privacy.secagg import CoordinatorSide
from tasks.contract import Task
from tasks.gap import check
from tasks.learners import learner_for
from tasks.learners.contract import State
from tasks.learners.digital_start import Watch, nobody_watches
from tasks.messages import Phase
from tasks.study import Study

Course = Phase | Literal["done"]


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
    """What one evaluation of the shared model showed, and who contributed to the round that came next.

    Attributes:
        after: how many rounds the model had been trained for.
        metrics: hospital -> metric -> value, where the hospital disclosed them.
        contributors: who contributed to the round that came next; empty for the last record.
        summed: metric -> mean over the contributors, from a secure sum.
        abandoned: why that round was abandoned; empty where it was not.

    """

    after: int
    metrics: Mapping[str, Mapping[str, float]]
    contributors: tuple[str, ...]
    summed: Mapping[str, float] = field(default_factory=dict)
    abandoned: str = ""


@dataclass(frozen=True)
class Progress:
    """All that the coordinator knows of a study.

    Attributes:
        study: the study.
        phase: what the hospitals are being asked.
        round: the round being asked for; 0 while enrolling (`Instruction.round`).
        roster: the hospitals, by name in alphabetical order; empty while enrolling.
        state: the learner's state.
        accountant: the noisy releases so far.
        history: one record for each evaluation.
        secure: the coordinator's side of secure aggregation; None without.
        pending: while a secure sum is unmasked, what was disclosed with it.
        summed: while a secure sum is unmasked, the names of the metrics at its end.

    """

    study: Study
    phase: Course
    round: int
    roster: tuple[Member, ...]
    state: State
    accountant: Accountant
    history: tuple[Record, ...]
    secure: CoordinatorSide | None = None
    pending: Record | None = None
    summed: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The hospitals' names."""
        return tuple(member.name for member in self.roster)


def begin(study: Study, task: Task, watch: Watch = nobody_watches) -> Progress:
    """Before anything was sent; `watch` hears how far the digital start is, where the study has one.

    Raises StudyError where the task cannot do what the study asks of its digital patients.
    """
    check(task, study)
    return Progress(study, "enrol", 0, (), learner_for(task, study).begin(watch), Accountant(), ())
