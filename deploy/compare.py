"""`laennec compare`: each hospital on its own, federated, federated with DP, all pooled; side by side.

Every arm is the same study over other hospitals or with other privacy, run by the same code. Means over
seeds repeat the study with seeds s, s+1, …; without noise and from a fixed start they all give the same.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from client.evaluation import metrics_by_hospital
from client.hospital import Settings
from deploy.federation import Machine, Outcome, federate, pooled
from ground.errors import UsageError
from server.events import Event
from server.report.result import Metrics, mean, plain, worst
from tasks.registry import find
from tasks.study import StrategyName, Study

Who = Literal["alone", "together", "pooled"]
Watch = Callable[[Event], None]


@dataclass(frozen=True)
class Plan:
    """One arm before it is run.

    Attributes:
        key: its name in result.json.
        label: for a person.
        study: what is run.
        who: each hospital alone, all together, or all as one.

    """

    key: str
    label: str
    study: Study
    who: Who


@dataclass(frozen=True)
class Arm:
    """One way of learning, over all seeds.

    Attributes:
        plan: what was run.
        by_seed: for each seed, hospital -> metric -> value on that hospital's test patients.
        outcome: the first seed's; None where each hospital was alone.
        curve: for each evaluation of the first seed, (rounds done, mean metrics); empty where pooled.
        epsilon: what it cost a patient; None without privacy.

    """

    plan: Plan
    by_seed: tuple[Mapping[str, Metrics], ...]
    outcome: Outcome | None = None
    curve: tuple[tuple[int, Metrics], ...] = ()
    epsilon: float | None = None

    def by_hospital(self) -> dict[str, dict[str, float]]:
        """Each hospital's metrics, mean over seeds."""
        return {name: _over_seeds([seed[name] for seed in self.by_seed]) for name in self.by_seed[0]}

    def to_dict(self, headline: str) -> dict[str, Any]:
        """As result.json holds it."""
        means = [mean(seed) for seed in self.by_seed]
        spread = {name: _deviation([each[name] for each in means]) for name in means[0]}
        return {
            "label": self.plan.label,
            "mean": plain(_over_seeds(means)),
            "sd_over_seeds": plain(spread),
            "seeds": len(self.by_seed),
            "worst_hospital": worst(self.by_hospital(), headline),
            "hospitals": {name: plain(values) for name, values in self.by_hospital().items()},
            "epsilon": self.epsilon,
            "curve": [{"after": after, "metrics": plain(values)} for after, values in self.curve],
        }


def plans(
    study: Study, epsilons: Sequence[float] = (), strategies: Sequence[StrategyName] = ()
) -> list[Plan]:
    """The arms of a comparison: the design's four, one more for each other ε, two for each other strategy.

    Raises UsageError for a study without privacy, whose DP arm would be empty.
    """
    if study.privacy is None:
        raise UsageError(f"study {study.name} has no [privacy] table: compare needs one for its DP arm")
    free, epsilon = study.without_privacy(), study.privacy.epsilon
    arms = [
        Plan("own", "own hospital", free, "alone"),
        Plan("federated", "federated", free, "together"),
        Plan("federated_dp", f"federated + DP ε={epsilon:g}", study, "together"),
    ]
    for other in dict.fromkeys(epsilons):
        if other != epsilon:
            label = f"federated + DP ε={other:g}"
            arms.append(Plan(f"federated_dp_{other:g}", label, study.with_epsilon(other), "together"))
    for strategy in dict.fromkeys(strategies):
        if strategy != study.training.strategy:
            arms.append(Plan(f"federated_{strategy}", strategy, free.with_strategy(strategy), "together"))
            if strategy != "scaffold" or study.privacy.noise == "local":
                label, private = f"{strategy} + DP ε={epsilon:g}", study.with_strategy(strategy)
                arms.append(Plan(f"federated_dp_{strategy}", label, private, "together"))
    return [*arms, Plan("pooled", "pooled", free, "pooled")]


def run_arm(
    plan: Plan, hospitals: Sequence[Settings], machine: Machine, seeds: int, watch: Watch | None = None
) -> Arm:
    """Run one arm over so many seeds; raises LaennecError where it cannot be run."""
    if plan.who == "alone":
        return _alone(plan, [_together(plan, [each], machine, seeds, watch) for each in hospitals])
    if plan.who == "pooled":
        return _pooled(plan, hospitals, machine, seeds, watch)
    return _together(plan, hospitals, machine, seeds, watch)


def _together(
    plan: Plan, hospitals: Sequence[Settings], machine: Machine, seeds: int, watch: Watch | None
) -> Arm:
    """One federation for each seed."""
    studies = [plan.study.with_seed(plan.study.seed + number) for number in range(seeds)]
    outcomes = [federate(study, hospitals, machine, watch=watch) for study in studies]
    first, terms = outcomes[0].progress, plan.study.privacy
    return Arm(
        plan,
        tuple(outcome.progress.history[-1].metrics for outcome in outcomes),
        outcomes[0],
        tuple((record.after, mean(record.metrics)) for record in first.history),
        None if terms is None else first.accountant.epsilon(terms.delta),
    )


def _alone(plan: Plan, arms: Sequence[Arm]) -> Arm:
    """The hospitals' own federations of one, put side by side."""
    by_seed = tuple(
        {name: values for seed in seeds for name, values in seed.items()}
        for seeds in zip(*(arm.by_seed for arm in arms), strict=True)
    )
    curve = tuple(
        (points[0][0], mean({str(number): values for number, (_, values) in enumerate(points)}))
        for points in zip(*(arm.curve for arm in arms), strict=True)
    )
    return Arm(plan, by_seed, None, curve)


def _pooled(
    plan: Plan, hospitals: Sequence[Settings], machine: Machine, seeds: int, watch: Watch | None
) -> Arm:
    """One model from everybody's training patients, tested at each hospital."""
    task = find(plan.study.task, plan.study.task_version)
    everybody = [pooled(hospitals)]
    studies = [plan.study.with_seed(plan.study.seed + number) for number in range(seeds)]
    outcomes = [federate(study, everybody, machine, watch=watch) for study in studies]
    models = [outcome.progress.state.model for outcome in outcomes]
    by_seed = tuple(metrics_by_hospital(task, model, hospitals) for model in models)
    return Arm(plan, by_seed, outcomes[0])


def _deviation(values: Sequence[float]) -> float:
    """The sample standard deviation; NaN for a single value, or where one is undefined."""
    if len(values) < 2 or any(math.isnan(value) for value in values):
        return math.nan
    return statistics.stdev(values)


def _over_seeds(values: Sequence[Metrics]) -> dict[str, float]:
    """Each metric's mean over the seeds; NaN where it is undefined for one of them."""
    return {name: math.fsum(each[name] for each in values) / len(values) for name in values[0]}
