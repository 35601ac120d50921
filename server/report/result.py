"""`result.json`: what a study gave, in the shape that the design promises; undefined numbers are null."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from server.progress import Progress
from tasks.contract import Task
from tasks.gap import STRATA
from tasks.learners.mixing import DIGITAL

Metrics = Mapping[str, float]


def result(
    progress: Progress,
    task: Task,
    card: dict[str, Any],
    *,
    engine: str,
    seconds: dict[str, float],
    left_out: Sequence[tuple[int, str, str]],
) -> dict[str, Any]:
    """The result of a finished study, worst hospital and all, ready for JSON.

    `left_out` holds (round, hospital, reason) for each contribution that was missing.
    """
    study = progress.study
    final = progress.history[-1].metrics
    filled = gap(progress, task)
    return {
        "study": study.name,
        "digest": study.digest,
        "task": study.task,
        "task_version": task.version,
        "headline": task.headline,
        "strategy": study.training.strategy,
        "engine": engine,
        "seed": study.seed,
        "rounds": study.rounds,
        "hospitals": [
            {
                "name": member.name,
                "patients": member.patients,
                "quarantined": member.quarantined,
                "metrics": plain(final.get(member.name, {})),
            }
            for member in progress.roster
        ],
        "metrics": {**plain(mean(final)), "worst_hospital": worst(final, task.headline)},
        "privacy": {key: card[key] for key in ("unit", "epsilon", "delta", "noise", "secure_aggregation")},
        "seconds": seconds,
        "history": history(progress),
        "left_out": [{"round": number, "hospital": name, "reason": why} for number, name, why in left_out],
        **({"gap": filled} if filled else {}),
    }


def gap(progress: Progress, task: Task) -> list[dict[str, Any]]:
    """Each stratum's patients as they were counted, and how many digital ones every hospital made of it.

    Empty where the study fills no gap. Counts are what the coordinator knows: noisy in a private study.
    """
    slots = progress.state.slots
    if STRATA not in slots or DIGITAL not in slots:
        return []
    return [
        {"stratum": name, "counted": float(count), "digital_at_each_hospital": int(made)}
        for name, count, made in zip(task.strata, slots[STRATA], slots[DIGITAL], strict=False)
    ]


def history(progress: Progress) -> list[dict[str, Any]]:
    """One entry for each evaluation: after how many rounds, the mean metrics, who contributed next."""
    return [
        {
            "after": record.after,
            "metrics": plain(mean(record.metrics)),
            "hospitals": {name: plain(values) for name, values in record.metrics.items()},
            "contributors": list(record.contributors),
            "summed": dict(record.summed),
            "abandoned": record.abandoned,
        }
        for record in progress.history
    ]


def mean(by_hospital: Mapping[str, Metrics]) -> dict[str, float]:
    """Each metric's plain mean over the hospitals where it is defined; NaN where it is defined nowhere."""
    names = sorted({name for values in by_hospital.values() for name in values})
    means: dict[str, float] = {}
    for name in names:
        known = [v[name] for v in by_hospital.values() if not math.isnan(v.get(name, math.nan))]
        means[name] = math.fsum(known) / len(known) if known else math.nan
    return means


def worst(by_hospital: Mapping[str, Metrics], headline: str) -> dict[str, Any] | None:
    """The hospital that the model serves worst by the headline metric; None where nobody discloses it."""
    known = {
        name: values[headline]
        for name, values in by_hospital.items()
        if not math.isnan(values.get(headline, math.nan))
    }
    if not known:
        return None
    name = min(known, key=lambda hospital: (known[hospital], hospital))
    return {"name": name, headline: known[name]}


def plain(metrics: Metrics) -> dict[str, float | None]:
    """The same with null for what is undefined, as JSON has no NaN."""
    return {name: None if math.isnan(value) else value for name, value in metrics.items()}
