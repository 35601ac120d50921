"""A given model on hospitals' own patients: nothing is trained, and only metrics come out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from client.hospital import Settings, cohort
from ground.arrays import Array, flatten
from ground.errors import DataError
from tasks.contract import Task
from tasks.learners.model import evaluate
from tasks.patients import PooledPatients


def metrics_by_hospital(
    task: Task, model: Array, hospitals: Sequence[Settings], *, everybody: bool = False
) -> dict[str, dict[str, float]]:
    """The task's metrics over each hospital's test patients, or over all of its patients.

    `model` is flat, shape (parameter,). Metrics over all patients flatter a model that was trained on some.
    """
    metrics = {}
    for hospital in hospitals:
        patients = cohort(task.name, hospital.sources)
        chosen = PooledPatients([patients.training, patients.test]) if everybody else patients.test
        metrics[hospital.name] = evaluate(task, model, chosen)
    return metrics


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
