"""This hospital's share of the digital patients that fill the gap, made once a process."""

from __future__ import annotations

import logging

import numpy as np

from ground.arrays import Arrays
from tasks.contract import Task
from tasks.gap import recipes_for, seed_of
from tasks.learners.contract import Filling
from tasks.learners.digital_start import simulated
from tasks.learners.mixing import DIGITAL
from tasks.patients import Patients
from tasks.study import Study

log = logging.getLogger("laennec.client")

_made: dict[tuple[object, ...], Patients] = {}


def filling(task: Task, study: Study, hospital: str, published: Arrays, number: int) -> Filling | None:
    """The digital patients whom that hospital mixes into round `number`; None where none are planned.

    All of it follows from what is public, so a hospital that was killed makes the same ones again.
    """
    share = published.get(DIGITAL)
    if not study.fills or share is None or not share.any():
        return None
    return Filling(
        _patients(task, study, hospital, tuple(map(float, share))),
        seed_of(study, hospital, f"round {number}"),
    )


def _patients(task: Task, study: Study, hospital: str, share: tuple[float, ...]) -> Patients:
    """Kept for one plan at a time, which all hospitals have alike: those of many arms would fill memory."""
    plan = (task.name, task.version, study.seed, share)
    if _made and next(iter(_made))[1:] != plan:
        _made.clear()
    key = (hospital, *plan)
    if key not in _made:
        recipes = recipes_for(task, study, hospital, np.asarray(share))
        _made[key] = simulated(task, recipes)
        log.info("made %d digital patients for study %s", len(recipes), study.digest[:12])
    return _made[key]
