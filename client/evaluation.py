"""A given model on hospitals' own patients: nothing is trained, and only metrics come out.

Metrics of single patients are sensitive: they are for whoever has the patients, and come without a name.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from client.hospital import Settings, cohort
from client.hospital import everybody as everyone
from ground.arrays import Array, flatten
from ground.errors import DataError, UsageError
from tasks.contract import Task
from tasks.learners.model import Rows, evaluate, rows_of, summed_up
from tasks.study import Label


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What a model does at one hospital.

    Attributes:
        metrics: the task's, over the patients.
        patients: each metric of each patient, shape (patient,); empty where the task knows none of a single
            one.

    """

    metrics: dict[str, float]
    patients: Rows


def evaluated(
    task: Task,
    model: Array,
    hospitals: Sequence[Settings],
    *,
    everybody: bool = False,
    labels: tuple[Label, ...] = (),
) -> dict[str, Evaluated]:
    """The task's metrics over each hospital's test patients, or over all of its patients.

    `model` is flat, shape (parameter,). Metrics over all patients flatter a model that was trained on some.
    """
    found = {}
    for hospital in hospitals:
        of = (task.name, hospital.sources, labels)
        chosen = everyone(*of) if everybody else cohort(*of).test
        if task.per_patient is None:
            found[hospital.name] = Evaluated(evaluate(task, model, chosen), {})
        else:
            rows = rows_of(task, model, chosen)
            found[hospital.name] = Evaluated(summed_up(task, rows), rows)
    return found


def metrics_by_hospital(
    task: Task,
    model: Array,
    hospitals: Sequence[Settings],
    *,
    everybody: bool = False,
    labels: tuple[Label, ...] = (),
) -> dict[str, dict[str, float]]:
    """The same without single patients: hospital -> metric -> value."""
    every = evaluated(task, model, hospitals, everybody=everybody, labels=labels)
    return {name: each.metrics for name, each in every.items()}


def patient_by_patient(found: Evaluated) -> list[dict[str, float | None]]:
    """One entry a patient, in the order of the hospital's data; None for what is undefined."""
    columns = {name: values.tolist() for name, values in found.patients.items()}
    count = len(next(iter(columns.values()), []))
    return [
        {name: None if math.isnan(values[row]) else values[row] for name, values in columns.items()}
        for row in range(count)
    ]


def parse_labels(text: str) -> tuple[Label, ...]:
    """Labels as `lv=3,rv=1`, or as a TOML file with such lines or a [labels] table; raises UsageError."""
    path = Path(text)
    try:
        if "=" in text:
            values = dict(part.split("=", maxsplit=1) for part in text.split(","))
            return tuple(sorted((name.strip(), int(number)) for name, number in values.items()))
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        found = table.get("labels", table)
        if not all(type(number) is int for number in found.values()):
            raise ValueError("a label that is no number")
        return tuple(sorted(found.items()))
    except OSError as error:
        raise UsageError(f"{path}: no labels can be read there: give a file, or as in lv=3,rv=1") from error
    except (ValueError, AttributeError) as error:
        raise UsageError(f"--labels {text}: give whole numbers by name, as in lv=3,rv=1") from error


def load_model(path: Path, task: Task) -> Array:
    """A `model.safetensors` of that task, flat; raises DataError where the file is not one."""
    names = dict(task.model().named_parameters())
    try:
        with safe_open(path, framework="numpy") as file:
            origin = json.loads((file.metadata() or {}).get("laennec", "{}"))
            trained_for = origin.get("task", task.name)
            if trained_for != task.name:
                raise DataError(f"{path}: a model for task {trained_for}: give --task {trained_for}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: no model can be read there: give a model.safetensors of `run`") from error
    wrong = [n for n, p in names.items() if n not in tensors or tensors[n].shape != tuple(p.shape)]
    if wrong or len(tensors) != len(names):
        raise DataError(f"{path}: its parameters are not those of task {task.name}: check --task")
    trained = [name for name, parameter in names.items() if parameter.requires_grad]
    return flatten({name: np.asarray(tensors[name], dtype=np.float32) for name in trained})
