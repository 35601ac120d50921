"""A task for measuring engines: a model of a million parameters, and hardly any work.

It is installed as anybody's own task would be: an entry point in the group `laennec.tasks`, found through
the metadata folder beside this file once this folder is on PYTHONPATH.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tasks.contract import Column, Task
from tasks.patients import Indices, Patients, TablePatients

WIDTH = 1000  # one layer of WIDTH x WIDTH weights
PATIENTS = 4


def _read(source: Path) -> TablePatients:
    """A few patients of noise, whatever the path; its name seeds them."""
    generator = torch.Generator().manual_seed(int(source.name))
    inputs = torch.randn(PATIENTS, WIDTH, generator=generator)
    return TablePatients(inputs, torch.zeros(PATIENTS))


def _hospitals(folder: Path) -> Mapping[str, Path]:
    """As many hospitals as the folder's name says."""
    return {f"hospital-{number:03d}": folder / str(number) for number in range(int(folder.name))}


def _split(patients: Patients) -> tuple[Indices, Indices]:
    everyone = np.arange(len(patients), dtype=np.int64)
    return everyone[:2], everyone[2:]


def _loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.mean(dim=1) - targets) ** 2


def _metrics(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    return {"agreement": -float(_loss(outputs, targets).mean())}


TASK = Task(
    name="idle",
    version=1,
    summary="a million parameters and nothing to learn",
    schema=(Column("noise", "a number"),),
    headline="agreement",
    model=lambda: nn.Linear(WIDTH, WIDTH, bias=False),
    loss=_loss,
    metrics=_metrics,
    hospitals=_hospitals,
    read=_read,
    split=_split,
)
