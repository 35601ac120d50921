"""What filling a gap is worth on real patients: a stratum starved or missing, with and without recipes.

    python benchmarks/gap.py ../shared/data/sunnybrook-slices [--seeds 5]
        [--only counts | infarct | segmentation]

`counts`: what counting the strata costs the rounds, and how precise the counts are.
`infarct`: the real infarcts to learn from are taken from three of four hospitals, or from all.
`segmentation`: the hospital of a whole pathology group stays away. Each study is run as it is and with the
gap filled, everything else alike, and tested on real patients whom nobody has learned from, those who were
taken away among them. Intervals are of the difference: patients and seeds are drawn anew 2,000 times. Ten
minutes of one processor.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
import numpy.typing as npt
import torch

from client import filling
from client.hospital import Settings, cohort
from deploy.federation import Machine, federate, hospitals_in
from ground.arrays import Array, Arrays
from privacy.plan import PrivacyPlan
from tasks.contract import Task
from tasks.gap import strata_of_patients
from tasks.learners.model import model_from, rows_of
from tasks.patients import PooledPatients
from tasks.registry import find
from tasks.study import Study, parse

HERE = Path(__file__).parent
REPEATS = 2000  # of the bootstrap
Values = npt.NDArray[np.float64]
FAILING = ("infarct", "dilated")
# (seeds' scores (seed, patient), truth (patient,)) -> the number of each seed
Measure = Callable[[Values, Values], Values]
Test = tuple[Values, Measure]

INFARCT = """
name = "gap"
task = "infarct-starved"
rounds = 10

[training]
local-steps = 20
optimiser = "adam"
schedule = "cosine"
learning-rate = 0.005

[synthetic]
patients = 160
"""
COUNTED = "epsilon = 1.0  # for the counts\n"
# The rounds and rate of the private study were the best of four (10 or 30, .5 or 2) on digital patients.
PRIVATE = """
[privacy]
epsilon = 8.0
delta = 1e-3
clip = 1.0
learning-rate = 2.0
"""
SEGMENTATION = """
name = "gap"
task = "ventricle-segmentation"
rounds = 6

[training]
local-steps = 12
optimiser = "adam"
schedule = "cosine"
learning-rate = 0.003

[synthetic]
patients = 36
"""


@dataclass(frozen=True)
class Outcome:
    """One way of learning, over all seeds.

    Attributes:
        scores: (seed, patient) the model's score or metric of each patient who is tested.
        counts: of the strata over the federation, as they were counted with the first seed.
        digital: patients made of each stratum over the federation.

    """

    scores: Values
    counts: Values
    digital: Values


def learned(
    study: Study, hospitals: Sequence[Settings], seeds: int, score: Callable[[Array], Values]
) -> Outcome:
    """The study over these hospitals with seeds 1, 2, …; `score` gives a number a patient of a model."""
    scores: list[Values] = []
    slots: Arrays = {}
    for seed in range(1, seeds + 1):
        state = federate(study.with_seed(seed), hospitals, Machine()).progress.state
        scores.append(score(state.model))
        slots = slots or state.slots
        filling._made.clear()
    counts, share = (np.asarray(slots.get(name, ()), dtype=np.float64) for name in ("strata", "digital"))
    return Outcome(np.stack(scores), counts, share * len(hospitals))


def auc(scores: Values, truth: Values) -> Values:
    """The area under the ROC curve for each seed, (seed,): how often who has it scores above who has not."""
    sick, well = scores[:, truth > 0], scores[:, truth == 0]
    above = sick[:, :, None] - well[:, None, :]
    area: Values = ((above > 0) + 0.5 * (above == 0)).mean(axis=(1, 2))
    return area


def mean(scores: Values, truth: Values) -> Values:  # noqa: ARG001
    """The mean over patients for each seed, (seed,)."""
    means: Values = np.nanmean(scores, axis=1)
    return means


def interval(without: Values, filled: Values, truth: Values, measure: Measure) -> tuple[float, float, float]:
    """By how much filled exceeds without, and a 95 % interval; patients are drawn anew within their class."""
    random = np.random.default_rng(1)
    classes = [np.flatnonzero(truth == kind) for kind in np.unique(truth)]
    draws = []
    for _ in range(REPEATS):
        who = np.concatenate([random.choice(each, len(each)) for each in classes])
        seeds = random.integers(0, len(filled), len(filled))
        both = (measure(each[seeds][:, who], truth[who]).mean() for each in (without, filled))
        first, second = both
        draws.append(second - first)
    low, high = np.quantile(draws, [0.025, 0.975])
    gain = measure(filled, truth).mean() - measure(without, truth).mean()
    return float(gain), float(low), float(high)


def said(without: Values, filled: Values, truth: Values, measure: Measure) -> str:
    """The difference in words: helps or hurts where its interval leaves no zero in."""
    gain, low, high = interval(without, filled, truth, measure)
    verdict = "helps" if low > 0 else "hurts" if high < 0 else "cannot be told from nothing"
    return f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]: {verdict}"


def table(title: str, arms: Sequence[Outcome], tests: Mapping[str, Test], task: Task) -> None:
    """Print what was made, both arms on every test, and their difference.

    A test is the truth of those patients who are in it, NaN for the others, and a measure.
    """
    starved, filled = arms
    made = zip(task.strata, filled.counts, filled.digital, strict=False)  # the last count is of other strata
    print(f"\n{title}")
    print("    counted + digital:", ", ".join(f"{name} {real:.0f} + {new:.0f}" for name, real, new in made))
    for test, (truth, measure) in tests.items():
        who = np.flatnonzero(~np.isnan(truth))
        print(f"    {test} ({len(who)} patients)")
        for name, arm in (("as it is", starved), ("gap filled", filled)):
            values = measure(arm.scores[:, who], truth[who])
            print(f"        {name:<12}{values.mean():7.3f}  sd {values.std():.3f}")
        gain = said(starved.scores[:, who], filled.scores[:, who], truth[who], measure)
        print(f"        {'difference':<12}{gain}", flush=True)


def counts(data: Path, seeds: int) -> None:  # noqa: ARG001
    """What the epsilon of the counts buys, of a study's 8, and what is left for its rounds."""
    print("\ncounts: epsilon 8, delta 0.001, 20 rounds, four hospitals, five counts")
    print("    epsilon of the counts   sd of a count   sd of their sum   noise of a round, in clips")
    for epsilon in (None, 0.1, 0.3, 1.0, 3.0):
        plan = PrivacyPlan.design(
            epsilon=8.0,
            delta=1e-3,
            clip=1.0,
            sampling_rate=1.0,
            steps=20,
            noise="distributed",
            count_epsilon=epsilon,
        )
        one, many = plan.count_noise_multiplier, 1 if epsilon is None else 5
        name = "one count, 3 % of all" if epsilon is None else f"{epsilon:g}"
        print(f"    {name:<24}{one:13.2f}{one * many**0.5:18.2f}{plan.noise_multiplier:29.3f}", flush=True)


def infarct(data: Path, seeds: int) -> None:
    """Real infarcts taken from three of four hospitals, from all, and from three under privacy."""
    _infarct(
        data, seeds, "infarct-starved", INFARCT, "infarct: three of four hospitals have none to learn from"
    )
    _infarct(data, seeds, "infarct-missing", INFARCT, "infarct: no hospital has one to learn from")
    private = INFARCT.replace("rounds = 10", "rounds = 30") + COUNTED + PRIVATE
    _infarct(data, seeds, "infarct-starved", private, "infarct: three of four have none, epsilon 8 a patient")


def _infarct(data: Path, seeds: int, name: str, text: str, title: str) -> None:
    filled = parse(text).model_copy(update={"task": name})
    task, hospitals = find(name), hospitals_in(name, data, None, secret_noise=False)
    tested = PooledPatients([cohort(name, each.sources).test for each in hospitals])
    inputs, targets = tested.batch(np.arange(len(tested), dtype=np.int64), torch.Generator())

    def score(model: Array) -> Values:
        with torch.no_grad():
            return np.asarray(model_from(task, model).eval()(inputs)[:, 0].numpy(), dtype=np.float64)

    arms = [learned(study, hospitals, seeds, score) for study in (filled.without_digital_patients(), filled)]
    truth = targets[:, 0].numpy().astype(np.float64)
    failing = np.isin(strata_of_patients(task, tested), [task.strata.index(each) for each in FAILING])
    tests = {
        "AUC, infarct against all others": (truth, auc),
        "AUC, infarct against failing hearts without one": (np.where(failing, truth, np.nan), auc),
    }
    table(title, arms, tests, task)


def segmentation(data: Path, seeds: int, group: str = "SC-HYP") -> None:
    """The hospital of one pathology group stays away; its patients are tested on, and the others'."""
    filled = parse(SEGMENTATION)
    task, everybody = find(filled.task), hospitals_in(filled.task, data, None, secret_noise=False)
    hospitals = [each for each in everybody if each.name != group]
    away = next(cohort(task.name, each.sources) for each in everybody if each.name == group)
    others = [cohort(task.name, each.sources).test for each in hospitals]
    tested = PooledPatients([away.training, away.test, *others])
    missing = len(away.training) + len(away.test)

    def score(model: Array) -> Values:
        return rows_of(task, model, tested)[task.headline]

    place = np.arange(len(tested))
    tests: dict[str, Test] = {
        f"Dice of the left cavity, all of {group}": (np.where(place < missing, 0.0, np.nan), mean),
        "Dice of the left cavity, test patients of the others": (
            np.where(place < missing, np.nan, 0.0),
            mean,
        ),
    }
    arms = [learned(study, hospitals, seeds, score) for study in (filled.without_digital_patients(), filled)]
    table(f"ventricle-segmentation: the hospital {group} stays away", arms, tests, task)


PARTS = {"counts": counts, "infarct": infarct, "segmentation": segmentation}


def main() -> None:
    """Print all, or what is asked for."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("data", type=Path, help="folder sunnybrook-slices")
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--only", choices=tuple(PARTS))
    chosen = options.parse_args()
    torch.set_num_threads(1)
    sys.path.insert(0, str(HERE / "gap_tasks"))  # as if it were installed
    started = process_time()
    for name, run in PARTS.items():
        if chosen.only in (None, name):
            run(chosen.data, chosen.seeds)
    print(f"\n{process_time() - started:.0f} s of one processor")


if __name__ == "__main__":
    main()
