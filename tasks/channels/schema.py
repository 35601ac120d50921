"""What a hospital writes about its own tables: `schema.toml`.

    patient = "id"                                     # names the patient in every table

    [channels.csf]
    table = "laboratory.csv"                           # or .parquet
    columns.tau = { from = "TAU", unit = "pg/mL", low = 1, high = 5000 }

    [channels.genotype]
    table = "genes.parquet"
    columns.e4 = { from = "APOE", kind = "genotype", codes = { E3E3 = 0, E3E4 = 1, E4E4 = 2 } }

A channel that a hospital did not measure is simply not in its file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ground.errors import DataError
from ground.strict import Table, read

FILE = "schema.toml"
Kind = Literal["gaussian", "bernoulli", "categorical", "genotype"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+([_-]+[A-Za-z0-9]+)*$", max_length=64)]
Code = str | int | float


class Column(Table):
    """Where one variable stands in a table, and what may stand there.

    `low` and `high` are in the hospital's own unit. Where each line says its unit itself, `unit_from` is the
    column that does. `codes` say what a text means: a level, 0 or 1, or how many alleles (0, 1, 2).
    """

    from_: Annotated[str, Field(alias="from")] = ""
    kind: Kind = "gaussian"
    unit: str = ""
    unit_from: str = ""
    low: float = float("-inf")
    high: float = float("inf")
    codes: dict[str, Code] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low = {self.low:g} is to be below high = {self.high:g}")
        if self.unit and self.unit_from:
            raise ValueError(
                "unit is for the whole column, unit-from names the column that says it: give one"
            )
        return self


class Channel(Table):
    """What was measured together, in one table."""

    table: str
    columns: dict[Name, Column]


class Schema(Table):
    """A hospital's tables.

    Attributes:
        patient: the column that names the patient in every table; without one, lines are matched by number.
        channels: what it measures.
        target: where the diagnosis stands; None where it has none.
        held_out: where it says, by 1, which patients are never learned from but tested on; without it a third
            of them, drawn with a fixed seed.

    """

    patient: str = ""
    channels: Annotated[dict[Name, Channel], Field(min_length=1)]
    target: Channel | None = None
    held_out: Channel | None = None


def load(folder: Path) -> Schema:
    """The folder's schema; raises DataError in one line that names the key and the way out."""
    file = folder / FILE
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{file}: no schema can be read there: `laennec schema {folder}` drafts one"
        ) from error
    return parse(text, str(file))


def parse(text: str, where: str = FILE) -> Schema:
    """A schema from its text; raises DataError."""
    try:
        return read(text, Schema)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error
