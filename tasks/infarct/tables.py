"""Measured strains as a table: HOSPITAL.csv, a patient a line, for hospitals that have no labelled images.

The header names what was measured: `infarct` (1 or 0) is required, `stratum` may stand there, and any of
MEASURE_SEGMENT (circumferential_1 … circumferential_17, radial_1, …, see `inputs.NAMES`) and
infarct_SEGMENT.
An empty cell is unknown.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import torch

from ground.errors import DataError
from simulation.heart.anatomy.segments import SEGMENTS
from tasks.infarct.cohort import STRATA
from tasks.infarct.inputs import NAMES, SCHEMA, UNKNOWN, InfarctPatients, examination

_RANGE = {column.name: (column.low, column.high) for column in SCHEMA}
_COLUMNS = {
    f"{name}_{segment + 1}": (name, segment) for name in (*NAMES, "infarct") for segment in range(SEGMENTS)
}


def is_column(name: str) -> bool:
    """Whether such a table has a column of that name."""
    return name in _COLUMNS or name in ("infarct", "stratum")


def read(path: Path) -> InfarctPatients:
    """One hospital's table; raises DataError that names line and column, never a value."""
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: write it as CSV in UTF-8") from error
    header = [each.strip() for each in rows[0]] if rows else []
    unknown = [n for n, each in enumerate(header) if each not in {*_COLUMNS, "infarct", "stratum"}]
    if "infarct" not in header or unknown or len(set(header)) < len(header):
        where = (
            f"column {unknown[0] + 1} of its header is not a measure" if unknown else "its header is wrong"
        )
        raise DataError(f"{path}: {where}: name each column once, infarct or MEASURE_SEGMENT, as in radial_1")
    views, targets, strata = [], [], []
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise DataError(f"{path}: line {line} has another number of columns than the header: mend it")
        table, truth, stratum = _patient(dict(zip(header, row, strict=True)), f"{path}: line {line}")
        views.append(table[None])
        targets.append(truth)
        strata.append(stratum)
    if not views:
        raise DataError(f"{path}: has no patient: add a line for each")
    return InfarctPatients(
        torch.from_numpy(np.stack(views)),
        torch.from_numpy(np.stack(targets)),
        np.array(strata, dtype=np.int64),
    )


def _patient(cells: dict[str, str], where: str) -> tuple[np.ndarray, np.ndarray, int]:
    measured = {name: np.full(SEGMENTS, np.nan) for name in NAMES}
    truth = np.full(1 + SEGMENTS, UNKNOWN, dtype=np.float32)
    truth[0] = _number(cells["infarct"], 0.0, 1.0, f"{where}, column infarct")
    if truth[0] == 0:
        truth[1:] = 0.0
    for column, cell in cells.items():
        if column not in _COLUMNS or not cell.strip():
            continue
        name, segment = _COLUMNS[column]
        low, high = _RANGE.get(name, (0.0, 1.0))
        value = _number(cell, low, high, f"{where}, column {column}")
        if name == "infarct":
            truth[1 + segment] = value
        else:
            measured[name][segment] = value
    if not np.isin(truth, (0.0, 1.0, UNKNOWN)).all():
        raise DataError(f"{where}: an infarct is 1 or 0: write one of them")
    said = cells.get("stratum", "").strip()
    stratum = said or ("infarct" if truth[0] else "")
    if stratum and stratum not in STRATA:
        raise DataError(f"{where}, column stratum: write one of {', '.join(STRATA)}, or nothing")
    return examination(measured), truth, STRATA.index(stratum) if stratum else int(UNKNOWN)


def _number(cell: str, low: float, high: float, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise DataError(f"{where}: give a number from {low:g} to {high:g}")
    return value
