"""One hospital's tables by patient, in the study's units; whoever has an impossible value is set aside.

A wrong table stops the reading with one line. A wrong cell sets its patient aside and the others go on: a
unit that cannot be converted, a value outside its range, a text that is no number or no known code, a patient
who stands twice in a table. No message repeats a value or a patient's name.
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
from tasks.channels.joint import Floats, Joint, Variable
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
    book = _Book(schema, tables, where)
    inputs = np.stack([book.standard(channel, variable) for channel, variable in joint.variables], axis=1)
    targets = book.column(schema.target, joint.target)
    held_out = None if schema.held_out is None else book.column(schema.held_out, HELD_OUT) == 1
    fine, measured = book.fine(), ~np.isnan(inputs).all(axis=1)
    kept = fine & measured
    aside = Counter(f"{each.table}, column {each.column}: {each.reason}" for each in book.wrong.values())
    if (fine & ~measured).any():
        aside["nothing that the study asks for was measured"] = int((fine & ~measured).sum())
    if not kept.any():
        raise DataError(f"{where}: no patient is left to learn from: see `laennec schema {where.parent}`")
    return ChannelPatients(
        torch.from_numpy(inputs[kept]).float(),
        torch.from_numpy(targets[kept]).float(),
        dict(aside),
        tuple(sorted(book.wrong.values(), key=lambda each: (each.table, each.line))),
        None if held_out is None else torch.from_numpy(held_out[kept]),
    )


class _Book:
    """All tables of a hospital by patient, and who is set aside while they are read."""

    def __init__(self, schema: Schema, tables: Mapping[str, Cells], where: Path) -> None:
        self._schema, self._tables, self._where = schema, tables, where
        self._lines = {name: _lines(name, cells, schema, where) for name, cells in tables.items()}
        self.wrong = {name: each for lines in self._lines.values() for name, each in lines.twice.items()}
        every = (patient for each in self._lines.values() for patient in each.place)
        self.patients = list(dict.fromkeys(every))

    def standard(self, channel: str, variable: Variable) -> Floats:
        """A variable of the study, as a model reads it; NaN where this hospital lacks it."""
        found = self._schema.channels.get(channel)
        if found is None or variable.name not in found.columns:
            return np.full(len(self.patients), math.nan)
        return variable.standard(self._read(found.table, variable, found.columns[variable.name]))

    def column(self, channel: Channel | None, name: str) -> Floats:
        """A column of 0 and 1 that no model reads; NaN where there is none. Raises DataError."""
        if channel is None or not name:
            return np.full(len(self.patients), math.nan)
        if name not in channel.columns:
            raise DataError(f"{self._where}: [{name}] wants one column of that name: add it, or leave it out")
        return self._read(channel.table, Variable(name, "bernoulli"), channel.columns[name])

    def fine(self) -> npt.NDArray[np.bool_]:
        """Who is not set aside, shape (patient,)."""
        return np.asarray([patient not in self.wrong for patient in self.patients])

    def _read(self, table: str, variable: Variable, column: Column) -> Floats:
        lines = self._lines[table]
        return _values(table, self._tables[table], lines, variable, column, self.patients, self.wrong)


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
) -> Floats:
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


def _tables(schema: Schema) -> list[str]:
    """Each table once."""
    channels = [*schema.channels.values(), *(each for each in (schema.target, schema.held_out) if each)]
    return list(dict.fromkeys(each.table for each in channels))
