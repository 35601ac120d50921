"""Gradient inversion of digital patients, by what a study's own learners give.

No real patient is reconstructed: each hospital is given one digital patient, alone in its step, which is the
most that an update can say about one person. The attacker is granted her label and what is published about
the population. Under privacy he is a coordinator that lies: it sends the same model in every round, and takes
the mean of all that comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from client.audit.rehearsal import (
    Floats,
    Hospitals,
    Terms,
    contribute,
    enrol,
    gradient_sum_in,
    noise_of,
)
from ground.errors import TaskError
from privacy.audit.inversion import Observed, Population, invert
from tasks.contract import Task
from tasks.learners.model import model_from
from tasks.patients import TablePatients

DRAWS = 8
EXAMPLES = 400


@dataclass(frozen=True)
class Inverted:
    """How well patients were reconstructed from one kind of observation.

    Attributes:
        error: root mean square error of an input, in units of the population's spread; median over victims.
        guesser: the same for the population's mean, which needs no update at all.
        victims: how many digital patients were attacked.
        truth: the first hospital's first victim, in units of the population's spread around its mean.
        guess: her reconstruction, likewise.

    """

    error: float
    guesser: float
    victims: int
    truth: Floats
    guess: Floats


@dataclass(frozen=True, eq=False)
class Victims:
    """Digital patients: one set a draw, one patient a hospital, and what is known of all.

    Attributes:
        hospitals: for each draw, one patient at each hospital.
        population: the other digital patients.

    """

    hospitals: tuple[Hospitals, ...]
    population: Population


def victims_of(task: Task, names: list[str], draws: int, seed: int) -> Victims:
    """Victims for each hospital, of the task's strata in turn; raises TaskError without a simulator."""
    if not task.strata:
        raise TaskError(f"task {task.name} has no simulator: no digital patient whose picture could be shown")
    drawn, others = {}, []
    generator = torch.Generator().manual_seed(seed)
    for place, name in enumerate(names):
        stratum = task.strata[place % len(task.strata)]
        patients = task.simulate(task.recipes(stratum, EXAMPLES, seed + place))
        if len(patients) < draws + 2:
            raise TaskError(f"task {task.name}: too few digital patients of stratum {stratum} are complete")
        inputs, targets = patients.batch(np.arange(len(patients)), generator)
        drawn[name] = [TablePatients(inputs[n : n + 1], targets[n : n + 1]) for n in range(draws)]
        others.append(inputs[draws:])
    sets = tuple({name: drawn[name][number] for name in names} for number in range(draws))
    return Victims(sets, Population.of(torch.cat(others)))


def reconstruct(
    terms: Terms, victims: Victims, rounds: int, step: Callable[[], None] = lambda: None
) -> dict[str, Inverted]:
    """Errors by what is seen: "each" hospital's own update, or the "sum" of all of them alone.

    `rounds` is how often the same model is sent and answered; `step` is called after each draw.
    """
    found: dict[str, list[tuple[Tensor, Tensor]]] = {"each": [], "sum": []}
    for hospitals in victims.hospitals:
        given, truths, targets = _observe(terms, hospitals, rounds)
        alone = [
            _invert(terms, victims.population, [each], targets[place : place + 1])
            for place, each in enumerate(given)
        ]
        found["each"] += list(zip(truths, torch.cat(alone), strict=True))
        both = _invert(terms, victims.population, given, targets)
        found["sum"] += _best_match(victims.population, truths, both)
        step()
    return {sees: _summary(victims.population, pairs) for sees, pairs in found.items()}


def _observe(terms: Terms, hospitals: Hospitals, rounds: int) -> tuple[list[Observed], Tensor, Tensor]:
    """For each hospital the mean of its answers to the starting model, and the victims themselves."""
    standing = enrol(terms, hospitals)
    parameters = len(standing.state.model)
    rate = 1.0 if terms.plan is None else terms.plan.sampling_rate
    sums = dict.fromkeys(hospitals, np.zeros(parameters))
    noise = dict.fromkeys(hospitals, 0.0)
    for number in range(1, rounds + 1):
        given, _ = contribute(terms, standing, hospitals, number)
        for name, each in given.items():
            sums[name] = sums[name] + gradient_sum_in(terms, each.vector, parameters) / (rounds * rate)
            noise[name] = noise_of(each) / (np.sqrt(rounds) * rate)
    clip = float("inf") if terms.plan is None else terms.plan.clip
    seen = [Observed(torch.from_numpy(sums[name]), noise[name], clip) for name in hospitals]
    batches = [each.batch(np.arange(1), torch.Generator()) for each in hospitals.values()]
    return seen, torch.cat([batch[0] for batch in batches]), torch.cat([batch[1] for batch in batches])


def _invert(terms: Terms, population: Population, seen: list[Observed], targets: Tensor) -> Tensor:
    """The reconstruction from the sum of what is seen, shape (patient, ...)."""
    vector = torch.stack([each.vector for each in seen]).sum(dim=0)
    noise = float(np.linalg.norm([each.noise for each in seen]))
    model = model_from(terms.task, terms.learner.begin().model)
    return invert(model, terms.task.loss, Observed(vector, noise, seen[0].clip), targets, population)


def _best_match(population: Population, truths: Tensor, guesses: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Each victim with the reconstruction that is hers if they are dealt out to fit best.

    A sum does not say whose patient is whose; the attacker is granted the best order.
    """
    costs = np.asarray([[population.distance(truth, guess) for guess in guesses] for truth in truths])
    rows, columns = linear_sum_assignment(costs)
    return [(truths[row], guesses[column]) for row, column in zip(rows, columns, strict=True)]


def _summary(population: Population, pairs: list[tuple[Tensor, Tensor]]) -> Inverted:
    truth, guess = (((each.double() - population.mean) / population.spread).numpy() for each in pairs[0])
    return Inverted(
        error=float(np.median([population.distance(*pair) for pair in pairs])),
        guesser=float(np.median([population.distance(pair[0], population.mean) for pair in pairs])),
        victims=len(pairs),
        truth=truth,
        guess=guess,
    )
