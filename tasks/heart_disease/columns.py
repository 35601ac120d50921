"""The fourteen columns of the UCI "processed" files, and the numbers that a model sees of them.

Scaling uses fixed clinical ranges, the same at every hospital, with no number taken from the data: a
patient's age means the same everywhere, and no statistic has to be paid for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tasks.contract import Column
from tasks.tables import Values

SCHEMA = (
    Column("age", "age", "years", 0, 120),
    Column("sex", "1 male, 0 female", categories=(0, 1)),
    Column(
        "cp",
        "chest pain: 1 typical angina, 2 atypical, 3 non-anginal, 4 none",
        categories=(1, 2, 3, 4),
        required=False,
    ),
    Column("trestbps", "blood pressure at rest, on admission", "mm Hg", 0, 300, required=False),
    Column("chol", "serum cholesterol; 0 where it was not measured", "mg/dL", 0, 1000, required=False),
    Column("fbs", "fasting blood sugar above 120 mg/dL", categories=(0, 1), required=False),
    Column(
        "restecg",
        "ECG at rest: 0 normal, 1 ST-T abnormality, 2 left ventricular hypertrophy",
        categories=(0, 1, 2),
        required=False,
    ),
    Column("thalach", "highest heart rate reached", "beats/min", 30, 250, required=False),
    Column("exang", "angina induced by exercise", categories=(0, 1), required=False),
    Column("oldpeak", "ST depression by exercise, relative to rest", "mm", -5, 10, required=False),
    Column("slope", "ST slope at peak exercise: 1 up, 2 flat, 3 down", categories=(1, 2, 3), required=False),
    Column("ca", "major vessels coloured by fluoroscopy", categories=(0, 1, 2, 3), required=False),
    Column(
        "thal",
        "thallium scan: 3 normal, 6 fixed defect, 7 reversible defect",
        categories=(3, 6, 7),
        required=False,
    ),
    Column("num", "angiographic disease: 0 none, 1 to 4 by vessels narrowed", categories=(0, 1, 2, 3, 4)),
)

Floats = npt.NDArray[np.float64]

# (centre, width) of an adult's usual range: (value − centre) / width is about −1 to 1.
CLINICAL_RANGES = {
    "age": (55.0, 20.0),
    "trestbps": (130.0, 40.0),
    "chol": (220.0, 100.0),
    "thalach": (140.0, 50.0),
    "oldpeak": (1.0, 2.0),
}
# FLamby (Ogier du Terrail et al., NeurIPS 2022) leaves these out: mostly missing outside Cleveland.
LEFT_OUT_BY_FLAMBY = ("slope", "ca", "thal")


# The names of what the two functions below give, in their order.
COMPLETE_INPUTS = (
    *("age", "sex", "trestbps", "chol", "fbs", "thalach", "exang", "oldpeak"),
    *(f"cp = {code}" for code in (2, 3, 4)),
    *(f"restecg = {code}" for code in (1, 2)),
)
FULL_INPUTS = (
    *("age", "sex", *list(CLINICAL_RANGES)[1:], "fbs", "exang"),
    *(f"cp = {code}" for code in (2, 3, 4)),
    *(f"restecg = {code}" for code in (1, 2)),
    *(f"slope = {code}" for code in (1, 2, 3)),
    *(f"thal = {code}" for code in (3, 6, 7)),
    "ca",
    *(f"{column.name} missing" for column in SCHEMA if not column.required),
)


def complete_features(values: Values) -> Tensor:
    """FLamby's thirteen features in clinical units, shape (patient, 13); every value must be present."""
    columns = [_scaled(values, name) for name in ("age", "sex", "trestbps", "chol", "fbs", "thalach")]
    columns += [_scaled(values, name) for name in ("exang", "oldpeak")]
    columns += [_is(values, "cp", code) for code in (2, 3, 4)]
    columns += [_is(values, "restecg", code) for code in (1, 2)]
    return _stack(columns)


def full_features(values: Values) -> Tensor:
    """All thirteen measurements, each with an indicator where it may be missing; shape (patient, 31).

    A missing value stands at the centre of its clinical range, or in no category, and its indicator is 1.
    """
    values = _measured(values)
    columns = [_scaled(values, name) for name in ("age", "sex", *list(CLINICAL_RANGES)[1:], "fbs", "exang")]
    for name, codes in (("cp", (2, 3, 4)), ("restecg", (1, 2)), ("slope", (1, 2, 3)), ("thal", (3, 6, 7))):
        columns += [_is(values, name, code) for code in codes]
    columns.append(np.nan_to_num(values["ca"] / 3.0))
    columns += [_missing(values, column.name) for column in SCHEMA if not column.required]
    return _stack(columns)


def _measured(values: Values) -> Values:
    """The values with NaN for a cholesterol or a blood pressure of 0: nobody lives with either."""
    return {
        name: np.where(column == 0, np.nan, column) if name in ("chol", "trestbps") else column
        for name, column in values.items()
    }


def _scaled(values: Values, name: str) -> Floats:
    centre, width = CLINICAL_RANGES.get(name, (0.0, 1.0))
    return np.asarray(np.nan_to_num((values[name] - centre) / width))


def _is(values: Values, name: str, code: int) -> Floats:
    return np.asarray(values[name] == code, dtype=np.float64)


def _missing(values: Values, name: str) -> Floats:
    return np.isnan(values[name]).astype(np.float64)


def _stack(columns: list[Floats]) -> Tensor:
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))
