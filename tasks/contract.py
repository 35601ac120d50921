"""The Task: everything that is particular to what is learned, in one frozen value.

A learner, an engine or a hospital knows a task only through this contract. A new task is a folder with
`task.py` that defines one, found by name in `tasks.registry`; a hospital runs only tasks that it installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from torch import Tensor, nn

from ground.errors import TaskError
from simulation.recipe import Recipe
from tasks.patients import Indices, Patients

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from tasks.learners.contract import Learner
    from tasks.study import Study


@dataclass(frozen=True)
class Column:
    """One thing that is measured in a patient.

    Attributes:
        name: as in the files.
        meaning: for a person, with its source where it has one.
        unit: "mm Hg", "years", "" for a category.
        low: smallest admissible value.
        high: largest admissible value.
        categories: the admissible codes, where the value is one of a few.
        required: False where a patient may lack it.

    """

    name: str
    meaning: str
    unit: str = ""
    low: float = float("-inf")
    high: float = float("inf")
    categories: tuple[float, ...] = ()
    required: bool = True


@dataclass(frozen=True)
class Picture:
    """One picture of what a model does for one patient: sensitive, shown only where the hospital discloses.

    Attributes:
        title: who of those who were tested and how well, as in "worst of 3, Dice .71"; never a name.
        png: the file's bytes.

    """

    title: str
    png: bytes


def _as_they_are(inputs: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:  # noqa: ARG001
    return inputs, targets


def _no_simulator(*_: object) -> NoReturn:
    raise TaskError("this task has no simulator of digital patients: give --data")


@dataclass(frozen=True)
class Task:
    """What can be learned.

    Attributes:
        name: kebab-case, unique.
        version: raised whenever the same study would learn something else.
        summary: one line for `laennec tasks`.
        schema: what is measured in a patient.
        headline: the metric that sums a model up; higher is better.
        model: a new model, initialised from torch's current generator; only trainable floats are exchanged,
            so it has no floating-point buffer and no BatchNorm.
        loss: (outputs, targets) -> one loss a patient, shape (patient,).
        metrics: (outputs, targets) -> named numbers over those patients; NaN where one is undefined.
        per_patient: (model, patients) -> named numbers of each patient, shape (patient,); NaN where one is
            undefined. Where a patient has several items it replaces `metrics`: a hospital's metric is
            then the mean over its patients.
        augment: (inputs, targets, generator) -> the same patients as another day would have shown them;
            applied in training alone.
        gallery: (model, patients) -> pictures of the best, the median and the worst patient.
        stratify: patients -> the stratum of each, as an index into `strata`, shape (patient,).
        hospitals: the folder of a federation -> hospital name -> the path that `read` takes.
        read: one hospital's real data; raises DataError without naming a patient's value.
        read_labelled: the same, where images are labelled with these numbers, structure -> number.
        split: patients -> (training indices, test indices), fixed and public.
        inputs: a name for each number that the model reads of a patient, for pictures; none where the model
            reads images.
        strata: groups of digital patients that `recipes` can draw from; none without a simulator.
        recipes: (stratum, count, seed) -> as many recipes of independent digital patients.
        simulate: recipes -> the digital patients, ready to learn from.
        export: writes the digital patients of some recipes into a folder, in a layout that `read` accepts.
        guide: where data is found and how it is laid out: the text that `laennec tasks NAME` ends with.
        learner: how it learns, where that is not by gradients (`tasks.learners.learner_for`).
        specialised: (task, a study's [options] as JSON) -> the task that these options make of it, under the
            same name; raises StudyError. None where a study can choose nothing.
        overview: (model, patients of each hospital) -> pictures of all of them together.

    """

    name: str
    version: int
    summary: str
    schema: tuple[Column, ...]
    headline: str
    model: Callable[[], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor]
    metrics: Callable[[Tensor, Tensor], dict[str, float]]
    hospitals: Callable[[Path], Mapping[str, Path]]
    read: Callable[[Path], Patients]
    split: Callable[[Patients], tuple[Indices, Indices]]
    inputs: tuple[str, ...] = ()
    strata: tuple[str, ...] = ()
    recipes: Callable[[str, int, int], list[Recipe]] = _no_simulator
    simulate: Callable[[list[Recipe]], Patients] = _no_simulator
    export: Callable[[list[Recipe], str, Path], Path] = _no_simulator
    guide: str = ""
    learner: Callable[[Task, Study], Learner] | None = None
    per_patient: Callable[[nn.Module, Patients], dict[str, npt.NDArray[np.float64]]] | None = None
    augment: Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]] = _as_they_are
    gallery: Callable[[nn.Module, Patients], list[Picture]] | None = None
    read_labelled: Callable[[Path, Mapping[str, int]], Patients] | None = None
    stratify: Callable[[Patients], npt.NDArray[np.int64]] | None = None
    specialised: Callable[[Task, str], Task] | None = None
    overview: Callable[[nn.Module, Mapping[str, Patients]], list[Picture]] | None = None
