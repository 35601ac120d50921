"""What a hospital keeps of a study between rounds, and why it never answers one round twice.

A reply that was computed is stored with the memory and the accountant that go with it, in one file, before
it is sent. The same round asked again gets the stored reply: no second noisy release, no ε spent twice, no
step of a control variate taken twice. The file is replaced atomically, so a crash leaves the state of
before the round or of after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from flwr.app import ConfigRecord, RecordDict

from ground.arrays import Array, Arrays, Words
from ground.bundle import pack, unpack
from ground.errors import FederationError, StateError
from ground.files import write_atomically
from privacy.accountant import Accountant
from privacy.secagg import HospitalSide
from tasks.messages import Instruction, Reply, reply_from_text, reply_to_text


@dataclass(frozen=True)
class Memory:
    """One hospital's state of one study.

    Attributes:
        stage: of the last instruction that was answered (`Instruction.stage`); -1 before enrolment.
        arrays: what the learner keeps; sensitive.
        accountant: the noisy releases so far.
        reply: the answer to that instruction.
        secure: this hospital's side of secure aggregation, sensitive; None without.

    """

    stage: int = -1
    arrays: Arrays = field(default_factory=dict)
    accountant: Accountant = field(default_factory=Accountant)
    reply: Reply | None = None
    secure: HospitalSide | None = field(default=None, repr=False)

    def answer_to(self, asked: Instruction) -> Reply | None:
        """The stored reply where this was answered already; raises FederationError for anything older."""
        if asked.stage > self.stage:
            return None
        if asked.stage == self.stage:
            return self.reply
        last = "a later one" if self.reply is None else f"{self.reply.phase} {self.reply.round}"
        raise FederationError(
            f"asked for {asked.phase}, round {asked.round}, after {last} was answered: "
            "the coordinator has lost its state; restore it or launch the study anew"
        )


class Store:
    """Where one study's memory lies: a file in the hospital's home, or Flower's context of this run."""

    def __init__(self, home: Path | None, digest: str, state: RecordDict) -> None:
        self._file = None if home is None else home / f"{digest}.safetensors"
        self._name = f"laennec-{digest[:16]}"
        self._state = state

    def load(self) -> Memory:
        """The memory, or an empty one before the first round; raises StateError where it is damaged."""
        data = self._read()
        if data is None:
            return Memory()
        where = str(self._file or "this study's memory")
        tensors, header = unpack(data, where)
        try:
            reply = replace(reply_from_text(header["reply"]), vector=tensors.pop("reply.vector", None))
            accountant = Accountant.from_json(header["accountant"])
            number = int(header["stage"])
            side = None if header["secure"] is None else HospitalSide.from_text(header["secure"])
        except (KeyError, ValueError, FederationError) as error:
            raise StateError(
                f"{where}: damaged: restore it from a backup; without it nobody knows what was spent"
            ) from error
        arrays = {name.removeprefix("kept."): value for name, value in tensors.items()}
        return Memory(number, arrays, accountant, reply, side)

    def save(self, memory: Memory) -> None:
        """Replace what was kept, atomically."""
        if memory.reply is None:
            raise ValueError("memory is saved together with the reply that it belongs to")
        tensors: dict[str, Array | Words] = {f"kept.{name}": v for name, v in memory.arrays.items()}
        if memory.reply.vector is not None:
            tensors["reply.vector"] = memory.reply.vector
        header = {
            "stage": memory.stage,
            "secure": None if memory.secure is None else memory.secure.to_text(),
            "accountant": memory.accountant.to_json(),
            "reply": reply_to_text(memory.reply),
        }
        data = pack(tensors, header)
        if self._file is None:
            self._state[self._name] = ConfigRecord({"memory": data})
        else:
            write_atomically(self._file, data)

    def _read(self) -> bytes | None:
        if self._file is not None:
            return self._file.read_bytes() if self._file.is_file() else None
        record = self._state.config_records.get(self._name)
        if record is None:
            return None
        data = record.get("memory")
        if not isinstance(data, bytes):
            raise StateError("this study's memory is of another kind: without it nobody knows what was spent")
        return data
