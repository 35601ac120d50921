"""Membership inference against a study's own model, with shadow models trained by the same learners.

Every model of the pool is trained by the whole study on a random half of each hospital's training patients.
Each of them in turn is attacked, with all others as its shadows (`privacy.audit.membership`). Losses of
single patients stay in here; what comes out are rates over patients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from client.audit.rehearsal import Floats, Hospitals, Terms, train
from ground.arrays import Array
from ground.errors import UsageError
from privacy.audit.membership import Membership, attack, confidence_scores, likelihood_ratios
from tasks.contract import Task
from tasks.learners.model import model_from
from tasks.patients import Patients

Bools = npt.NDArray[np.bool_]

SHADOWS = 64
FEWEST_SHADOWS = 8  # fewer leave a patient without two models that saw her and two that did not
CHUNK = 256


@dataclass(frozen=True)
class Inferred:
    """What was told about members, over all hospitals and at each.

    Attributes:
        everybody: over all training patients together.
        hospitals: over each hospital's own.

    """

    everybody: Membership
    hospitals: dict[str, Membership]


def infer(
    terms: Terms, hospitals: Hospitals, shadows: int = SHADOWS, step: Callable[[], None] = lambda: None
) -> Inferred:
    """Train the pool and attack each of its models; `step` is called after each.

    `hospitals` are the training patients by name. The halves depend on the seed of the terms alone, so that
    the study with its privacy and without is attacked over the same halves. Raises UsageError for a pool of
    fewer than `FEWEST_SHADOWS`, or where a hospital has fewer than two patients.
    """
    if shadows < FEWEST_SHADOWS:
        raise UsageError(f"{shadows} shadow models are too few to tell anybody apart: give {FEWEST_SHADOWS}")
    small = [name for name, patients in hospitals.items() if len(patients) < 2]
    if small:
        raise UsageError(f"{', '.join(small)}: one patient to learn from has no half: leave the hospital out")
    owner = np.repeat(list(hospitals), [len(patients) for patients in hospitals.values()])
    inside = np.stack([_half(hospitals, terms.seed, number) for number in range(shadows)])
    losses = np.empty(inside.shape)
    for number in range(shadows):
        present = {
            name: patients.subset(np.flatnonzero(inside[number, owner == name]))
            for name, patients in hospitals.items()
        }
        # Each model has noise of its own; what depends on the study's seed is the study's.
        model = train(replace(terms, seed=terms.seed * 1_000_003 + number), present)
        losses[number] = np.concatenate([losses_of(terms.task, model, each) for each in hospitals.values()])
        step()
    scores = confidence_scores(losses)
    ratios = np.stack([likelihood_ratios(scores, inside, target) for target in range(shadows)])
    each = {name: attack(ratios[:, owner == name], inside[:, owner == name]) for name in hospitals}
    return Inferred(attack(ratios, inside), each)


def losses_of(task: Task, model: Array, patients: Patients) -> Floats:
    """Each patient's loss under a flat model, shape (patient,). Sensitive: it stays here."""
    network = model_from(task, model).eval()
    generator = torch.Generator().manual_seed(0)
    losses = []
    with torch.no_grad():
        for start in range(0, len(patients), CHUNK):
            chosen = np.arange(start, min(start + CHUNK, len(patients)), dtype=np.int64)
            inputs, targets = patients.batch(chosen, generator)
            losses.append(task.loss(network(inputs), targets).double().numpy())
    return np.concatenate(losses)


def _half(hospitals: Hospitals, seed: int, number: int) -> Bools:
    """Who is in that model: half of each hospital's patients, rounded down; one hospital after another."""
    random = np.random.default_rng([seed, number])
    parts = [random.permutation(len(patients)) < len(patients) // 2 for patients in hospitals.values()]
    return np.concatenate(parts)
