"""The digital start: a model trained on digital patients before any hospital is asked.

Its patients come from recipes that the study's seed gives, so it is public, costs no ε, and comes out the
same for whoever computes it on one architecture.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ground.arrays import Array
from ground.errors import StudyError
from simulation.recipe import Recipe
from tasks.contract import Task
from tasks.learners.model import (
    initial_vector,
    learning_batch,
    mean_gradient,
    model_from,
    torch_seed,
    vector_of,
)
from tasks.learners.optimisers import optimiser_for
from tasks.patients import Patients, PooledPatients
from tasks.study import Study, Synthetic

PORTION = 20  # recipes simulated between two signs of life
Watch = Callable[[int, int], None]

_made: dict[tuple[object, ...], Array] = {}


def nobody_watches(done: int, total: int) -> None:
    """Of a start that takes no time to speak of."""


def digital_start(task: Task, study: Study, watch: Watch = nobody_watches) -> Array:
    """The model before the first round, flat, shape (parameter,): the seed's, or one that learned already.

    `watch` hears how many patients and steps of how many are done. Raises StudyError for a stratum that the
    task does not know.
    """
    synthetic = study.synthetic
    if synthetic is None or synthetic.start_steps == 0:
        return initial_vector(task, study.seed)
    key = key_of(task, study)
    if key not in _made:  # the arms of a comparison begin alike
        _made[key] = _learn(task, study, synthetic, watch)
    return _made[key].copy()


def key_of(task: Task, study: Study) -> tuple[object, ...]:
    """All that a digital start follows from: two studies with one key begin alike."""
    training, synthetic = study.training, study.synthetic or Synthetic()
    drawn = (synthetic.strata, synthetic.patients, synthetic.start_steps, synthetic.start_batch)
    return (task.name, task.version, study.seed, *drawn, training.optimiser, training.learning_rate)


def made(task: Task, study: Study) -> Array | None:
    """The study's digital start where this process has made it or was told of it, shape (parameter,)."""
    return _made.get(key_of(task, study))


def remember(task: Task, study: Study, start: Array) -> None:
    """Take that digital start as the study's instead of making it."""
    _made[key_of(task, study)] = start


def recipes_of(task: Task, synthetic: Synthetic, seed: int) -> list[Recipe]:
    """The digital patients of a study, its strata in turn and as many of each as can be."""
    strata = strata_of(task, synthetic)
    share, rest = divmod(synthetic.patients, len(strata))
    counts = [share + (place < rest) for place in range(len(strata))]
    named = zip(strata, counts, strict=True)
    return [recipe for stratum, count in named if count for recipe in task.recipes(stratum, count, seed)]


def strata_of(task: Task, synthetic: Synthetic) -> tuple[str, ...]:
    """The strata that the study draws from; raises StudyError where the task has none, or not those."""
    if not task.strata:
        raise StudyError(f"task {task.name} has no simulator of digital patients: remove [synthetic]")
    unknown = [name for name in synthetic.strata if name not in task.strata]
    if unknown:
        raise StudyError(
            f"[synthetic] strata: task {task.name} knows no {unknown[0]}; it has {', '.join(task.strata)}"
        )
    return synthetic.strata or task.strata


def _learn(task: Task, study: Study, synthetic: Synthetic, watch: Watch) -> Array:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in one order, as at the hospitals
    try:
        recipes = recipes_of(task, synthetic, study.seed)
        total = len(recipes) + synthetic.start_steps
        patients = simulated(task, recipes, lambda done: watch(done, total))
        return _descend(task, study, synthetic, patients, lambda done: watch(len(recipes) + done, total))
    finally:
        torch.set_num_threads(before)


def simulated(task: Task, recipes: list[Recipe], told: Callable[[int], None] = lambda _: None) -> Patients:
    """The digital patients of these recipes, a portion at a time; `told` hears how many there are."""
    parts = []
    for start in range(0, len(recipes), PORTION):
        told(start)
        parts.append(task.simulate(recipes[start : start + PORTION]))
    return PooledPatients(parts)


def _descend(
    task: Task, study: Study, synthetic: Synthetic, patients: Patients, told: Callable[[int], None]
) -> Array:
    """So many steps of the study's optimiser, its rate falling as a cosine."""
    training, count, steps = study.training, len(patients), synthetic.start_steps
    size = min(synthetic.start_batch, count)
    draws = np.random.default_rng([study.seed, count])
    generator = torch.Generator().manual_seed(study.seed)
    with torch_seed(study.seed):
        model = model_from(task, initial_vector(task, study.seed)).train()
        optimiser = optimiser_for(training.optimiser, model, {})
        for number in range(steps):
            told(number)
            chosen = draws.choice(count, size=size, replace=False).astype(np.int64)
            batch = learning_batch(task, patients, chosen, generator)
            gradient = mean_gradient(task, model, *batch).numpy()
            rate = training.learning_rate * 0.5 * (1.0 + np.cos(np.pi * number / steps))
            optimiser.step(gradient, float(rate))
    told(steps)
    return vector_of(model)
