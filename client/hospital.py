"""The hospital that this process acts for: who it is, where its data lies, who its patients are.

What is read here is sensitive and stays in this package.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from ground.errors import UsageError
from ground.files import locked
from tasks.contract import Task
from tasks.patients import Patients, PooledPatients
from tasks.registry import find
from tasks.study import Label

# Flower's simulation tells a node only its number: this variable then names a folder with the settings of
# hospital N in N.json.
HOSPITALS_VARIABLE = "LAENNEC_HOSPITALS"


@dataclass(frozen=True)
class Settings:
    """What a node is told by whoever runs it, never by the coordinator.

    Attributes:
        name: the hospital's name.
        sources: the paths of its data, in the form that the task reads.
        home: folder for what must survive a crash; None keeps it in memory.
        secret_noise: draw noise from the operating system; False makes it repeatable from the study's seed,
            which is for simulations alone.
        discloses: let counts and metrics leave in the clear, as on a machine whose owner has all the data.
        sums_metrics: let exact metrics enter a secure sum. A coordinator that leaves hospitals out of some
            sums can work out from several what one hospital's are, and where only one hospital allows it the
            mean is that hospital's: so it is the hospital's to allow.
        identity: private signing key in hexadecimal of a simulated hospital; a real one keeps its own.
        peers: (name, public identity in hexadecimal) of the hospitals with whom it may sum.
        least_hospitals: the fewest hospitals in a sum that this one adds to.
        colluders: how many other hospitals may help a lying coordinator without harm; said with its keys, so
            that the roster is drawn up for it.
        trusts_sum: take part in studies whose noise is complete only in a sum that others compute in the
            clear; the one-machine engines set it.
        governed: answer only for studies that a person at this hospital approved, within its limits, and
            write it into the journal of its home; every real node does.

    """

    name: str
    sources: tuple[str, ...]
    home: Path | None = None
    secret_noise: bool = True
    discloses: bool = False
    trusts_sum: bool = False
    sums_metrics: bool = False
    identity: str = field(default="", repr=False)
    peers: tuple[tuple[str, str], ...] = ()
    least_hospitals: int = 3
    colluders: int = 1
    governed: bool = False

    @property
    def account(self) -> str:
        """The name of its cohort in its ε book: one for all its data, whatever the task."""
        return self.name

    def to_config(self) -> dict[str, str | bool | int]:
        """As Flower's node configuration holds it."""
        return {
            "hospital": self.name,
            "sources": json.dumps(self.sources),
            "home": "" if self.home is None else str(self.home),
            "secret-noise": self.secret_noise,
            "discloses": self.discloses,
            "trusts-sum": self.trusts_sum,
            "sums-metrics": self.sums_metrics,
            "identity": self.identity,
            "peers": json.dumps(self.peers),
            "least-hospitals": self.least_hospitals,
            "colluders": self.colluders,
            "governed": self.governed,
        }

    @staticmethod
    def from_config(config: Mapping[str, object]) -> Settings:
        """From a node configuration; raises UsageError where it names no hospital."""
        if "partition-id" in config:
            folder = Path(os.environ.get(HOSPITALS_VARIABLE, ""))
            config = json.loads((folder / f"{int(str(config['partition-id']))}.json").read_text("utf-8"))
        if "hospital" not in config or "sources" not in config:
            raise UsageError("this node was not told which hospital it is: set hospital and sources")
        home = str(config.get("home", ""))
        return Settings(
            name=str(config["hospital"]),
            sources=tuple(json.loads(str(config["sources"]))),
            home=Path(home) if home else None,
            secret_noise=bool(config.get("secret-noise", True)),
            discloses=bool(config.get("discloses", False)),
            trusts_sum=bool(config.get("trusts-sum", False)),
            sums_metrics=bool(config.get("sums-metrics", False)),
            identity=str(config.get("identity", "")),
            peers=tuple((name, key) for name, key in json.loads(str(config.get("peers", "[]")))),
            least_hospitals=int(str(config.get("least-hospitals", 3))),
            colluders=int(str(config.get("colluders", 1))),
            governed=bool(config.get("governed", False)),
        )


@contextmanager
def at_home(settings: Settings) -> Iterator[None]:
    """Inside, nobody else answers for this hospital: two at once would draw two noises for one booking."""
    if settings.home is None:
        yield
        return
    busy = f"{settings.name} is answering another process: run one study at a time in one folder"
    with locked(settings.home / ".lock", 5.0, busy):
        yield


@dataclass(frozen=True, eq=False)
class Cohort:
    """One hospital's patients for one task, split as the task prescribes. Sensitive."""

    training: Patients
    test: Patients
    quarantined: int


def cohort(task_name: str, sources: tuple[str, ...], labels: tuple[Label, ...] = ()) -> Cohort:
    """Read and split the patients once a process; several sources are pooled after their own splits.

    `labels` are a study's: which number stands for which structure where images are labelled.
    """
    return _cohort(task_name, sources, labels)


def everybody(task_name: str, sources: tuple[str, ...], labels: tuple[Label, ...] = ()) -> Patients:
    """All patients of a hospital in the order of its data, however few: for a model that is only tested."""
    task = find(task_name)
    parts = [_read(task, Path(source), labels) for source in sources]
    return parts[0] if len(parts) == 1 else PooledPatients(parts)


def forget_cohorts() -> None:
    """Read patients anew from here on: what they were read from has changed."""
    _cohort.cache_clear()


@lru_cache(maxsize=256)
def _cohort(task_name: str, sources: tuple[str, ...], labels: tuple[Label, ...]) -> Cohort:
    task = find(task_name)
    parts = [_split(task, Path(source), labels) for source in sources]
    if len(parts) == 1:
        return parts[0]
    return Cohort(
        PooledPatients([part.training for part in parts]),
        PooledPatients([part.test for part in parts]),
        sum(part.quarantined for part in parts),
    )


def _split(task: Task, source: Path, labels: tuple[Label, ...]) -> Cohort:
    patients = _read(task, source, labels)
    training, test = task.split(patients)
    for chosen, purpose in ((training, "to learn from"), (test, "to test on")):
        if np.size(chosen) == 0:
            raise UsageError(f"{source}: no patient {purpose}: add patients, or leave this hospital out")
    quarantined = sum(patients.set_aside.values())
    return Cohort(patients.subset(training), patients.subset(test), quarantined)


def _read(task: Task, source: Path, labels: tuple[Label, ...]) -> Patients:
    if not labels:
        return task.read(source)
    if task.read_labelled is None:
        raise UsageError(f"task {task.name} reads no labelled images: leave the labels out")
    return task.read_labelled(source, dict(labels))
