"""Reading a table of patients: checked cell by cell against a schema, without ever repeating a value.

An error names the file, the line and the column, and says what is expected there; the value itself stays
unsaid, because it is a patient's.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ground.errors import DataError
from tasks.contract import Column

Values = dict[str, npt.NDArray[np.float64]]
MISSING = {"?", ""}


def read_table(path: Path, schema: Sequence[Column]) -> Values:
    """Comma-separated values, one patient a line, as column name -> shape (patient,), NaN where missing.

    A first line that repeats the column names is a header; columns stand in the schema's order.
    Missing is written "?" or left empty. Raises DataError on the first cell that the schema does not admit.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            lines = [(reader.line_num, row) for row in reader if any(row)]
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file: check the folder given with --data") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as comma-separated text: export the table again") from error
    names = [column.name for column in schema]
    if lines and not _is_number(lines[0][1][0]) and lines[0][1][0].strip() not in MISSING:
        _check_header(path, [name.strip() for name in lines[0][1]], names)
        lines = lines[1:]
    if not lines:
        raise DataError(f"{path}: no patient in it: leave this hospital out, or add its rows")
    rows = [check_row(f"{path}, line {number}", row, schema) for number, row in lines]
    table = np.asarray(rows, dtype=np.float64)
    return {name: table[:, index] for index, name in enumerate(names)}


def table_of(rows: Sequence[Mapping[str, float | None]], schema: Sequence[Column]) -> Values:
    """The same arrays from rows in memory; None is missing."""
    return {
        column.name: np.asarray(
            [math.nan if row[column.name] is None else row[column.name] for row in rows], dtype=np.float64
        )
        for column in schema
    }


def write_table(path: Path, rows: Sequence[Mapping[str, float | None]], schema: Sequence[Column]) -> None:
    """A header and the rows, in the layout that `read_table` reads; missing is "?"."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([column.name for column in schema])
        for row in rows:
            cells = [row[column.name] for column in schema]
            writer.writerow(["?" if cell is None else f"{cell:g}" for cell in cells])


def _check_header(path: Path, header: list[str], names: list[str]) -> None:
    if header == names:
        return
    missing = [name for name in names if name not in header]
    if missing:
        raise DataError(
            f"{path}, line 1: no column called {missing[0]}: the header must be {','.join(names)}"
        )
    raise DataError(f"{path}, line 1: columns must stand in this order: {','.join(names)}")


def check_row(where: str, row: list[str], schema: Sequence[Column]) -> list[float]:
    """One patient's cells as numbers; raises DataError, which says `where`, on the first not admitted."""
    if len(row) != len(schema):
        raise DataError(f"{where}: {len(row)} columns where {len(schema)} are expected: see the task's guide")
    return [
        _cell(f"{where}, column {column.name}", text.strip(), column)
        for text, column in zip(row, schema, strict=True)
    ]


def _cell(where: str, text: str, column: Column) -> float:
    if text in MISSING:
        if column.required:
            raise DataError(f"{where}: missing, and every patient needs one: complete it or remove the row")
        return math.nan
    if not _is_number(text) or not math.isfinite(float(text)):
        raise DataError(f'{where}: not a finite number: correct it, or write "?" for a missing value')
    value = float(text)
    if column.categories and value not in column.categories:
        codes = ", ".join(f"{code:g}" for code in column.categories)
        raise DataError(f"{where}: unknown category: the codes are {codes}")
    if not column.low <= value <= column.high:
        unit = f" {column.unit}" if column.unit else ""
        raise DataError(
            f"{where}: outside {column.low:g} to {column.high:g}{unit}: check the value and its unit"
        )
    return value


def _is_number(text: str) -> bool:
    if "_" in text:  # Python reads 1_0 as 10, a hospital does not
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True
