"""Pictures of what a model does at a hospital: its best, its median and its worst test patient.

They show patients, so a hospital makes them only where it discloses, and they go into its own report and into
no message and no result.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from client.hospital import Settings, cohort
from ground.arrays import Array
from tasks.contract import Picture, Task
from tasks.learners.model import model_from
from tasks.study import Label


def galleries(
    task: Task, model: Array, hospitals: Sequence[Settings], labels: tuple[Label, ...] = ()
) -> dict[str, list[Picture]]:
    """Hospital -> pictures of its test patients, for those that disclose; empty where the task draws none.

    `model` is flat, shape (parameter,).
    """
    if task.gallery is None:
        return {}
    shown = {}
    for hospital in hospitals:
        if hospital.discloses:
            patients = cohort(task.name, hospital.sources, labels).test
            with torch.no_grad():
                shown[hospital.name] = task.gallery(model_from(task, model).eval(), patients)
    return shown
