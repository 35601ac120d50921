"""Tables: one row a patient, of which only numbers are kept, and no column that could say who she is.

A column survives where its name is none that identifies (a name, an address, a date, a number of a record)
and its values are numbers, or where an installed task asks for it by name. Everything else is dropped before
anything is stored, and the report counts the columns.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from client.archive.batch import Row
from client.deidentify import Pseudonyms

if TYPE_CHECKING:
    from tasks.contract import Task

SUFFIXES = (".csv", ".tsv")
HEADERLESS = (".data", ".csv", ".tsv")
MISSING = {"", "?", "na", "nan", "n/a", "null", "none"}
# A column that names the patient, by the words of its name; the first that is found.
WHO = re.compile(
    r"(patient|subject|person|participant|case|pat)?(id|identifier|number|no|nr|num|code|key)|"
    r"mrn|ipp|nip|pid|"
    r"medicalrecord(number)?|recordnumber|record(id|no)|hospital(id|number)|patient|subject|participant",
)
# Columns that say who somebody is, whatever they hold.
IDENTIFYING = re.compile(
    r"name|nom\b|prenom|surname|initial|birth|dob|ddn|naiss|date|time|day|month|year|adress|address|street|"
    r"city|town|zip|postal|postcode|country|phone|tel\b|mobile|fax|mail|ssn|social|insur|passport|licen|"
    r"account|mrn|nhs|ipp|record|accession|serial|device|url|web|\bip\b|photo|physician|doctor|nurse|operator|"
    r"comment|note|remark"
)
RECORD = 10**5  # whole numbers from here on, all different, look like numbers of a register


@dataclass(frozen=True)
class Sheet:
    """A table without what identifies, and what a person should know about it."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def is_table(path: Path, task: Task | None) -> bool:
    """Whether the file is one: by its name, and a .data file where a task says what its columns are."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return True
    return suffix in HEADERLESS and task is not None and bool(_columns(task))


def read(path: Path, task: Task | None, pseudonyms: Pseudonyms) -> Sheet:
    """The rows of one table; what cannot be read as one gives no row and a note. Raises OSError."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            start = stream.read(4096)
            stream.seek(0)
            delimiter = max(",;\t", key=start.partition("\n")[0].count)
            lines = [
                [cell.strip() for cell in row] for row in csv.reader(stream, delimiter=delimiter) if any(row)
            ]
    except (UnicodeDecodeError, csv.Error):
        return Sheet((), ("a table cannot be read as comma-separated text in UTF-8: export it again",))
    if not lines:
        return Sheet((), ())
    header, lines = _header(lines, task)
    if not header:
        return Sheet((), ("a table has no line of column names: give --task, which knows them",))
    whole = [line for line in lines if len(line) == len(header)]
    notes = []
    if len(whole) < len(lines):
        notes.append(
            f"{len(lines) - len(whole)} rows of a table have another number of cells and were left out"
        )
    who = next((n for n, name in enumerate(header) if WHO.fullmatch(_plain(name)) and _tells(whole, n)), None)
    kept = [n for n, name in enumerate(header) if n != who and _may_stay(name, [row[n] for row in whole])]
    if not kept or not whole:
        return Sheet((), (*notes, "a table has no column of numbers that may be kept"))
    dropped = len(header) - len(kept) - (who is not None)
    if dropped:
        notes.append(f"{dropped} columns of a table were dropped: they identify, or are no numbers")
    if who is None:
        notes.append(
            "a table has no column that numbers its patients: a corrected row would be another patient"
        )
    names = _names(whole, who, pseudonyms)
    sheet = ",".join(sorted(header[n] for n in kept))
    cells = [{header[n]: row[n] for n in kept} for row in whole]
    return Sheet(
        tuple(Row(*each) for each in zip(names, [sheet] * len(cells), cells, strict=True)), tuple(notes)
    )


def _header(lines: list[list[str]], task: Task | None) -> tuple[list[str], list[list[str]]]:
    """The column names and the rows; a task's own names where the first line is a patient already."""
    if any(cell and not _is_number(cell) and cell.lower() not in MISSING for cell in lines[0]):
        names = lines[0]
        return (names, lines[1:]) if len(set(names)) == len(names) else ([], lines)
    names = _columns(task) if task is not None else []
    return (names, lines) if len(names) == len(lines[0]) else ([], lines)


def _columns(task: Task | None) -> list[str]:
    """The columns of a task that reads tables of one row a patient; none for one that reads images."""
    if task is None:
        return []
    names = [column.name for column in task.schema]
    return [] if {"image", "label"} <= set(names) else names


def _tells(rows: Sequence[Sequence[str]], column: int) -> bool:
    """Whether the column has a value in every row, mostly another one in each."""
    values = [row[column] for row in rows]
    return bool(values) and all(values) and len(set(values)) > 0.9 * len(values)


def _may_stay(name: str, values: Sequence[str]) -> bool:
    known = [each for each in values if each.lower() not in MISSING]
    if name in _of_tasks() or re.sub(r"_\d+$", "", name) in _of_tasks():
        return all(_is_number(each) or name == "stratum" for each in known)
    if IDENTIFYING.search(_words(name)) or WHO.fullmatch(_plain(name)):
        return False
    if not known or not all(_is_number(each) for each in known):
        return False
    whole = [each for each in known if float(each).is_integer() and abs(float(each)) >= RECORD]
    return not (len(whole) == len(known) and len(set(known)) == len(known) > 1)


def _of_tasks() -> set[str]:
    """Columns that an installed task asks for, so that they are nobody's identity."""
    from tasks.registry import (
        installed,
    )  # here alone: tasks bring torch, which importing images does not need

    return {column.name for task in installed().values() for column in task.schema} | {"infarct", "stratum"}


def _names(rows: Sequence[Sequence[str]], who: int | None, pseudonyms: Pseudonyms) -> list[str]:
    """The pseudonym of each row's patient: by her number, else by all that the row says; equals differ."""
    if who is not None:
        return [pseudonyms.patient(row[who]) for row in rows]
    seen: Counter[tuple[str, ...]] = Counter()
    names = []
    for row in rows:
        key = tuple(row)
        seen[key] += 1
        names.append(pseudonyms.patient("\0".join(("row", str(seen[key]), *key))))
    return names


def _words(name: str) -> str:
    """Words apart: patientName, patient_name and "Patient name" are one."""
    return re.sub(r"[^a-z0-9]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()).strip()


def _plain(name: str) -> str:
    return _words(name).replace(" ", "")


def _is_number(text: str) -> bool:
    if "_" in text:
        return False
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False
