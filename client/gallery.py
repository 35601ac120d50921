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

TOGETHER = "all hospitals"


def galleries(
    task: Task, model: Array, hospitals: Sequence[Settings], labels: tuple[Label, ...] = ()
) -> dict[str, list[Picture]]:
    """Hospital -> pictures of its test patients, for those that disclose; empty where the task draws none.

    Under `TOGETHER` stand those that show all of these hospitals. `model` is flat, shape (parameter,).
    """
    if task.gallery is None and task.overview is None:
        return {}
    open_ones = [each for each in hospitals if each.discloses]
    patients = {each.name: cohort(task.name, each.sources, labels).test for each in open_ones}
    shown = {}
    with torch.no_grad():
        found = model_from(task, model).eval()
        if task.overview is not None and patients:
            shown[TOGETHER] = task.overview(found, patients)
        if task.gallery is not None:
            shown |= {name: task.gallery(found, some) for name, some in patients.items()}
    return shown
