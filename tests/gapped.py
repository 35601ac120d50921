"""A task with strata on a plane, four hospitals of which one alone knows the north, studies that fill it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import masked
import numpy as np
import pytest
import torch
from torch import nn

from client import filling
from client.hospital import Settings, _cohort
from simulation.recipe import Recipe
from tasks import registry
from tasks.contract import Task
from tasks.heart_disease.task import COMPLETE
from tasks.patients import Indices, Patients, TablePatients
from tasks.study import Privacy, Study, Synthetic, Training

CENTRES = {"west": (-1.5, 0.0), "east": (1.5, 0.0), "north": (0.0, 2.0)}
STRATA = tuple(CENTRES)
COUNTS = {
    "auray": (12, 12, 0),
    "brest": (12, 12, 6),
    "carnac": (12, 12, 0),
    "dinan": (12, 12, 0),
}
PATIENTS = 40
ROUNDS = 2


def simulate(recipes: list[Recipe]) -> TablePatients:
    """Points around their stratum's centre; those in the north are sick."""
    draws = [np.random.default_rng(recipe.entropy()).normal(0.0, 0.2, 2) for recipe in recipes]
    centres = [CENTRES[recipe.stratum] for recipe in recipes]
    points = np.asarray(centres, dtype=np.float32).reshape(-1, 2) + np.asarray(draws).reshape(-1, 2)
    sick = [float(recipe.stratum == "north") for recipe in recipes]
    return TablePatients(torch.from_numpy(points.astype(np.float32)), torch.tensor(sick))


def recipes(stratum: str, count: int, seed: int) -> list[Recipe]:
    words = np.random.SeedSequence(seed).generate_state(count, np.uint64)
    return [Recipe("plane", 1, stratum, int(word) >> 11) for word in words]


def stratify(patients: Patients) -> Indices:
    """The nearest centre; whoever is far from all is in none."""
    points = everybody(patients)[0].numpy()
    away = np.linalg.norm(points[:, None, :] - np.asarray(list(CENTRES.values())), axis=2)
    return np.where(away.min(axis=1) < 10.0, away.argmin(axis=1), -1)


def everybody(patients: Patients) -> tuple[torch.Tensor, torch.Tensor]:
    return patients.batch(np.arange(len(patients)), torch.Generator())


def read(path: Path) -> TablePatients:
    table = np.loadtxt(path, delimiter=",", dtype=np.float32, ndmin=2)
    return TablePatients(torch.from_numpy(table[:, :2]), torch.from_numpy(table[:, 2]))


def split(patients: Patients) -> tuple[Indices, Indices]:
    places = np.arange(len(patients), dtype=np.int64)
    return places[places % 3 > 0], places[places % 3 == 0]


def line() -> nn.Module:
    return nn.Linear(2, 1)


TASK: Task = replace(
    COMPLETE,
    name="plane",
    model=line,
    strata=STRATA,
    recipes=recipes,
    simulate=simulate,
    stratify=stratify,
    read=read,
    split=split,
    hospitals=lambda folder: {path.stem: path for path in sorted(folder.glob("*.csv"))},
)


@contextmanager
def installed(task: Task = TASK) -> Iterator[None]:
    """Inside, the task is found by its name; nothing is left of its patients afterwards."""
    tasks = {**registry.installed(), task.name: task}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_load", lambda: (tasks, {}))
        yield
    _cohort.cache_clear()
    filling._made.clear()


def write(folder: Path) -> Path:
    """A folder with a table for each hospital; its test patients are of its own strata."""
    folder.mkdir(parents=True)
    for seed, (name, counts) in enumerate(COUNTS.items()):
        made = [
            r for stratum, n in zip(STRATA, counts, strict=True) for r in recipes(stratum, n, 1000 + seed)
        ]
        points, sick = everybody(simulate(made))
        np.savetxt(folder / f"{name}.csv", np.column_stack([points.numpy(), sick.numpy()]), delimiter=",")
    return folder


def hospitals(folder: Path, home: Path | None = None) -> tuple[Settings, ...]:
    """These in that folder; they disclose nothing, and trust the sum where a study has one in the clear."""
    found = masked.introduced(masked.hospitals_in(TASK.name, folder, home, secret_noise=False))
    return tuple(replace(each, discloses=False, trusts_sum=True, sums_metrics=True) for each in found)


@cache
def study(kind: str = "free", **synthetic: object) -> Study:
    """A study that fills: free, distributed, local, or masked; private ones share their noise."""
    privacy = None
    if kind != "free":
        privacy = Privacy(
            epsilon=8.0,
            delta=1e-3,
            noise="local" if kind == "local" else "distributed",
            secure_aggregation=kind == "masked",
        )
    return Study(
        name="gap",
        task=TASK.name,
        rounds=ROUNDS,
        training=Training(learning_rate=0.5),
        privacy=privacy,
        synthetic=Synthetic(**{"patients": PATIENTS, "epsilon": 2.0, **synthetic}),
    )
