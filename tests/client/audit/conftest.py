"""Three hospitals' digital patients, and short studies over them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.patients import Patients
from tasks.registry import find
from tasks.study import Study, parse

NAMES = ("cleveland", "hungary", "long-beach")


def _terms(noise: str, extra: str = "", training: str = "") -> Study:
    head = 'name = "audited"\ntask = "heart-disease"\nrounds = 12\n'
    return parse(
        f"{head}[training]\nlearning-rate = 0.5\n{training}\n[privacy]\nepsilon = 1.0\ndelta = 1e-4\n"
        f'clip = 0.5\nnoise = "{noise}"\n{extra}\n'
    )


@pytest.fixture(scope="session")
def studies() -> dict[str, Study]:
    return {
        "distributed": _terms("distributed"),
        "local": _terms("local"),
        "sampled": _terms("distributed", "sampling-rate = 0.5"),
        "secure": _terms("distributed", "secure-aggregation = true"),
        "two local steps": _terms("local", training="local-steps = 2"),
        "scaffold": _terms("local", training='strategy = "scaffold"'),
    }


@pytest.fixture(scope="session")
def hospitals() -> dict[str, Patients]:
    task = find("heart-disease")
    made = {}
    for number, name in enumerate(NAMES):
        patients = task.simulate(task.recipes(name, 200, number))
        made[name] = patients.subset(np.arange(40))
    return made


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
