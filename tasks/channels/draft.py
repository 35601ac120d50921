"""A first schema.toml from the tables in a folder, for a person to correct: units are not in them."""

from __future__ import annotations

import math
from pathlib import Path

import tomli_w

from ground.errors import DataError
from tasks.channels.tables import KINDS, Cells, read_cells

PATIENT = ("patient", "pseudonym", "id", "subject", "ptid", "participant_id", "record_id")
# More different texts than this are free text, which nothing is learned from.
MOST_LEVELS = 12
HEAD = """\
# How this hospital's tables are to be read. Drafted from {tables}: correct it by hand.
#   kind   gaussian (continuous), bernoulli (0 or 1), categorical, genotype (0, 1 or 2 alleles)
#   unit   of the column, as in "pg/mL": the study converts it; wrong units are the commonest mistake
#   low, high   what is possible at all: whoever is outside is set aside and listed
#   from   the column's own name, where the study calls the variable something else
# Leave out what the study does not ask for. To say what is predicted, and with which codes:
#   [target]
#   table = "{first}"
#   columns.NAME = {{ from = "COLUMN", kind = "bernoulli", codes = {{ no = 0, yes = 1 }} }}

"""


def draft(folder: Path) -> str:
    """The text of a schema for every table in the folder; raises DataError where there is none."""
    files = sorted(file for file in folder.glob("*") if file.suffix in KINDS)
    if not files:
        raise DataError(f"{folder}: no table in it: expected {', '.join(KINDS)}, one patient a line")
    tables = {file.name: read_cells(file) for file in files}
    patient = _patient(tables)
    channels: dict[str, object] = {}
    for name, cells in tables.items():
        columns = {column: guess(texts) for column, texts in cells.items() if column != patient}
        known = {_name(column): _named(column, found) for column, found in columns.items() if found}
        if known:
            channels[_name(Path(name).stem, "-")] = {"table": name, "columns": known}
    if not channels:
        raise DataError(f"{folder}: no column that can be learned from: numbers, codes or a few categories")
    values = {**({"patient": patient} if patient else {}), "channels": channels}
    return HEAD.format(tables=", ".join(tables), first=files[0].name) + tomli_w.dumps(values)


def guess(texts: list[str]) -> dict[str, object] | None:
    """What a column seems to hold; None where nothing can be learned from it."""
    present = [text for text in texts if text]
    numbers = [_number(text) for text in present]
    if not present:
        return None
    if any(math.isnan(number) for number in numbers):
        levels = sorted(set(present))
        if not 2 <= len(levels) <= MOST_LEVELS or len(levels) == len(present):
            return None
        return {"kind": "categorical", "codes": {level: level for level in levels}}
    if set(numbers) <= {0.0, 1.0}:
        return {"kind": "bernoulli"}
    if set(numbers) <= {0.0, 1.0, 2.0}:
        return {"kind": "genotype"}
    low, high = min(numbers), max(numbers)
    room = high - low or abs(high) or 1.0
    return {"unit": "", "low": _round(low - room, math.floor), "high": _round(high + room, math.ceil)}


def _patient(tables: dict[str, Cells]) -> str:
    """The column that names the patient: in every table, by one of the usual names; "" where none does."""
    for wanted in PATIENT:
        for column in next(iter(tables.values())):
            if column.lower() == wanted and all(column in cells for cells in tables.values()):
                return column
    if len(tables) > 1:
        raise DataError(
            f"no column names the patient in every table: call it {PATIENT[0]} in each, "
            "or write schema.toml by hand"
        )
    return ""


def _name(column: str, between: str = "_") -> str:
    """As a key of the schema may be spelt."""
    return (
        between.join("".join(c if c.isascii() and c.isalnum() else " " for c in column).split()) or "column"
    )


def _named(column: str, found: dict[str, object]) -> dict[str, object]:
    return found if _name(column) == column else {"from": column, **found}


def _number(text: str) -> float:
    try:
        value = math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _round(value: float, towards: object) -> float:
    """To one digit, outwards: a limit is no patient's value."""
    if value == 0:
        return 0.0
    unit = 10.0 ** math.floor(math.log10(abs(value)))
    return float(math.floor(value / unit) * unit if towards is math.floor else math.ceil(value / unit) * unit)
