"""What a sum of contributions does to the coordinator's state: the same whoever added it up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ground.arrays import all_finite
from ground.errors import FederationError, UsageError
from privacy.accountant import Event
from server.progress import Member, Progress, Record
from tasks.contract import Task
from tasks.learners import learner_for
from tasks.learners.contract import Total
from tasks.learners.statistics import count_of_patients
from tasks.messages import SAME_VERSION, Reply


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


def counted(progress: Progress, total: Total, excess: float = 1.0) -> Progress:
    """With the noisy count of patients, which a private study divides by.

    `excess` is by how much the noise in the sum exceeds what was planned, in standard deviations.
    """
    plan = progress.study.plan()
    if plan is None:
        raise ValueError("only a private study counts its patients")
    state = count_of_patients().combine(progress.state, total)
    return replace(
        progress, state=state, accountant=progress.accountant.spend(_scaled(plan.count_event(), excess))
    )


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


def record(after: int, replies: Mapping[str, Reply], names: list[str]) -> Record:
    """What these hospitals disclosed of the model, and that they contributed."""
    metrics = {name: dict(replies[name].metrics) for name in names if replies[name].metrics}
    return Record(after, metrics, tuple(names))


def _scaled(event: Event, excess: float) -> Event:
    return event if excess == 1.0 else replace(event, noise_multiplier=event.noise_multiplier * excess)
