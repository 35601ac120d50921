"""What a comparison has finished so far, kept until it is whole, so that an interrupted one goes on.

A federation that ended is one file, its coordinator's last progress; so is a digital start. One that was
interrupted begins anew: its hospitals' memory is not kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from client.hospital import Settings
from deploy import origin
from deploy.federation import Machine, Outcome, federate
from ground.arrays import Array
from ground.bundle import pack, unpack
from ground.files import locked, write_atomically
from server import checkpoint
from server.events import Advanced, Event
from server.progress import Progress
from server.results import Seconds
from tasks.contract import Task
from tasks.learners import digital_start
from tasks.registry import find
from tasks.study import Study

FOLDER = "arms"
Watch = Callable[[Event], None]


@dataclass(frozen=True)
class Kept:
    """What is kept in this folder; without one nothing is, and everything is run."""

    folder: Path | None = None

    def federated(
        self, study: Study, hospitals: Sequence[Settings], machine: Machine, watch: Watch | None = None
    ) -> Outcome:
        """The study over these hospitals: as it is kept, or run now and kept."""
        file = self._file("-".join((study.digest, *(each.name for each in hospitals))))
        if file is not None and file.is_file():
            outcome = _read(file, machine)
            if watch is not None:
                for step in _steps_of(outcome.progress):
                    watch(step)
            return outcome
        self._recall_start(study)
        outcome = federate(study, hospitals, machine, watch=watch)
        self._keep_start(study)
        if file is not None:
            write_atomically(file, _written(outcome))
        return outcome

    def started(self, study: Study, watch: digital_start.Watch) -> Array:
        """The study's digital start: as it is kept, or made now and kept."""
        self._recall_start(study)
        start = digital_start.digital_start(_task(study), study, watch)
        self._keep_start(study)
        return start

    def _recall_start(self, study: Study) -> None:
        file = self._start_file(study)
        if file is not None and file.is_file():
            arrays, _ = unpack(file.read_bytes(), str(file))
            digital_start.remember(_task(study), study, arrays["model"])

    def _keep_start(self, study: Study) -> None:
        file = self._start_file(study)
        made = digital_start.made(_task(study), study)
        if file is not None and made is not None and not file.is_file():
            write_atomically(file, pack({"model": made}, {}))

    def _start_file(self, study: Study) -> Path | None:
        return self._file(repr(digital_start.key_of(_task(study), study)))

    def _file(self, what: str) -> Path | None:
        name = sha256(what.encode()).hexdigest()
        return None if self.folder is None else self.folder / f"{name}.safetensors"


@contextmanager
def kept_in(out: Path, hospitals: Sequence[Settings]) -> Iterator[Kept]:
    """Inside, no other comparison uses this folder, and what is finished is kept; gone once all is.

    Raises StateError where another one uses it, UsageError where what is kept is of other data.
    """
    folder = out / FOLDER
    busy = f"{out}: another comparison is using this folder: choose another --out"
    with locked(folder / ".lock", 0.0, busy):
        origin.check(folder, hospitals, begun=any(folder.glob("*.safetensors")))
        yield Kept(folder)
        shutil.rmtree(folder)


def _task(study: Study) -> Task:
    return find(study.task, study.task_version, study.options)


def _written(outcome: Outcome) -> bytes:
    progress = np.frombuffer(checkpoint.to_bytes(outcome.progress), dtype=np.uint8)
    return pack({"progress": progress}, {"seconds": asdict(outcome.seconds), "left_out": outcome.left_out})


def _read(file: Path, machine: Machine) -> Outcome:
    arrays, header = unpack(file.read_bytes(), str(file))
    progress = checkpoint.from_bytes(arrays["progress"].tobytes(), str(file))
    left_out = tuple((int(number), str(name), str(why)) for number, name, why in header["left_out"])
    return Outcome(progress, machine, Seconds(**header["seconds"]), left_out)


def _steps_of(progress: Progress) -> Iterator[Advanced]:
    """For whoever watches: as if each round were done now."""
    for count in range(1, len(progress.history) + 1):
        yield Advanced(replace(progress, history=progress.history[:count]), 0.0, 0.0)
