"""Digital patients beside real ones in a hospital's steps.

Without privacy they are patients like others. In a private step they stand beside the clipped sum: what they
add is fixed before a real patient is looked at, so it costs no ε.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ground.arrays import Array, Arrays
from privacy.gradients import ClippedSum, PatientGradients
from privacy.plan import PrivacyPlan
from tasks.contract import Task
from tasks.learners.contract import Filling, Visit
from tasks.learners.model import learning_batch, torch_seed
from tasks.patients import Patients, PooledPatients

# The slot, and what is published under its name: digital patients of each stratum that each hospital makes.
DIGITAL = "digital"
# Digital patients in one private step: their gradients cost as much time as those of real ones.
MOST = 32


def share_of(slots: Arrays) -> float:
    """How many digital patients each hospital makes; 0 where nothing was planned."""
    return float(slots[DIGITAL].sum()) if DIGITAL in slots else 0.0


def mixed(visit: Visit) -> Patients:
    """The hospital's patients and its digital ones, as one set."""
    if visit.digital is None:
        return visit.patients
    return PooledPatients([visit.patients, visit.digital.patients])


def with_digital(
    total: ClippedSum,
    task: Task,
    gradients: PatientGradients,
    visit: Visit,
    plan: PrivacyPlan,
    number: int = 0,
) -> ClippedSum:
    """The sum over real patients, plus what the digital ones add in step `number` of this visit.

    Why its bound stays that of the clip: let f(D) be the clipped sum over real patients D, and c what is
    added. c is made of the published model, of recipes that anybody may see, and of draws from a seed that
    depends on the study, the hospital and the round alone, from generators of their own: it is the same for
    D and for D with a patient more or less. So (f(D) + c) − (f(D′) + c) = f(D) − f(D′). The noise, the
    projection into the box before it and the accountant are those of f.
    """
    if visit.digital is None:
        return total
    expected = plan.sampling_rate * len(visit.digital.patients)
    added = _mean(task, gradients, visit.digital, plan.clip, number) * expected
    if total.step:
        added = np.rint(added / total.step) * total.step
    return replace(total, vector=total.vector + added)


def _mean(task: Task, gradients: PatientGradients, digital: Filling, clip: float, number: int) -> Array:
    """The mean clipped gradient of at most `MOST` of the digital patients, shape (parameter,).

    Times q and their number it is what Poisson sampling of all of them would give on average: clipped like
    those of real patients, so that both pull alike and a secure sum's words have room for them.
    """
    draws, generator = np.random.default_rng([digital.seed, number]), torch.Generator()
    everyone = len(digital.patients)
    chosen = np.sort(draws.choice(everyone, size=min(MOST, everyone), replace=False)).astype(np.int64)
    generator.manual_seed(int(draws.integers(2**63)))
    with torch_seed(int(draws.integers(2**63))):
        batch = learning_batch(task, digital.patients, chosen, generator)
        mean: Array = gradients.clipped_sum(*batch, clip).vector / len(chosen)
    return mean
