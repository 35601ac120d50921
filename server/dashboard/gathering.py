"""What the pages show of studies and hospitals: the registry's word and the recordings', put together."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace

from ground.errors import UsageError
from server.dashboard.drawing import Chart, Stretch, chart, spark, stretches
from server.home import CoordinatorHome
from server.recording import HospitalStanding, Standing, standing
from server.registry.hospitals import Hospital
from server.registry.studies import Launched

# state -> (words, tone): "busy" moves, "good" is done, "bad" asks for a person, "still" waits for nobody.
STATES = {
    "new": ("waiting for the coordinator", "still"),
    "preparing": ("learning from digital patients", "busy"),
    "enrolling": ("hospitals enrol", "busy"),
    "running": ("running", "busy"),
    "interrupted": ("interrupted", "bad"),
    "stopped": ("stopped", "still"),
    "failed": ("failed", "bad"),
    "done": ("done", "good"),
}
LATELY = 120.0  # seconds in which whoever was heard of counts as there


@dataclass(frozen=True)
class Study:
    """A study that was launched, and where it stands."""

    launched: Launched
    standing: Standing

    @property
    def digest(self) -> str:
        """The study's digest."""
        return self.launched.digest

    @property
    def name(self) -> str:
        """The study's name."""
        return self.launched.name

    @property
    def rounds(self) -> int:
        """How many it has."""
        return self.standing.rounds or self.launched.study.rounds

    @property
    def state(self) -> str:
        """One of STATES: the registry's word on what is over, else the recording's."""
        if self.launched.state == "finished":
            return "done"
        if self.launched.state in ("failed", "stopped"):
            return self.launched.state
        if self.standing.state in ("stopped", "failed"):  # taken up again, and nothing recorded since
            return "new"
        return self.standing.state

    @property
    def words(self) -> str:
        """The state for a person."""
        approval = [
            name for wait in self.standing.waiting if wait.what == "approval" for name in wait.hospitals
        ]
        return "waiting for approval" if approval and self.state == "enrolling" else STATES[self.state][0]

    @property
    def tone(self) -> str:
        """How the state looks."""
        return STATES[self.state][1]

    @property
    def under_way(self) -> bool:
        """Whether it is neither done nor given up."""
        return self.state not in ("done", "failed", "stopped")

    @property
    def why(self) -> str:
        """Why it failed, stopped or was interrupted; empty elsewhere."""
        if self.state == "interrupted":
            return "its process was ended from outside; the coordinator takes it up again by itself"
        return self.launched.why or (self.standing.why if self.state in ("failed", "stopped") else "")

    @property
    def mean(self) -> float | None:
        """The headline metric of the model as it is now, as far as anybody discloses it."""
        known = self.standing.curve()
        return known[-1][1] if known else None

    @property
    def worst(self) -> tuple[str, float] | None:
        """The hospital that the model serves worst now."""
        if not self.standing.shown:
            return None
        name = self.standing.headline
        last = self.standing.shown[-1].hospitals
        known = [(each, value) for each, values in last.items() if (value := values.get(name)) is not None]
        return min(known, key=lambda each: (each[1], each[0]), default=None)

    @property
    def spark(self) -> str:
        """Its curve, small."""
        return spark(self.standing.curve(), self.rounds)

    @property
    def remaining(self) -> float | None:
        """Seconds to go, by the last rounds; None before there are three, or where it does not run."""
        done = [seconds for number, seconds in self.standing.round_seconds.items() if number > 0][-20:]
        if self.state != "running" or len(done) < 3:
            return None
        return statistics.median(done) * max(0, self.rounds - self.standing.round)

    @property
    def awaited(self) -> frozenset[str]:
        """The hospitals that it waits for."""
        return frozenset(name for wait in self.standing.waiting for name in wait.hospitals)

    @property
    def hospitals(self) -> tuple[HospitalStanding, ...]:
        """Those that it asks, whether or not anything was heard of them."""
        heard = {each.name: each for each in self.standing.hospitals}
        blank = HospitalStanding("", None, None, None, (), (), None, "", "", 0.0)
        return tuple(
            heard.get(name) or _named(blank, name)
            for name in sorted({*heard, *(() if heard and self.standing.round else self.launched.hospitals)})
        )

    def stretches(self, hospital: HospitalStanding) -> list[Stretch]:
        """How its rounds went."""
        lost = [each.after + 1 for each in self.standing.shown if each.abandoned]
        missed = [number for number, _ in hospital.left_out if number > 0]
        return stretches(self.rounds, hospital.contributed, missed, lost)

    def metrics(self) -> list[str]:
        """The names of all metrics, the headline first."""
        names = {name for each in self.standing.shown for name in each.means}
        first = [self.standing.headline] if self.standing.headline in names else []
        return first + sorted(names - set(first))

    def chart(self, metric: str) -> Chart | None:
        """That metric over the rounds: the mean, and each hospital that discloses it."""
        others = [(each.name, self.standing.curve_of(each.name, metric)) for each in self.standing.hospitals]
        return chart(self.standing.curve(metric), others, self.rounds, "mean")

    def value(self, hospital: str, metric: str) -> float | None:
        """A hospital's metric of the model as it is now."""
        return (
            self.standing.shown[-1].hospitals.get(hospital, {}).get(metric) if self.standing.shown else None
        )


@dataclass(frozen=True)
class Place:
    """A hospital of the federation: its membership, and what the studies heard of it.

    Attributes:
        name: its name.
        member: the registry's word; None of one that only a recording knows.
        contact: when a study heard of it last, in seconds since 1970.
        parts: (study, the hospital in it).

    """

    name: str
    member: Hospital | None
    contact: float | None
    parts: tuple[tuple[Study, HospitalStanding], ...]


def studies(home: CoordinatorHome) -> list[Study]:
    """All, those under way first, then the latest first."""
    found = [seen(home, each) for each in home.registry.studies.all()]
    return sorted(found, key=lambda each: (not each.under_way, -each.launched.launched))


def study(home: CoordinatorHome, digest: str) -> Study:
    """The study of just this digest; raises UsageError where there is none."""
    for each in home.registry.studies.all():
        if each.digest == digest:
            return seen(home, each)
    raise UsageError("no study here has such a digest: go back to the list of studies")


def seen(home: CoordinatorHome, launched: Launched) -> Study:
    """A study with what was recorded of it."""
    return Study(launched, standing(home.studies / launched.digest))


def places(home: CoordinatorHome, known: list[Study]) -> list[Place]:
    """Every hospital that ever joined or took part, by name."""
    members = {each.name: each for each in home.registry.hospitals.all()}
    parts: dict[str, list[tuple[Study, HospitalStanding]]] = {name: [] for name in members}
    for each in known:
        for hospital in each.standing.hospitals:
            parts.setdefault(hospital.name, []).append((each, hospital))
    return [
        Place(
            name,
            members.get(name),
            max((h.contact for _, h in parts[name] if h.contact is not None), default=None),
            tuple(parts[name]),
        )
        for name in sorted(parts)
    ]


def _named(blank: HospitalStanding, name: str) -> HospitalStanding:
    return replace(blank, name=name)
