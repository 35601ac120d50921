"""The only shapes in which coordinator and hospital meet, written once.

Instruction (coordinator -> hospital) and Reply (hospital -> coordinator) are plain values; `pack` and
`unpack` turn them into Flower's records and back. Every message carries the study's digest and the round.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from flwr.app import Array as FlowerArray
from flwr.app import ArrayRecord, ConfigRecord, RecordDict

from ground.arrays import Array, Arrays
from ground.errors import FederationError, LaennecError, by_name

Phase = Literal["enrol", "train", "report"]
SAME_VERSION = "coordinator and hospital need the same version of Laennec"
RAW = "laennec.raw"
FLOATS = ("<f4", "<f8")
# Flower's three kinds of message; each phase has one.
MESSAGE_TYPE: dict[Phase, str] = {"enrol": "query", "train": "train", "report": "evaluate"}


@dataclass(frozen=True)
class Instruction:
    """What the coordinator asks of one hospital.

    Attributes:
        phase: enrol (check the data, count), train (evaluate, then contribute), report (evaluate).
        study: the study's TOML text.
        digest: its digest; a hospital computes it again from the text.
        round: 0 for enrol, 1 to the number of rounds for train, that number for report.
        hospitals: how many hospitals take part.
        published: what the learner publishes, flat vectors by name.

    """

    phase: Phase
    study: str
    digest: str
    round: int
    hospitals: int
    published: Arrays = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What a hospital lets go.

    Attributes:
        hospital: its name.
        phase: that of the instruction.
        digest: that of the instruction.
        round: that of the instruction.
        vector: its contribution to the sum; None when reporting.
        noise: standard deviation of the noise that is in the vector.
        metrics: of the incoming model over the hospital's test patients.
        patients: how many it has, where it says so.
        quarantined: how many were set aside, where it says so.
        seconds: time spent on this instruction.
        worker: which process did it.
        error: kind and text, where it could not be done; nothing else is then of interest.

    """

    hospital: str
    phase: Phase
    digest: str
    round: int
    vector: Array | None = None
    noise: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    patients: int | None = None
    quarantined: int | None = None
    seconds: float = 0.0
    worker: str = ""
    error: tuple[str, str] | None = None

    def problem(self) -> LaennecError | None:
        """The error that the hospital reports, of the kind that it was there."""
        return None if self.error is None else by_name(self.error[0])(self.error[1])


def pack_instruction(instruction: Instruction) -> RecordDict:
    """As Flower carries it."""
    text = {
        "phase": instruction.phase,
        "study": instruction.study,
        "digest": instruction.digest,
        "round": instruction.round,
        "hospitals": instruction.hospitals,
    }
    return _records(json.dumps(text), instruction.published)


def unpack_instruction(content: RecordDict) -> Instruction:
    """The inverse of `pack_instruction`; raises FederationError on anything else."""
    text, arrays = _parts(content)
    try:
        values = json.loads(text)
        return Instruction(
            phase=_phase(values["phase"]),
            study=str(values["study"]),
            digest=str(values["digest"]),
            round=_integer(values["round"]),
            hospitals=_integer(values["hospitals"]),
            published=arrays,
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise FederationError(f"an instruction is malformed: {SAME_VERSION}") from error


def pack_reply(reply: Reply) -> RecordDict:
    """As Flower carries it."""
    return _records(reply_to_text(reply), {} if reply.vector is None else {"vector": reply.vector})


def unpack_reply(content: RecordDict) -> Reply:
    """The inverse of `pack_reply`; raises FederationError on anything else."""
    text, arrays = _parts(content)
    return replace(reply_from_text(text), vector=arrays.get("vector"))


def reply_to_text(reply: Reply) -> str:
    """A reply as JSON, without its vector; an undefined metric is null."""
    text: dict[str, object] = {
        "hospital": reply.hospital,
        "phase": reply.phase,
        "digest": reply.digest,
        "round": reply.round,
        "noise": reply.noise,
        "metrics": {k: v if math.isfinite(v) else None for k, v in reply.metrics.items()},
        "patients": reply.patients,
        "quarantined": reply.quarantined,
        "seconds": reply.seconds,
        "worker": reply.worker,
        "error": reply.error,
    }
    return json.dumps(text, allow_nan=False)


def reply_from_text(text: str) -> Reply:
    """The inverse of `reply_to_text`; raises FederationError on anything else."""
    try:
        values = json.loads(text)
        error = values["error"]
        return Reply(
            hospital=str(values["hospital"]),
            phase=_phase(values["phase"]),
            digest=str(values["digest"]),
            round=_integer(values["round"]),
            noise=float(values["noise"]),
            metrics={k: math.nan if v is None else float(v) for k, v in values["metrics"].items()},
            patients=None if values["patients"] is None else _integer(values["patients"]),
            quarantined=None if values["quarantined"] is None else _integer(values["quarantined"]),
            seconds=float(values["seconds"]),
            worker=str(values["worker"]),
            error=None if error is None else (str(error[0]), str(error[1])),
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise FederationError(f"a reply is malformed: {SAME_VERSION}") from error


def _records(text: str, arrays: Arrays) -> RecordDict:
    return RecordDict(
        {
            "text": ConfigRecord({"json": text}),
            "arrays": ArrayRecord({name: _pack_array(value) for name, value in arrays.items()}),
        }
    )


def _parts(content: RecordDict) -> tuple[str, dict[str, Array]]:
    try:
        text = str(content.config_records["text"]["json"])
        return text, {name: _unpack_array(value) for name, value in content.array_records["arrays"].items()}
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FederationError(f"a message is malformed: {SAME_VERSION}") from error


def _pack_array(value: Array) -> FlowerArray:
    """Raw little-endian floats: one copy where Flower's own form, an .npy file in memory, takes several."""
    kind = np.dtype(value.dtype).newbyteorder("<")
    data = np.ascontiguousarray(value, dtype=kind).tobytes()
    return FlowerArray(dtype=kind.str, shape=value.shape, stype=RAW, data=data)


def _unpack_array(value: FlowerArray) -> Array:
    """A read-only view of the bytes received; raises ValueError on anything but raw floats of that shape."""
    if value.stype != RAW or value.dtype not in FLOATS:
        raise ValueError("not an array of floats")
    array: Array = np.frombuffer(value.data, dtype=value.dtype).reshape(value.shape)
    return array


def _phase(value: object) -> Phase:
    if value not in MESSAGE_TYPE:
        raise ValueError("unknown phase")
    return value


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("not an integer")
    return value
