"""The task `infarct`: of a patient and of each AHA segment, after Duchateau et al. 2018.

Duchateau, Sermesant, Delingette, Ayache, *Model-based generation of large databases of cardiac images:
synthesis of pathological cine MR sequences from real healthy cases*, IEEE Trans Med Imaging 37:755.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ground.errors import TaskError
from simulation.heart.anatomy.segments import SEGMENTS
from simulation.recipe import Recipe, write_recipes
from tasks.contract import Task
from tasks.infarct import cohort, reading
from tasks.infarct.digital import simulate
from tasks.infarct.inputs import NAMES, SCHEMA, InfarctPatients
from tasks.infarct.model import SegmentModel, loss, metrics
from tasks.infarct.pictures import gallery
from tasks.patients import Indices, Patients, PooledPatients

TESTED = 3  # one of so many, of those with an infarct and of those without


def split(patients: Patients) -> tuple[Indices, Indices]:
    """Every third with an infarct and every third without, from the first on, is tested: (training, test)."""
    infarct = _targets(patients)[:, 0] > 0
    test = np.zeros(len(infarct), dtype=bool)
    for which in (infarct, ~infarct):
        test[np.flatnonzero(which)[::TESTED]] = True
    everybody = np.arange(len(infarct), dtype=np.int64)
    return everybody[~test], everybody[test]


def stratify(patients: Patients) -> npt.NDArray[np.int64]:
    """(patient,) index into the strata; -1 for whom her records put in none of them."""
    if isinstance(patients, PooledPatients):
        return np.concatenate([stratify(each) for each in patients.groups])
    if not isinstance(patients, InfarctPatients):
        raise TaskError("infarct: these are patients of another task")
    return patients.strata


def export(recipes: list[Recipe], hospital: str, folder: Path) -> Path:
    """HOSPITAL.npz in a layout that `read` takes, and HOSPITAL.recipes.jsonl, one recipe a line."""
    file = folder / f"{hospital}.npz"
    reading.write(file, simulate(recipes))
    write_recipes(recipes, folder / f"{hospital}.recipes.jsonl")
    return file


def _targets(patients: Patients) -> npt.NDArray[np.float32]:
    everybody = np.arange(len(patients), dtype=np.int64)
    return patients.batch(everybody, torch.Generator().manual_seed(0))[1].numpy()


def _model() -> nn.Module:
    return SegmentModel()


INFARCT = Task(
    name="infarct",
    version=1,
    summary="infarct yes or no, and in which segments, from how the left ventricle moves",
    schema=SCHEMA,
    headline="auc",
    model=_model,
    loss=loss,
    metrics=metrics,
    hospitals=reading.hospitals,
    read=reading.read,
    read_labelled=reading.read_labelled,
    split=split,
    inputs=tuple(
        f"{each} {segment}"
        for segment in range(1, SEGMENTS + 1)
        for each in (*NAMES, *(f"{name} known" for name in NAMES))
    ),
    strata=cohort.STRATA,
    recipes=cohort.recipes,
    simulate=simulate,
    export=export,
    guide=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    gallery=gallery,
    stratify=stratify,
)
