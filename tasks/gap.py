"""The gap: strata that hospitals have few patients of, and the recipes that fill them.

At enrolment hospitals count the patients of each stratum, with noise where the study asks for privacy. The
sum over the federation is public from then on, and so is all that follows from it: a plan that says how many
digital patients of each stratum every hospital makes, and at each hospital the recipes that its name and the
study's seed give. Recipes travel, patients never do; here not even recipes have to.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ground.arrays import Array
from ground.errors import FederationError, StudyError, TaskError, UsageError
from privacy.randomness import seeded_key
from simulation.recipe import Recipe
from tasks.contract import Task
from tasks.learners.contract import State
from tasks.learners.digital_start import strata_of
from tasks.learners.mixing import DIGITAL
from tasks.learners.statistics import Statistics, count_of_patients
from tasks.patients import Indices, Patients, PooledPatients
from tasks.study import Study, Synthetic

STRATA = "strata"  # the slot with the count of each stratum, and last of those who are in none


def check(task: Task, study: Study) -> None:
    """Raises StudyError where the study fills a gap that the task cannot see, or has nothing to fill with."""
    if study.synthetic is None:
        return
    strata_of(task, study.synthetic)
    if not study.fills:
        return
    why = None
    if task.stratify is None:
        why = "cannot tell its patients' strata"
    elif task.learner is not None:
        why = "learns in a way of its own, which digital patients are not mixed into"
    if why is not None:
        raise StudyError(f"task {task.name} {why}: set fill = false under [synthetic]")


def count_for(task: Task, study: Study) -> Statistics:
    """What hospitals count at enrolment: their patients, or those of each stratum.

    A patient adds one to one number of the histogram, so its L2 sensitivity is that of the plain count, 1.
    Its sum over the strata is the count of patients, for nothing.
    """
    if not study.fills:
        return count_of_patients()
    return Statistics(
        STRATA,
        lambda patients: _one_hot(task, patients),
        bound=1.0,
        derived=lambda counts: {"patients": counts.sum(keepdims=True)},
    )


def counts_of(task: Task, study: Study) -> int:
    """How many numbers that count has."""
    return len(task.strata) + 1 if study.fills else 1


def strata_of_patients(task: Task, patients: Patients) -> Indices:
    """The stratum of each patient, as an index into the task's strata, -1 for none; shape (patient,).

    Sensitive. Raises TaskError where the task's `stratify` gives anything else.
    """
    if isinstance(patients, PooledPatients):
        groups = [strata_of_patients(task, group) for group in patients.groups]
        return np.concatenate([np.zeros(0, dtype=np.int64), *groups])
    if task.stratify is None:
        raise TaskError(f"task {task.name} cannot tell its patients' strata: give it a stratify")
    found = np.asarray(task.stratify(patients))
    whole = found.shape == (len(patients),) and found.dtype.kind in "iu"
    if not whole or ((found < -1) | (found >= len(task.strata))).any():
        raise TaskError(
            f"task {task.name}: stratify gives a patient no place among its {len(task.strata)} strata, "
            "nor -1 for none of them: correct the task"
        )
    return found.astype(np.int64)


def _one_hot(task: Task, patients: Patients) -> Tensor:
    """Shape (patient, stratum + 1); the last column is of those who are in no stratum."""
    places = torch.from_numpy(strata_of_patients(task, patients))
    return torch.nn.functional.one_hot(places % (len(task.strata) + 1), len(task.strata) + 1)


def planned(task: Task, study: Study, state: State, hospitals: int) -> State:
    """The state with the plan in its slot, once the strata are counted.

    Raises UsageError where there are fewer digital patients than hospitals to make them.
    """
    if study.synthetic is None or not study.fills:
        return state
    synthetic = study.synthetic
    if synthetic.patients < hospitals:
        raise UsageError(
            f"[synthetic] patients = {synthetic.patients} are fewer than the {hospitals} hospitals that make "
            "them, each as many: raise it"
        )
    counts = state.slots[STRATA][: len(task.strata)]
    share = plan_of(counts, synthetic.patients, hospitals, _to_fill(task, synthetic))
    return state.with_slots(**{DIGITAL: share})


def plan_of(counts: Array, patients: int, hospitals: int = 1, fill: Sequence[int] | None = None) -> Array:
    """How many digital patients of each stratum every hospital makes, shape (stratum,).

    Water is poured in: `hospitals` patients at a time, one at each hospital, go to whichever stratum has the
    fewest, real and digital together, the first of them where several do. So the rarest are raised until
    they are level with the next, and whatever is left once all are level is dealt to all. In all
    `patients` are made, but for a rest of fewer than there are hospitals.

    Args:
        counts: of real patients over the federation, shape (stratum,); noisy ones are
            rounded, and count as zero where they are below it.
        patients: digital ones over the federation.
        hospitals: how many make them.
        fill: places of the strata that may be filled; all where None.

    """
    share = np.zeros(len(counts))
    places = range(len(counts)) if fill is None else fill
    level = [(max(0, round(float(counts[place]))), place) for place in places]
    heapq.heapify(level)
    for _ in range(patients // hospitals if level else 0):
        has, place = level[0]
        share[place] += 1.0
        heapq.heapreplace(level, (has + hospitals, place))
    return share


def recipes_for(task: Task, study: Study, hospital: str, share: Array) -> list[Recipe]:
    """The recipes that this hospital follows for its share: no other hospital's, and the same at every time.

    Raises FederationError for a share that this study cannot have planned.
    """
    whole = share.shape == (len(task.strata),) and bool(np.all((share >= 0) & (share == np.floor(share))))
    if study.synthetic is None or not whole or share.sum() > study.synthetic.patients:
        raise FederationError(
            "the plan of digital patients is none of this study: coordinator and hospital need the same "
            "version of Laennec and of the task"
        )
    seed = seed_of(study, hospital)
    return [
        recipe
        for stratum, count in zip(task.strata, share, strict=True)
        if count
        for recipe in task.recipes(stratum, int(count), seed)
    ]


def seed_of(study: Study, hospital: str, purpose: str = "recipes") -> int:
    """53 bits of the study's seed, the hospital's name and what they are for. Public."""
    return int.from_bytes(seeded_key(study.seed, "gap", hospital, purpose)[:8], "big") >> 11


def _to_fill(task: Task, synthetic: Synthetic) -> list[int]:
    return sorted(task.strata.index(name) for name in strata_of(task, synthetic))
