"""Heart disease yes or no, by logistic regression, in two cohorts of the same four hospitals.

`heart-disease` follows FLamby's protocol exactly (740 patients, complete cases, ten measurements);
`heart-disease-full` keeps all 920 patients and all thirteen measurements, missing values as missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from ground.errors import DataError
from simulation.recipe import Recipe, write_recipes
from simulation.tables import heart_disease as digital
from tasks.contract import Task
from tasks.heart_disease.columns import (
    COMPLETE_INPUTS,
    FULL_INPUTS,
    LEFT_OUT_BY_FLAMBY,
    SCHEMA,
    complete_features,
    full_features,
)
from tasks.patients import Indices, Patients, TablePatients
from tasks.tables import Values, read_table, table_of, write_table

UCI_FILES = {
    "cleveland": "processed.cleveland.data",
    "hungary": "processed.hungarian.data",
    "switzerland": "processed.switzerland.data",
    "long-beach": "processed.va.data",
}
FEWEST_PATIENTS = 10


def hospitals(folder: Path) -> Mapping[str, Path]:
    """The four UCI files, or every *.csv as one hospital; raises DataError where there is neither."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder: give the one that holds a file for each hospital")
    uci = {name: folder / file for name, file in UCI_FILES.items()}
    absent = [path for path in uci.values() if not path.is_file()]
    if not absent:
        return uci
    if len(absent) < len(uci):
        raise DataError(
            f"{absent[0]}: missing: the UCI data has four hospitals; put the file back, "
            "or copy those that you want into another folder as HOSPITAL.csv"
        )
    tables = sorted(folder.glob("*.csv"))
    if not tables:
        raise DataError(
            f"{folder}: no hospital in it: expected {', '.join(UCI_FILES.values())}, or one HOSPITAL.csv each"
        )
    return {path.stem: path for path in tables}


def _patients(values: Values, *, complete: bool) -> TablePatients:
    """Features and labels; patients with a missing value are set aside where the cohort is complete."""
    set_aside: dict[str, int] = {}
    if complete:
        used = [column.name for column in SCHEMA if column.name not in LEFT_OUT_BY_FLAMBY]
        whole = ~np.isnan(np.stack([values[name] for name in used])).any(axis=0)
        if not whole.all():
            set_aside["a value is missing"] = int((~whole).sum())
        values = {name: column[whole] for name, column in values.items()}
    labels = torch.from_numpy((values["num"] > 0).astype(np.float32))
    features = complete_features(values) if complete else full_features(values)
    return TablePatients(features, labels, set_aside)


def _enough(patients: TablePatients, where: str) -> TablePatients:
    """The same patients; raises DataError where a hospital could not learn from them."""
    labels = patients.targets
    if len(labels) < FEWEST_PATIENTS:
        raise DataError(
            f"{where}: {len(labels)} patients left to learn from, {FEWEST_PATIENTS} needed: "
            "add patients, or leave this hospital out"
        )
    if len(labels.unique()) < 2:
        raise DataError(
            f"{where}: all patients have the same diagnosis: a hospital needs both, or must be left out"
        )
    return patients


def _reader(*, complete: bool) -> Callable[[Path], TablePatients]:
    return lambda path: _enough(_patients(read_table(path, SCHEMA), complete=complete), str(path))


def _simulator(*, complete: bool) -> Callable[[list[Recipe]], TablePatients]:
    def simulate(recipes: list[Recipe]) -> TablePatients:
        values = table_of([digital.simulate(recipe) for recipe in recipes], SCHEMA)
        return _patients(values, complete=complete)

    return simulate


def split(patients: Patients) -> tuple[Indices, Indices]:
    """FLamby's split: 66 % to learn from, seed 43, stratified where both classes have more than two."""
    _, targets = patients.batch(np.arange(len(patients)), torch.Generator())
    labels = targets.numpy()
    counts = [int((labels == label).sum()) for label in (0, 1)]
    # What scikit-learn makes of .66 and .34, except where their rounding would sum to more than all.
    size = math.ceil(0.34 * len(labels))
    train, test = train_test_split(
        np.arange(len(labels)),
        train_size=min(math.floor(0.66 * len(labels)), len(labels) - size),
        test_size=size,
        random_state=43,
        shuffle=True,
        stratify=labels if min(counts) > 2 else None,
    )
    return train.astype(np.int64), test.astype(np.int64)


def _model(features: int) -> Callable[[], nn.Module]:
    def logistic_regression() -> nn.Module:
        """Starts at zero, so that nothing of it depends on the seed."""
        layer = nn.Linear(features, 1)
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        return layer

    return logistic_regression


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each patient, shape (patient,); outputs are logits, shape (patient, 1)."""
    return nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], targets, reduction="none")


def metrics(outputs: Tensor, targets: Tensor) -> dict[str, float]:
    """Accuracy at a probability of one half, and the area under the ROC curve."""
    logits, labels = outputs[:, 0].numpy(), targets.numpy()
    both = len(np.unique(labels)) == 2
    return {
        "accuracy": float(((logits > 0) == (labels > 0.5)).mean()),
        "auc": float(roc_auc_score(labels, logits)) if both else float("nan"),
    }


def export(recipes: list[Recipe], hospital: str, folder: Path) -> Path:
    """HOSPITAL.csv in the layout that `read` takes, and HOSPITAL.recipes.jsonl, one recipe a line."""
    table = folder / f"{hospital}.csv"
    write_table(table, [digital.simulate(recipe) for recipe in recipes], SCHEMA)
    write_recipes(recipes, folder / f"{hospital}.recipes.jsonl")
    return table


def _task(name: str, summary: str, headline: str, *, complete: bool) -> Task:
    inputs = COMPLETE_INPUTS if complete else FULL_INPUTS
    return Task(
        name=name,
        version=1,
        summary=summary,
        schema=SCHEMA,
        strata=digital.STRATA,
        headline=headline,
        model=_model(len(inputs)),
        loss=loss,
        metrics=metrics,
        hospitals=hospitals,
        read=_reader(complete=complete),
        split=split,
        inputs=inputs,
        recipes=digital.recipes,
        simulate=_simulator(complete=complete),
        export=export,
        guide=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    )


COMPLETE = _task(
    "heart-disease",
    "heart disease yes or no; FLamby's cohort, complete cases",
    "accuracy",
    complete=True,
)
FULL = _task(
    "heart-disease-full",
    "heart disease yes or no; all patients, missing values kept as missing",
    "auc",
    complete=False,
)
