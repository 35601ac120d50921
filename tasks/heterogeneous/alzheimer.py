"""Craig-Schapiro et al. 2011 (PLoS ONE 6: e18850) as four hospitals that measure different things.

333 people with 131 columns, as `modeldata` publishes them (`ad_data`): age and sex, APOE genotype, tau, p-tau
and Aβ42, 124 proteins; 91 impaired. 32 controls are set aside as a public reference sample: what a study's
centres and scales come from, as a laboratory's normal range comes from healthy volunteers. 100 people, 30 of
them impaired, are held out once and for all: settings were chosen without them. All but the reference sample
are dealt to four hospitals of different case mix; three of them lack a channel, so that no two have the same.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tomli_w

from ground.errors import DataError
from ground.files import write_atomically
from tasks.channels.joint import Joint
from tasks.channels.patients import ChannelPatients
from tasks.channels.reading import read_patients
from tasks.channels.schema import FILE as SCHEMA
from tasks.channels.schema import parse
from tasks.channels.tables import Cells

FILE = "ad_data.csv.gz"
REFERENCE = 32
HELD_OUT, HELD_OUT_IMPAIRED = 100, 30
# What each lacks, and which part of the impaired are its patients; each has a quarter of everybody.
LACKS = {"lille": "", "nantes": "csf", "nice": "genotype", "rennes": "proteins"}
CASE_MIX = {"lille": 0.35, "nantes": 0.29, "nice": 0.21, "rennes": 0.15}
CSF = ("Ab_42", "p_tau", "tau")
PERSON = ("age", "male")
# Copies of ε2 and of ε4 in each genotype.
COPIES = {
    "e2": {"E2E2": 2, "E2E3": 1, "E2E4": 1, "E3E3": 0, "E3E4": 0, "E4E4": 0},
    "e4": {"E2E2": 0, "E2E3": 0, "E2E4": 1, "E3E3": 0, "E3E4": 1, "E4E4": 2},
}
TARGET = "impaired"
Lines = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Division:
    """Who is where: lines of the table.

    Attributes:
        reference: of the public reference sample.
        held_out: of those who are only tested on.
        hospitals: hospital -> its patients, held-out ones among them.

    """

    reference: tuple[int, ...]
    held_out: frozenset[int]
    hospitals: Mapping[str, tuple[int, ...]]


def hospitals(folder: Path) -> dict[str, Path]:
    """Each hospital and the path that `read` takes: FILE#HOSPITAL."""
    return {name: Path(f"{folder / FILE}#{name}") for name in LACKS}


def read(path: Path, joint: Joint) -> ChannelPatients:
    """One hospital of the published table; raises DataError where it is not that table."""
    file, _, name = str(path).rpartition("#")
    if name not in LACKS:
        raise DataError(f"{path}: has the hospitals {', '.join(LACKS)}: write {FILE}#{next(iter(LACKS))}")
    schema, tables = hospital(Path(file), name)
    return read_patients(parse(schema, str(path)), tables, joint, path)


def divide(file: Path, seed: int = 0) -> Division:
    """The reference sample and the held-out, the same for every seed; who is where, dealt by that seed."""
    labels, fixed = np.asarray(cells(file)["Class"]), np.random.default_rng(2011)
    controls = fixed.permutation(np.flatnonzero(labels == "Control"))
    impaired = fixed.permutation(np.flatnonzero(labels == "Impaired"))
    reference, controls = controls[:REFERENCE], controls[REFERENCE:]
    well = HELD_OUT - HELD_OUT_IMPAIRED
    tested = controls[:well], impaired[:HELD_OUT_IMPAIRED]
    learned = controls[well:], impaired[HELD_OUT_IMPAIRED:]
    return _dealt(reference, tested, learned, np.random.default_rng([seed, 2011]))


def folds(file: Path, seed: int, count: int) -> list[Division]:
    """Cross-validation within those who are not held out: settings are chosen on these and on nobody else."""
    division, labels = divide(file), np.asarray(cells(file)["Class"])
    everybody = [line for each in division.hospitals.values() for line in each]
    lines = np.sort(np.setdiff1d(everybody, list(division.held_out)))
    draws = np.random.default_rng([seed, 2012])
    parts = [draws.permutation(lines[labels[lines] == name]) for name in ("Control", "Impaired")]
    found = []
    for number in range(count):
        tested = tuple(part[number::count] for part in parts)
        learned = tuple(np.delete(part, np.s_[number::count]) for part in parts)
        found.append(
            _dealt(
                np.asarray(division.reference),
                (tested[0], tested[1]),
                (learned[0], learned[1]),
                np.random.default_rng([seed, number]),
            )
        )
    return found


def _dealt(
    reference: Lines, tested: tuple[Lines, Lines], learned: tuple[Lines, Lines], draws: np.random.Generator
) -> Division:
    """Controls and impaired, those who are tested and those who are learned from, each dealt."""
    dealt: dict[str, list[int]] = {name: [] for name in LACKS}
    for some in (tested, learned):
        for name, lines in _deal(*some, draws).items():
            dealt[name].extend(lines)
    held_out = frozenset(int(line) for each in tested for line in each)
    every = {name: tuple(sorted(lines)) for name, lines in dealt.items()}
    return Division(tuple(sorted(map(int, reference))), held_out, every)


def _deal(controls: Lines, impaired: Lines, draws: np.random.Generator) -> dict[str, list[int]]:
    """Everybody to the hospitals: each has a quarter of all, and its part of the impaired."""
    controls, impaired = draws.permutation(controls), draws.permutation(impaired)
    total, sick_ones, dealt = len(controls) + len(impaired), len(impaired), {}
    for number, (name, part) in enumerate(CASE_MIX.items()):
        last = number == len(CASE_MIX) - 1
        sick = len(impaired) if last else round(part * sick_ones)
        well = len(controls) if last else total // len(CASE_MIX) - sick
        dealt[name] = [int(line) for line in np.concatenate([impaired[:sick], controls[:well]])]
        impaired, controls = impaired[sick:], controls[well:]
    return dealt


def hospital(
    file: Path, name: str, division: Division | int = 0, *, complete: bool = False
) -> tuple[str, dict[str, Cells]]:
    """A hospital's schema.toml and its tables; `complete` with the channel that it lacks.

    `division` is one, or the seed of one.
    """
    everybody = cells(file)
    division = divide(file, division) if isinstance(division, int) else division
    lines = division.hospitals[name]
    lacks = "" if complete else LACKS[name]
    proteins = proteins_of(everybody)
    columns: dict[str, tuple[str, ...]] = {"person": PERSON, "csf": CSF, "proteins": proteins}
    columns["genotype"] = ("Genotype",)
    tables = {}
    for channel, names in columns.items():
        if channel != lacks:
            own = {"patient": [f"p{line:03d}" for line in lines]}
            own |= {each: [everybody[each][line] for line in lines] for each in names}
            if channel == "person":
                own["Class"] = [everybody["Class"][line] for line in lines]
                own["held-out"] = [str(int(line in division.held_out)) for line in lines]
            tables[f"{channel}.csv"] = own
    return _schema(tables, proteins), tables


def write(file: Path, out: Path, division: Division | int = 0, *, complete: bool = False) -> dict[str, Path]:
    """The four hospitals as folders of CSV with a schema.toml each, as a hospital would keep them."""
    folders = {}
    for name in LACKS:
        schema, tables = hospital(file, name, division, complete=complete)
        folders[name] = out / name
        for table, columns in tables.items():
            text = io.StringIO(newline="")
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
            write_atomically(out / name / table, text.getvalue())
        write_atomically(out / name / SCHEMA, schema)
    return folders


def proteins_of(everybody: Cells) -> tuple[str, ...]:
    """The names of the proteins, in alphabetical order."""
    others = {*CSF, *PERSON, "Genotype", "Class"}
    return tuple(sorted(name for name in everybody if name not in others))


@lru_cache(maxsize=2)
def cells(file: Path) -> Cells:
    """The published table; raises DataError where it cannot be read."""
    try:
        text = gzip.decompress(file.read_bytes()).decode("utf-8")
        header, *rows = csv.reader(io.StringIO(text))
        table = {name: [row[number] for row in rows] for number, name in enumerate(header)}
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise DataError(f"{file}: cannot be read as {FILE}: fetch it again") from error
    if not {*CSF, *PERSON, "Genotype", "Class"} <= set(table):
        raise DataError(f"{file}: not the table {FILE}: fetch it again")
    return table


def _schema(tables: Mapping[str, Cells], proteins: tuple[str, ...]) -> str:
    channels: dict[str, object] = {}
    for table in tables:
        name = table.removesuffix(".csv")
        if name == "genotype":
            columns: dict[str, object] = {
                each: {"from": "Genotype", "kind": "genotype", "codes": COPIES[each]} for each in COPIES
            }
        elif name == "person":
            columns = {"age": {"low": 0.9, "high": 1.0}, "male": {"kind": "bernoulli"}}
        else:
            names = CSF if name == "csf" else proteins
            columns = {each: {"unit": "as published"} for each in names}
        channels[name] = {"table": table, "columns": columns}
    outcome = {"kind": "bernoulli", "from": "Class", "codes": {"Control": 0, "Impaired": 1}}
    target = {"table": "person.csv", "columns": {TARGET: outcome}}
    held_out = {"table": "person.csv", "columns": {"held-out": {"kind": "bernoulli"}}}
    return tomli_w.dumps({"patient": "patient", "channels": channels, "target": target, "held-out": held_out})


def study_options(file: Path) -> dict[str, dict[str, object]]:
    """The channels of a study over this data, centred and scaled by the reference sample."""
    everybody, lines = cells(file), divide(file).reference
    channels: dict[str, dict[str, object]] = {"genotype": {each: {"kind": "genotype"} for each in COPIES}}
    groups = {"csf": (CSF, "as published"), "proteins": (proteins_of(everybody), "as published")}
    groups["person"] = (("age",), "")
    for channel, (names, unit) in groups.items():
        variables: dict[str, object] = {}
        for name in names:
            values = np.asarray([everybody[name][line] for line in lines], dtype=np.float64)
            centre, scale = (float(f"{each:.4g}") for each in (values.mean(), values.std(ddof=1)))
            if name == "age":  # four digits of a number near 1 would be none of its spread
                centre = float(f"{values.mean():.6g}")
            variables[name] = {"unit": unit, "centre": centre, "scale": scale}
        channels[channel] = variables
    channels["person"]["male"] = {"kind": "bernoulli"}
    return channels
