"""What a sum of contributions does to the coordinator's state: the same whoever added it up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ground.arrays import all_finite
from ground.errors import FederationError, UsageError
from privacy.accountant import Event
from server.progress import Member, Progress, Record
from tasks.contract import Task
from tasks.gap import count_for, counts_of, planned
from tasks.learners import learner_for
from tasks.learners.contract import Total
from tasks.learners.model import places
from tasks.learners.strategies import STRATEGIES
from tasks.messages import SAME_VERSION, Reply
from tasks.study import Study


def enrolled(progress: Progress, replies: Mapping[str, Reply]) -> Progress:
    """With the hospitals that enrolled; raises UsageError where the study asks for more."""
    names = sorted(replies)
    privacy = progress.study.privacy
    if privacy is not None and len(names) < privacy.minimum_hospitals:
        raise UsageError(
            f"{len(names)} hospitals enrolled, the study asks for at least {privacy.minimum_hospitals}: "
            "wait for more, or lower minimum-hospitals"
        )
    roster = tuple(Member(name, replies[name].patients, replies[name].quarantined) for name in names)
    return replace(progress, roster=roster)


def counts(study: Study) -> bool:
    """Whether hospitals count their patients when they enrol: to divide by them, or to fill a gap."""
    return study.privacy is not None or study.fills


def counted(progress: Progress, total: Total, task: Task, excess: float = 1.0) -> Progress:
    """With the count of patients, noisy where the study is private, and the plan that fills rare strata.

    `excess` is by how much the noise in the sum exceeds what was planned, in standard deviations. Raises
    FederationError where as many numbers as hospitals count were not summed.
    """
    study = progress.study
    if total.vector.shape != (counts_of(task, study),):
        raise FederationError(f"the hospitals counted other strata than task {task.name}: {SAME_VERSION}")
    state = count_for(task, study).combine(progress.state, total)
    state = planned(task, study, state, len(progress.roster))
    plan, accountant = study.plan(), progress.accountant
    if plan is not None:
        accountant = accountant.spend(_scaled(plan.count_event(), excess))
    return replace(progress, state=state, accountant=accountant)


def learned(progress: Progress, total: Total, names: list[str], task: Task, excess: float = 1.0) -> Progress:
    """With the next model; raises FederationError where the sum does not fit it or leaves the numbers."""
    study = progress.study
    try:
        state = learner_for(task, study).combine(progress.state, total)
    except ValueError as error:
        raise FederationError(
            f"round {progress.round}: the contributions of {', '.join(names)} do not fit the model: "
            f"{SAME_VERSION}"
        ) from error
    if not all(all_finite(values) for values in (state.model, *state.slots.values())):
        raise FederationError(
            f"round {progress.round}: the model left the finite numbers: lower the learning rate"
        )
    plan, accountant = study.plan(), progress.accountant
    if plan is not None:
        accountant = accountant.spend(_scaled(plan.step_event(plan.steps // study.rounds), excess))
    return replace(progress, state=state, accountant=accountant)


def due(progress: Progress, task: Task) -> int | None:
    """How many values a hospital's contribution has now; None where only the task's own learner knows."""
    study, state = progress.study, progress.state
    if progress.phase in ("enrol", "count"):
        return counts_of(task, study)
    if progress.phase == "report":
        return 0
    if task.learner is not None:
        return None
    if study.privacy is not None and study.privacy.noise == "distributed":
        return state.model.size if study.trains == "everything" else int(places(task, study.trains).sum())
    payload = STRATEGIES[study.training.strategy].payload_like(state)
    return sum(values.size for values in payload.values()) + 1  # and the weight


def record(after: int, replies: Mapping[str, Reply], names: list[str]) -> Record:
    """What these hospitals disclosed of the model, and that they contributed."""
    metrics = {name: dict(replies[name].metrics) for name in names if replies[name].metrics}
    return Record(after, metrics, tuple(names))


def _scaled(event: Event, excess: float) -> Event:
    return event if excess == 1.0 else replace(event, noise_multiplier=event.noise_multiplier * excess)
