"""The only shapes in which coordinator and hospital meet, written once.

Instruction (coordinator -> hospital) and Reply (hospital -> coordinator) are plain values; `pack` and
`unpack` turn them into Flower's records and back. Every message carries the study's digest and the round.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from flwr.app import ConfigRecord, RecordDict

from ground.arrays import Array, Arrays, Words
from ground.errors import FederationError, LaennecError, LaterError, StateError, by_name
from privacy.accountant import Accountant
from privacy.plan import PrivacyPlan
from privacy.secagg import Encoding, Roster
from privacy.secagg.encoding import SMALL
from tasks.carried import pack_arrays, unpack_array
from tasks.contract import Task
from tasks.learners.model import places
from tasks.study import Study

Phase = Literal["enrol", "roster", "count", "train", "confirm", "unmask", "report"]
SAME_VERSION = "coordinator and hospital need the same version of Laennec"
# Flower's three kinds of message; each phase has one.
MESSAGE_TYPE: dict[Phase, str] = {
    "enrol": "query",
    "roster": "query",
    "count": "query",
    "train": "train",
    "confirm": "query",
    "unmask": "query",
    "report": "evaluate",
}
# The phases of one sum, in their order; a hospital never goes back.
ORDER: dict[Phase, int] = {
    "enrol": 0,
    "roster": 1,
    "count": 2,
    "train": 2,
    "report": 2,
    "confirm": 3,
    "unmask": 4,
}
EVERYBODY = ""


@dataclass(frozen=True)
class Instruction:
    """What the coordinator asks of one hospital.

    Attributes:
        phase: enrol (check the data, count), train (evaluate, then contribute), report (evaluate); with
            secure aggregation also roster (sign it, prepare a round), count, confirm and unmask (the round
            just summed).
        study: the study's TOML text.
        digest: its digest; a hospital computes it again from the text.
        round: 0 for enrol and count, 1 to the number of rounds for train, that number for report; of roster
            the sum to prepare, of confirm and unmask the sum to unmask, where the report's is one more than
            the rounds.
        hospitals: how many hospitals take part.
        published: what the learner publishes, flat vectors by name.
        secure: what secure aggregation says, by hospital; under "" what it says to everybody.

    """

    phase: Phase
    study: str
    digest: str
    round: int
    hospitals: int
    published: Arrays = field(default_factory=dict)
    secure: Mapping[str, str] = field(default_factory=dict)

    @property
    def sum_number(self) -> int:
        """Which secure sum this is about: the count's is 0, a round's its number, the report's one more."""
        return self.round + 1 if self.phase == "report" else self.round

    @property
    def stage(self) -> int:
        """A number that grows along a study."""
        return 5 * self.sum_number + ORDER[self.phase]

    def said_to(self, hospital: str) -> str:
        """What secure aggregation says to that hospital; empty where it says nothing."""
        return self.secure.get(hospital, self.secure.get(EVERYBODY, ""))

    def only_for(self, hospital: str) -> Instruction:
        """The same without what is said to others."""
        return replace(self, secure={hospital: self.said_to(hospital)} if self.secure else {})


@dataclass(frozen=True)
class Reply:
    """What a hospital lets go.

    Attributes:
        hospital: its name.
        phase: that of the instruction.
        digest: that of the instruction.
        round: that of the instruction.
        vector: its contribution to the sum, in masked words with secure aggregation; None when reporting.
        noise: standard deviation of the noise that is in the vector.
        metrics: of the incoming model over the hospital's test patients, where it discloses them.
        summed: names of the metrics whose values are in the masked words, two words each, at their end.
        secure: what secure aggregation answers.
        patients: how many it has, where it says so.
        quarantined: how many were set aside, where it says so.
        seconds: time spent on this instruction.
        worker: which process did it.
        error: kind and text, where it could not be done; nothing else is then of interest.
        later: with an error, seconds after which it is of use to ask again; 0 where nobody can say.
        signature: a governed hospital's under its refusal, with the date (`tasks.refusals`); else empty.
        spent: what this study alone has cost the hospital's patients so far, by its own book; None where it
            keeps none.

    """

    hospital: str
    phase: Phase
    digest: str
    round: int
    vector: Array | Words | None = None
    noise: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)
    summed: tuple[str, ...] = ()
    secure: str = ""
    patients: int | None = None
    quarantined: int | None = None
    seconds: float = 0.0
    worker: str = ""
    error: tuple[str, str] | None = None
    later: float = 0.0
    signature: str = ""
    spent: Accountant | None = None

    def problem(self) -> LaennecError | None:
        """The error that the hospital reports, of the kind that it was there."""
        if self.error is None:
            return None
        kind, text = self.error
        return LaterError(text, self.later) if kind == LaterError.__name__ else by_name(kind)(text)


def words_of_sum(
    study: Study, plan: PrivacyPlan, task: Task, roster: Roster, published: Arrays, *, counting: bool
) -> Encoding:
    """How the numbers of a secure sum become words: hospital and coordinator both find it here.

    A patient moves weight · change of local training by at most learning rate · steps · clip / sampling rate,
    and SCAFFOLD's control variates by clip / sampling rate.
    """
    hospitals, fewest = len(roster.names), roster.fewest
    values = _values(task, study, published)
    if counting or plan.noise == "distributed" or task.learner is not None or values <= SMALL:
        return Encoding.for_plan(plan, hospitals, fewest, counting=counting, values=values)
    training, unit = study.training, plan.clip / plan.sampling_rate
    whole = training.local_steps * study.learning_rate
    noise = min(whole, 1.0) / math.sqrt(training.local_steps) * plan.noise_multiplier * unit
    return Encoding.for_released(max(whole, 1.0) * unit, noise, hospitals)


def _values(task: Task, study: Study, published: Arrays) -> int:
    """How many values a clipped gradient has: as many as the study moves of the model."""
    marks = published["blocks"].size if "blocks" in published else 0  # `tasks.learners.blocks`
    if study.trains == "everything":
        return marks + (published["model"].size if "model" in published else 1)
    return marks + int(places(task, study.trains).sum())


def packer(instruction: Instruction) -> Callable[[str | None], RecordDict]:
    """Packs the instruction for one hospital after another, its arrays once; for None, all that it says."""
    arrays = pack_arrays(instruction.published)
    everybody = RecordDict({"text": _pack_text(_instruction_text(instruction)), "arrays": arrays})

    def pack(hospital: str | None) -> RecordDict:
        if hospital is None or not instruction.secure:
            return everybody
        only = _instruction_text(instruction.only_for(hospital))
        return RecordDict({"text": _pack_text(only), "arrays": arrays})

    return pack


def pack_instruction(instruction: Instruction) -> RecordDict:
    """As Flower carries it."""
    return packer(instruction)(None)


def _instruction_text(instruction: Instruction) -> str:
    text = {
        "phase": instruction.phase,
        "study": instruction.study,
        "digest": instruction.digest,
        "round": instruction.round,
        "hospitals": instruction.hospitals,
        "secure": dict(instruction.secure),
    }
    return json.dumps(text)


def unpack_instruction(content: RecordDict) -> Instruction:
    """The inverse of `pack_instruction`; raises FederationError on anything else."""
    text, arrays = _parts(content)
    try:
        values = _read(text)
        return Instruction(
            phase=_phase(values["phase"]),
            study=str(values["study"]),
            digest=str(values["digest"]),
            round=_integer(values["round"]),
            hospitals=_integer(values["hospitals"]),
            published=arrays,
            secure={str(name): str(said) for name, said in values["secure"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FederationError(f"an instruction is malformed: {SAME_VERSION}") from error


def pack_reply(reply: Reply) -> RecordDict:
    """As Flower carries it."""
    vector = {} if reply.vector is None else {"vector": reply.vector}
    return RecordDict({"text": _pack_text(reply_to_text(reply)), "arrays": pack_arrays(vector)})


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
        "summed": reply.summed,
        "secure": reply.secure,
        "patients": reply.patients,
        "quarantined": reply.quarantined,
        "seconds": reply.seconds,
        "worker": reply.worker,
        "error": reply.error,
        "later": reply.later,
        "signature": reply.signature,
        "spent": None if reply.spent is None else reply.spent.to_json(),
    }
    return json.dumps(text, allow_nan=False)


def reply_from_text(text: str) -> Reply:
    """The inverse of `reply_to_text`; raises FederationError on anything else."""
    try:
        values = _read(text)
        error = values["error"]
        return Reply(
            hospital=str(values["hospital"]),
            phase=_phase(values["phase"]),
            digest=str(values["digest"]),
            round=_integer(values["round"]),
            noise=_finite(values["noise"]),
            metrics={k: math.nan if v is None else _finite(v) for k, v in values["metrics"].items()},
            summed=tuple(str(name) for name in values["summed"]),
            secure=str(values["secure"]),
            patients=None if values["patients"] is None else _integer(values["patients"]),
            quarantined=None if values["quarantined"] is None else _integer(values["quarantined"]),
            seconds=_finite(values["seconds"]),
            worker=str(values["worker"]),
            error=None if error is None else (str(error[0]), str(error[1])),
            later=_finite(values["later"]),
            signature=str(values["signature"]),
            spent=_spent(values["spent"]),
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise FederationError(f"a reply is malformed: {SAME_VERSION}") from error


def _pack_text(text: str) -> ConfigRecord:
    return ConfigRecord({"json": text})


def _parts(content: RecordDict) -> tuple[str, dict[str, Array]]:
    try:
        text = str(content.config_records["text"]["json"])
        return text, {name: unpack_array(value) for name, value in content.array_records["arrays"].items()}
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FederationError(f"a message is malformed: {SAME_VERSION}") from error


def _phase(value: object) -> Phase:
    if value not in MESSAGE_TYPE:
        raise ValueError("unknown phase")
    return value


def _spent(text: object) -> Accountant | None:
    """What a hospital says that a study has cost; raises ValueError where that cannot be."""
    try:
        return None if text is None else Accountant.from_json(str(text))
    except StateError as error:
        raise ValueError("no list of releases") from error


def _read(text: str) -> Any:
    """JSON as we write it: half a surrogate pair would break whoever writes it down, NaN whoever sums it."""
    values = json.loads(text, parse_constant=_finite)
    if "\\ud" in text or "\\uD" in text:
        json.dumps(values, ensure_ascii=False).encode()  # raises where there is half a pair
    return values


def _finite(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("not an integer")
    return value
