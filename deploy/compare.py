"""`laennec compare`: each hospital on its own, federated, federated with DP, all pooled; side by side.

Every arm is the same study over other hospitals or with other privacy, run by the same code. Means over
seeds repeat the study with seeds s, s+1, …; without noise and from a fixed start they all give the same.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from client.evaluation import metrics_by_hospital
from client.hospital import Settings
from deploy.arms import Plan, Who
from deploy.federation import Machine, Outcome, pooled
from deploy.kept import Kept
from ground.arrays import Array
from server.events import Event, Preparing
from server.report.result import Metrics, mean, plain, worst
from tasks.gap import check
from tasks.registry import find

Watch = Callable[[Event], None]
Watching = Callable[[Plan], Watch | None]
NOTHING = Kept()


@dataclass(frozen=True)
class Arm:
    """One way of learning, over all seeds.

    Attributes:
        plan: what was run.
        by_seed: for each seed, hospital -> metric -> value on that hospital's test patients.
        outcome: the first seed's; None where each hospital was alone, or none took part.
        curve: for each evaluation of the first seed, (rounds done, mean metrics); empty where none was made
            in rounds.
        epsilon: what it cost a patient; None without privacy, 0 where no patient was learned from.
        own: the first seed's outcome at each hospital, where each was alone.

    """

    plan: Plan
    by_seed: tuple[Mapping[str, Metrics], ...]
    outcome: Outcome | None = None
    curve: tuple[tuple[int, Metrics], ...] = ()
    epsilon: float | None = None
    own: Mapping[str, Outcome] = field(default_factory=dict)

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


def run_arms(
    arms: Sequence[Plan],
    hospitals: Sequence[Settings],
    machine: Machine,
    seeds: int,
    watching: Watching = lambda _: None,
    kept: Kept = NOTHING,
) -> list[Arm]:
    """Run all arms; two that are the same study over the same hospitals are run once, what is kept is not.

    `watching` is asked for the watcher of each that is run. Raises LaennecError where one cannot be run,
    before the first is, where that can be known.
    """
    for plan in arms:
        check(find(plan.study.task, plan.study.task_version, plan.study.options), plan.study)
    run: dict[tuple[str, Who], Arm] = {}
    for plan in arms:
        what = (plan.study.digest, plan.who)
        if what not in run:
            run[what] = run_arm(plan, hospitals, machine, seeds, watching(plan), kept)
    return [replace(run[plan.study.digest, plan.who], plan=plan) for plan in arms]


def run_arm(
    plan: Plan,
    hospitals: Sequence[Settings],
    machine: Machine,
    seeds: int,
    watch: Watch | None = None,
    kept: Kept = NOTHING,
) -> Arm:
    """Run one arm over so many seeds; raises LaennecError where it cannot be run."""
    if plan.who == "alone":
        return _alone(plan, [_together(plan, [each], machine, seeds, watch, kept) for each in hospitals])
    if plan.who == "pooled":
        return _pooled(plan, hospitals, machine, seeds, watch, kept)
    if plan.who == "nobody":
        return _digital(plan, hospitals, seeds, watch, kept)
    return _together(plan, hospitals, machine, seeds, watch, kept)


def _together(
    plan: Plan, hospitals: Sequence[Settings], machine: Machine, seeds: int, watch: Watch | None, kept: Kept
) -> Arm:
    """One federation for each seed."""
    studies = [plan.study.with_seed(plan.study.seed + number) for number in range(seeds)]
    outcomes = [kept.federated(study, hospitals, machine, watch) for study in studies]
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
    own = {name: arm.outcome for arm in arms for name in arm.by_seed[0] if arm.outcome is not None}
    return Arm(plan, by_seed, None, curve, own=own)


def _pooled(
    plan: Plan, hospitals: Sequence[Settings], machine: Machine, seeds: int, watch: Watch | None, kept: Kept
) -> Arm:
    """One model from everybody's training patients, tested at each hospital."""
    everybody = [pooled(hospitals)]
    studies = [plan.study.with_seed(plan.study.seed + number) for number in range(seeds)]
    outcomes = [kept.federated(study, everybody, machine, watch) for study in studies]
    models = [outcome.progress.state.model for outcome in outcomes]
    return Arm(plan, _at_each(plan, models, hospitals), outcomes[0])


def _digital(plan: Plan, hospitals: Sequence[Settings], seeds: int, watch: Watch | None, kept: Kept) -> Arm:
    """The digital start as it is, tested at each hospital: it never learned from a real patient."""
    synthetic = plan.study.synthetic
    if synthetic is None:
        raise ValueError("the digital arm of a comparison is of a study with digital patients")
    total = synthetic.patients + synthetic.start_steps
    models = []
    for number in range(seeds):

        def prepares(done: int, _: int, before: int = number * total) -> None:
            if watch is not None:
                watch(Preparing(before + done, seeds * total))

        models.append(kept.started(plan.study.with_seed(plan.study.seed + number), prepares))
        prepares(total, total)  # another arm may have made it already
    return Arm(plan, _at_each(plan, models, hospitals), epsilon=0.0)


def _at_each(
    plan: Plan, models: Sequence[Array], hospitals: Sequence[Settings]
) -> tuple[Mapping[str, Metrics], ...]:
    """Each seed's model on each hospital's test patients."""
    task = find(plan.study.task, plan.study.task_version, plan.study.options)
    return tuple(metrics_by_hospital(task, each, hospitals, labels=plan.study.labels) for each in models)


def epsilon_curve(arms: Sequence[Arm], headline: str) -> dict[str, Any] | None:
    """The headline against ε, one line a way of learning; None where no way was run at two or more ε."""
    ways: dict[str, list[Arm]] = {}
    for arm in arms:
        if arm.plan.who == "together":
            ways.setdefault(arm.plan.way, []).append(arm)
    lines = [line for way, each in ways.items() if (line := _line(way, each, headline)) is not None]
    if not lines:
        return None
    digital = next((_point(arm, headline) for arm in arms if arm.plan.who == "nobody"), None)
    return {"headline": headline, "ways": lines, "digital": digital}


def _line(way: str, arms: Sequence[Arm], headline: str) -> dict[str, Any] | None:
    points, free = [], None
    for arm in arms:
        if arm.plan.study.privacy is None:
            free = _point(arm, headline)
        else:
            points.append({"epsilon": arm.plan.study.privacy.epsilon, **_point(arm, headline)})
    points.sort(key=lambda point: float(str(point["epsilon"])))
    return {"label": way, "points": points, "without_privacy": free} if len(points) > 1 else None


def _point(arm: Arm, headline: str) -> dict[str, float | str | None]:
    values = arm.to_dict(headline)
    seeds = values["mean"][headline], values["sd_over_seeds"][headline]
    return {"arm": arm.plan.key, "label": arm.plan.label, "mean": seeds[0], "sd": seeds[1]}


def _deviation(values: Sequence[float]) -> float:
    """The sample standard deviation; NaN for a single value, or where one is undefined."""
    if len(values) < 2 or any(math.isnan(value) for value in values):
        return math.nan
    return statistics.stdev(values)


def _over_seeds(values: Sequence[Metrics]) -> dict[str, float]:
    """Each metric's mean over the seeds; NaN where it is undefined for one of them."""
    return {name: math.fsum(each[name] for each in values) / len(values) for name in values[0]}
