"""One hospital's tables by patient, in the study's units; whoever has an impossible value is set aside.

A wrong table stops the reading with one line. A wrong cell sets its patient aside and the others go on: a unit
that cannot be converted, a value outside its range, a text that is no number or no known code, a patient who
stands twice in a table. No message repeats a value or a patient's name.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ground.errors import DataError
from tasks.channels.joint import Joint, Variable
from tasks.channels.patients import ChannelPatients, Quarantined
from tasks.channels.schema import FILE, Channel, Column, Schema, load
from tasks.channels.tables import Cells, read_cells
from tasks.channels.units import factor

ALLELES = (0.0, 1.0, 2.0)
HELD_OUT = "held-out"


class WrongCellError(Exception):
    """What is wrong with a cell: its words carry no value."""


def read_folder(folder: Path, joint: Joint) -> ChannelPatients:
    """The patients of a folder with a schema.toml; raises DataError where that or a table is wrong."""
    schema = load(folder)
    tables = {name: read_cells(folder / name) for name in _tables(schema)}
    return read_patients(schema, tables, joint, folder / FILE)


def read_patients(schema: Schema, tables: Mapping[str, Cells], joint: Joint, where: Path) -> ChannelPatients:
    """The same from tables in memory; `where` is named in errors."""
    check(schema, joint, where)
    lines = {name: _lines(name, cells, schema, where) for name, cells in tables.items()}
    patients = list(dict.fromkeys(patient for each in lines.values() for patient in each.place))
    wrong: dict[str, Quarantined] = {}
    for each in lines.values():
        wrong |= each.twice
    columns = []
    for channel, variable in joint.variables:
        column = _column(schema, channel, variable.name)
        if column is None:
            columns.append(np.full(len(patients), math.nan))
            continue
        table = schema.channels[channel].table
        values = _values(table, tables[table], lines[table], variable, column, patients, wrong)
        columns.append(variable.standard(values))
    targets = np.full(len(patients), math.nan)
    if schema.target is not None and joint.target:
        column, table = schema.target.columns[joint.target], schema.target.table
        outcome = Variable(joint.target, "bernoulli")
        targets = _values(table, tables[table], lines[table], outcome, column, patients, wrong)
    held_out: npt.NDArray[np.bool_] | None = None
    if schema.held_out is not None:
        outcome, column = Variable(HELD_OUT, "bernoulli"), _only(schema.held_out, where)
        table = schema.held_out.table
        held_out = _values(table, tables[table], lines[table], outcome, column, patients, wrong) == 1
    inputs = np.stack(columns, axis=1)
    kept = np.asarray([each not in wrong for each in patients]) & ~np.isnan(inputs).all(axis=1)
    aside = Counter(f"{each.table}, column {each.column}: {each.reason}" for each in wrong.values())
    empty = sum(
        1 for row, each in zip(inputs, patients, strict=True) if np.isnan(row).all() and each not in wrong
    )
    if empty:
        aside["nothing that the study asks for was measured"] = empty
    if not kept.any():
        raise DataError(f"{where}: no patient is left to learn from: see `laennec schema {where.parent}`")
    return ChannelPatients(
        torch.from_numpy(inputs[kept]).float(),
        torch.from_numpy(targets[kept]).float(),
        dict(aside),
        tuple(sorted(wrong.values(), key=lambda each: (each.table, each.line))),
        None if held_out is None else torch.from_numpy(held_out[kept]),
    )


def _only(channel: Channel, where: Path) -> Column:
    """The column of a table that has one; raises DataError."""
    if HELD_OUT not in channel.columns:
        raise DataError(f"{where}: [held-out] wants one column, called {HELD_OUT}: add it, or leave it out")
    return channel.columns[HELD_OUT]


def check(schema: Schema, joint: Joint, where: Path) -> None:
    """Raises DataError where the schema has nothing of the study, or another kind or unit of something."""
    known = {(channel, variable.name): variable for channel, variable in joint.variables}
    shared = [channel for channel in schema.channels if channel in joint.names]
    if not shared:
        raise DataError(f"{where}: no channel of the study in it: its channels are {', '.join(joint.names)}")
    for channel in shared:
        for name, column in schema.channels[channel].columns.items():
            variable = known.get((channel, name))
            if variable is None:
                continue  # measured here, and not asked for
            place = f"{where}: {channel}.{name}"
            if column.kind != variable.kind:
                raise DataError(
                    f"{place} is {column.kind} here and {variable.kind} in the study: correct kind"
                )
            if not column.unit_from and factor(column.unit, variable.unit) is None:
                raise DataError(
                    f"{place}: {column.unit or 'no unit'} cannot be converted into "
                    f"{variable.unit or 'a number without unit'}, as the study asks: correct unit"
                )
    if schema.target is not None and joint.target and joint.target not in schema.target.columns:
        raise DataError(
            f"{where}: [target] has no {joint.target}, which the study predicts: add it, or leave it out"
        )


@dataclass(frozen=True)
class _Lines:
    """Where each patient stands in one table, and who stands there twice."""

    place: Mapping[str, int]
    twice: Mapping[str, Quarantined]


def _lines(table: str, cells: Cells, schema: Schema, where: Path) -> _Lines:
    count = len(next(iter(cells.values())))
    if not schema.patient:
        return _Lines({str(number): number for number in range(count)}, {})
    if schema.patient not in cells:
        raise DataError(
            f"{where}: {table} has no column {schema.patient}, which names the patient: correct patient"
        )
    place: dict[str, int] = {}
    twice: dict[str, Quarantined] = {}
    for number, patient in enumerate(cells[schema.patient]):
        if not patient:
            patient = f"\0{table}{number}"  # nobody knows who this is
            twice[patient] = Quarantined(table, number + 2, schema.patient, "no patient is named: name her")
        elif patient in place:
            twice[patient] = Quarantined(table, number + 2, schema.patient, "stands twice: keep one line")
        place.setdefault(patient, number)
    return _Lines(place, twice)


def _values(
    table: str,
    cells: Cells,
    lines: _Lines,
    variable: Variable,
    column: Column,
    patients: list[str],
    wrong: dict[str, Quarantined],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The variable of each patient, NaN where missing or wrong; whoever has a wrong one is noted."""
    own = column.from_ or variable.name
    for needed in (own, column.unit_from):
        if needed and needed not in cells:
            raise DataError(f"{table}: no column {needed}: correct schema.toml, or leave it out there")
    values = np.full(len(patients), math.nan)
    for number, patient in enumerate(patients):
        line = lines.place.get(patient)
        if line is None or not (text := cells[own][line]):
            continue
        unit = cells[column.unit_from][line] if column.unit_from else column.unit
        try:
            values[number] = value_of(text, unit, variable, column)
        except WrongCellError as error:
            wrong.setdefault(patient, Quarantined(table, line + 2, own, str(error)))
    return values


def value_of(text: str, unit: str, variable: Variable, column: Column) -> float:
    """One cell in the study's unit; raises WrongCellError."""
    code = column.codes.get(text, text) if column.codes else text
    if column.codes and text not in column.codes:
        raise WrongCellError("not one of the codes of schema.toml: add it there, or correct the cell")
    if variable.kind == "categorical":
        if str(code) not in variable.levels:
            raise WrongCellError(f"none of the levels {', '.join(variable.levels)}: correct it")
        return float(variable.levels.index(str(code)))
    value = _number(code)
    if variable.kind in ("bernoulli", "genotype"):
        allowed = ALLELES if variable.kind == "genotype" else ALLELES[:2]
        if value not in allowed:
            raise WrongCellError(
                f"not {', '.join(f'{each:g}' for each in allowed)}: correct it, or give codes"
            )
        return value
    if not column.low <= value <= column.high:
        raise WrongCellError(
            f"outside {column.low:g} to {column.high:g}{_in(unit)}: check the value and its unit"
        )
    ways = factor(unit, variable.unit)
    if ways is None:
        raise WrongCellError(f"its unit cannot be converted into {variable.unit or 'none'}: correct the unit")
    value = ways[0] * value + ways[1]
    if not variable.low <= value <= variable.high:
        limits = f"{variable.low:g} to {variable.high:g}{_in(variable.unit)}"
        raise WrongCellError(f"outside {limits}, as the study admits: check the value and its unit")
    if variable.log and value <= 0:
        raise WrongCellError("not above zero, where its logarithm is taken: check the value")
    return value


def _number(code: str | int | float) -> float:
    text = str(code)
    try:
        value = math.nan if "_" in text else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise WrongCellError("not a finite number: correct it, or leave it empty")
    return value


def _in(unit: str) -> str:
    return f" {unit}" if unit else ""


def _column(schema: Schema, channel: str, name: str) -> Column | None:
    found: Channel | None = schema.channels.get(channel)
    return None if found is None else found.columns.get(name)


def _tables(schema: Schema) -> list[str]:
    """Each table once."""
    channels = [*schema.channels.values(), *(each for each in (schema.target, schema.held_out) if each)]
    return list(dict.fromkeys(each.table for each in channels))
