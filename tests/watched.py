"""A coordinator's home with studies whose courses were recorded, without any training."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from privacy.accountant import Accountant, Event
from server.authority.certificates import facts_of
from server.events import Advanced, Answered, tell
from server.home import CoordinatorHome
from server.progress import Member, Progress, Record, begin
from server.recording import Recorder, recording
from server.registry.hospitals import add
from tasks.registry import find
from tasks.study import Study, parse

HOSPITALS = ("amiens", "brest", "caen", "lille")
STUDY = 'name = "warm-hearts"\ntask = "heart-disease"\nrounds = 12\n[privacy]\nepsilon = 2.0\ndelta = 1e-4\n'
BARE = 'name = "bare-hearts"\ntask = "heart-disease"\nrounds = 3\n'
A_ROUND = Event(1.0, 20.0)


def home_in(folder: Path, name: str = "infarct-network") -> CoordinatorHome:
    """A coordinator's home, with four members."""
    home = CoordinatorHome.begin(folder / "coordinator", name, ["localhost"])
    for hospital in HOSPITALS:
        joined(home, hospital)
    return home


def joined(home: CoordinatorHome, hospital: str) -> None:
    """A hospital becomes a member, as at the door."""
    key, identity = ec.generate_private_key(ec.SECP384R1()), secrets.token_hex(32)
    pem = home.authority().for_hospital(hospital, identity, key.public_key(), timedelta(days=90))
    with home.registry.store.writing() as connection:
        add(connection, hospital, identity, facts_of(pem), pem.decode())


def launched(home: CoordinatorHome, text: str = STUDY, by: str = "anne") -> tuple[Study, Path]:
    """A study that was launched, and its folder."""
    study = parse(text)
    home.registry.studies.launch(study, HOSPITALS, 86400.0, by)
    folder = home.studies / study.digest
    folder.mkdir(parents=True, exist_ok=True)
    return study, folder


@dataclass
class Course:
    """A study's course, told as the driver tells it."""

    study: Study
    progress: Progress
    hospitals: tuple[str, ...] = HOSPITALS

    @staticmethod
    def of(study: Study) -> Course:
        """Before anything was asked."""
        return Course(study, begin(study, find(study.task, study.task_version, study.options)))

    def enrols(self, tell: Callable[..., None] = tell) -> None:
        """Every hospital answers, and the roster is known."""
        for name in self.hospitals:
            tell(Answered(name, "enrol", 0, 0.02))
        roster = tuple(Member(name, 100 + place, place) for place, name in enumerate(self.hospitals))
        self.progress = replace(self.progress, phase="train", round=1, roster=roster)
        tell(Advanced(self.progress, 0.1, 0.05, (), 0))

    def goes_on(
        self,
        left_out: Mapping[str, str] | None = None,
        *,
        abandoned: str = "",
        tell: Callable[..., None] = tell,
    ) -> None:
        """One round more; `left_out` says who did not contribute and why."""
        missing, number = dict(left_out or {}), self.progress.round
        there = tuple(name for name in self.hospitals if name not in missing)
        spent = Accountant((replace(A_ROUND, times=number),)) if self.study.privacy else None
        for name in there:
            tell(Answered(name, "train", number, 0.05, "", spent))
        for name, why in missing.items():
            tell(Answered(name, "train", number, 0.0, why))
        contributors = () if abandoned else there
        record = Record(number - 1, self._metrics(number - 1, there), contributors, {}, abandoned)
        last = number == self.study.rounds
        self.progress = replace(
            self.progress,
            phase="report" if last else "train",
            round=number if last else number + 1,
            history=(*self.progress.history, record),
            accountant=self.progress.accountant.spend(A_ROUND) if spent else self.progress.accountant,
        )
        tell(Advanced(self.progress, 1.5, 1.2, tuple(missing.items()), number))

    def ends(self, tell: Callable[..., None] = tell) -> None:
        """The last evaluation."""
        for name in self.hospitals:
            tell(Answered(name, "report", self.study.rounds, 0.01))
        rounds = self.study.rounds
        record = Record(rounds, self._metrics(rounds, self.hospitals), ())
        self.progress = replace(self.progress, phase="done", history=(*self.progress.history, record))
        tell(Advanced(self.progress, 0.2, 0.1, (), rounds + 1))

    def _metrics(self, after: int, there: tuple[str, ...]) -> dict[str, dict[str, float]]:
        """Accuracy grows, worst at the last hospital, which discloses no other metric."""
        best = {name: 0.9 - 0.05 * self.hospitals.index(name) - 0.3 / (1 + after) for name in there}
        return {
            name: {"accuracy": value} | ({} if name == self.hospitals[-1] else {"auc": value + 0.04})
            for name, value in best.items()
        }


def finished(folder: Path, study: Study) -> Course:
    """A study whose whole course is recorded."""
    course = Course.of(study)
    with recording(folder, study):
        course.enrols()
        for _ in range(study.rounds):
            course.goes_on()
        course.ends()
    return course


@contextmanager
def under_way(folder: Path, study: Study, rounds: int = 5) -> Iterator[tuple[Course, Recorder]]:
    """Inside, a study is being run that has done so many rounds; lille was left out of the third."""
    course = Course.of(study)
    with recording(folder, study) as recorder:
        course.enrols()
        for number in range(1, rounds + 1):
            course.goes_on({"lille": "no reply within 600 s"} if number == 3 else None)
        yield course, recorder


def soon(look: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether that holds within so many seconds."""
    until = time.monotonic() + seconds
    while not look():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
