"""What a hospital's tables hold by its schema: how many values of each variable, and who is set aside.

For the hospital's own eyes: counts are of its patients, and lines point into its tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ground.errors import StudyError
from tasks.channels.joint import Joint, Variable
from tasks.channels.patients import Quarantined
from tasks.channels.reading import read_folder
from tasks.channels.schema import Column, Schema, load


@dataclass(frozen=True)
class Measured:
    """One variable, and how many patients have it."""

    channel: str
    name: str
    kind: str
    unit: str
    patients: int


@dataclass(frozen=True)
class Listed:
    """A folder by its schema.

    Attributes:
        patients: who can be learned from.
        target: of how many the diagnosis is known.
        variables: what was measured.
        quarantined: who was set aside, and why.

    """

    patients: int
    target: int
    variables: tuple[Measured, ...]
    quarantined: tuple[Quarantined, ...]

    def lines(self) -> Iterator[str]:
        """For a person."""
        yield f"{self.patients} patients, the diagnosis known of {self.target}"
        for each in self.variables:
            name = f"{each.channel}.{each.name}"
            yield f"  {name:40} {each.kind:12} {each.unit:14} {each.patients:5}"
        yield f"{len(self.quarantined)} set aside"
        for wrong in self.quarantined:
            yield f"  {wrong.table}, line {wrong.line}, column {wrong.column}: {wrong.reason}"


def listed(folder: Path, study: Path | None = None) -> Listed:
    """Read the folder as a study would, or for what it is; raises DataError or StudyError."""
    joint = own(load(folder)) if study is None else asked_by(study)
    patients = read_folder(folder, joint)
    counts = (~patients.inputs.isnan()).sum(dim=0).tolist()
    return Listed(
        len(patients),
        int((~patients.targets.isnan()).sum()),
        tuple(
            Measured(channel, each.name, each.kind, each.unit, count)
            for (channel, each), count in zip(joint.variables, counts, strict=True)
        ),
        patients.quarantined,
    )


def own(schema: Schema) -> Joint:
    """The channels of a schema as they are, each variable in its own unit."""
    channels = {
        name: tuple(_variable(each, column) for each, column in sorted(channel.columns.items()))
        for name, channel in schema.channels.items()
    }
    target = "" if schema.target is None else next(iter(schema.target.columns), "")
    return Joint(tuple(sorted(channels.items())), target)


def asked_by(study: Path) -> Joint:
    """The channels of a study; raises StudyError where it has none."""
    from tasks.heterogeneous.options import parse
    from tasks.study import load as load_study

    found = load_study(study)
    if "channels" not in json.loads(found.options or "{}"):
        raise StudyError(f"{study}: has no [options.channels]: it is no study of several channels")
    return parse(found.options).agreed()


def _variable(name: str, column: Column) -> Variable:
    levels = tuple(sorted({str(code) for code in column.codes.values()}))
    return Variable(name, column.kind, column.unit, levels=levels if column.kind == "categorical" else ())
