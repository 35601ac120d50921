"""Progress on disk: one file, replaced atomically, read back to an equal value."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ground.arrays import Array, Words
from ground.bundle import pack, pieces, unpack
from ground.errors import FederationError, StateError, StudyError
from ground.files import writable, write_atomically
from privacy.accountant import Accountant
from privacy.secagg import CoordinatorSide
from server.progress import Member, Progress, Record
from tasks.learners.contract import State
from tasks.study import parse

FILE = "coordinator.safetensors"


def save(progress: Progress, home: Path) -> None:
    """Replace the checkpoint in this folder; when this returns, a power cut no longer loses it."""
    with writable(home / FILE):
        write_atomically(home / FILE, pieces(*_parts(progress)))


def load(home: Path) -> Progress | None:
    """The progress saved in this folder, None where there is none; raises StateError where it is damaged."""
    file = home / FILE
    return from_bytes(file.read_bytes(), str(file)) if file.is_file() else None


def to_bytes(progress: Progress) -> bytes:
    """The same progress gives the same bytes."""
    return pack(*_parts(progress))


def _parts(progress: Progress) -> tuple[dict[str, Array | Words], dict[str, Any]]:
    arrays: dict[str, Array | Words] = {"model": progress.state.model}
    arrays |= {f"slot.{name}": value for name, value in progress.state.slots.items()}
    if progress.secure is not None and progress.secure.total is not None:
        arrays["secure.total"] = progress.secure.total
    header = {
        "study": progress.study.to_toml(),
        "phase": progress.phase,
        "round": progress.round,
        "roster": [asdict(member) for member in progress.roster],
        "accountant": progress.accountant.to_json(),
        "history": [_record_out(record) for record in progress.history],
        "secure": None if progress.secure is None else progress.secure.to_text(),
        "pending": None if progress.pending is None else _record_out(progress.pending),
        "summed": list(progress.summed),
    }
    return arrays, header


def from_bytes(data: bytes, where: str) -> Progress:
    """The inverse of `to_bytes`; raises StateError, naming `where`."""
    arrays, header = unpack(data, where)
    total: Any = arrays.pop("secure.total", None)
    try:
        return Progress(
            study=parse(header["study"], where),
            phase=header["phase"],
            round=header["round"],
            roster=tuple(Member(**member) for member in header["roster"]),
            state=State(
                arrays.pop("model"), {name.removeprefix("slot."): value for name, value in arrays.items()}
            ),
            accountant=Accountant.from_json(header["accountant"]),
            history=tuple(_record_in(record) for record in header["history"]),
            secure=None if header["secure"] is None else CoordinatorSide.from_text(header["secure"], total),
            pending=None if header["pending"] is None else _record_in(header["pending"]),
            summed=tuple(header["summed"]),
        )
    except (KeyError, TypeError, StudyError, FederationError, json.JSONDecodeError) as error:
        raise StateError(f"{where}: damaged: restore it from a backup, or start the study anew") from error


def _record_out(record: Record) -> dict[str, object]:
    metrics = {
        hospital: {name: None if math.isnan(value) else value for name, value in values.items()}
        for hospital, values in record.metrics.items()
    }
    return {
        "after": record.after,
        "metrics": metrics,
        "contributors": list(record.contributors),
        "summed": dict(record.summed),
        "abandoned": record.abandoned,
    }


def _record_in(values: dict[str, object]) -> Record:
    stored: dict[str, dict[str, float | None]] = values["metrics"]  # type: ignore[assignment]
    metrics = {
        hospital: {name: math.nan if value is None else value for name, value in named.items()}
        for hospital, named in stored.items()
    }
    return Record(
        int(values["after"]),  # type: ignore[call-overload]
        metrics,
        tuple(values["contributors"]),  # type: ignore[arg-type]
        dict(values["summed"]),  # type: ignore[call-overload]
        str(values["abandoned"]),
    )
