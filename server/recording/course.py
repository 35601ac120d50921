"""What the lines of a recording add up to, one line at a time, in whatever state a crash left them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from ground.errors import StateError
from privacy.accountant import Accountant
from server.events import Waiting, What
from server.recording.lines import Line
from server.recording.standing import OVER, HospitalStanding, Shown, Standing, State

KEPT = 200  # of the last rounds' seconds
# Seconds after which what was said of the moment no longer holds: it is said every second.
FRESH = 15.0
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, StateError)
NOBODY = HospitalStanding("", None, None, None, (), (), None, "", "", 0.0)


@dataclass
class Course:
    """A study's course up to some line."""

    facts: Line = field(default_factory=dict)
    state: State = "new"
    why: str = ""
    round: int = 0
    phase: str = ""
    began: float | None = None
    changed: float | None = None
    stepped: float = 0.0
    attempts: int = 0
    hospitals: dict[str, HospitalStanding] = field(default_factory=dict)
    shown: dict[int, Shown] = field(default_factory=dict)
    missed: dict[tuple[int, str], str] = field(default_factory=dict)
    releases: Accountant = field(default_factory=Accountant)
    seconds: dict[int, float] = field(default_factory=dict)

    def take(self, line: Line) -> None:
        """One line more; one that does not hold what it should is passed over."""
        tell = _TELLERS.get(line["what"])
        try:
            time = float(line["time"])
            if tell is not None:
                tell(self, line, time)
        except MALFORMED:
            return
        self.changed = time

    def standing(self, moment: Line, *, alive: bool, clock: float) -> Standing:
        """Where the study stands, with what is said of the moment."""
        state = self.state
        if state not in ("new", *OVER) and not alive:
            state = "interrupted"
        now = _Moment(self, moment, clock) if state not in ("new", "interrupted", *OVER) else None
        prepared = None if now is None else now.prepared()
        return Standing(
            study=str(self.facts.get("study", "")),
            digest=str(self.facts.get("digest", "")),
            task=str(self.facts.get("task", "")),
            headline=str(self.facts.get("headline", "")),
            rounds=int(self.facts.get("rounds", 0)),
            epsilon=self.facts.get("epsilon"),
            delta=self.facts.get("delta"),
            secure=bool(self.facts.get("secure")),
            state=state if prepared is None else "preparing",
            why=self.why,
            round=self.round,
            phase=self.phase,
            began=self.began,
            changed=self.changed,
            attempts=self.attempts,
            prepared=prepared,
            waiting=() if now is None else now.waiting(),
            hospitals=tuple(
                replace(each, arriving=None if now is None else now.arriving(name))
                for name, each in sorted(self.hospitals.items())
            ),
            shown=tuple(self.shown.values()),
            left_out=tuple((number, name, why) for (number, name), why in sorted(self.missed.items())),
            releases=self.releases,
            round_seconds=dict(self.seconds),
        )

    def at(self, name: str) -> HospitalStanding:
        """What is known of that hospital."""
        return self.hospitals.get(name) or replace(NOBODY, name=name)

    def begin(self, line: Line, time: float) -> None:
        """A coordinator takes the study up."""
        self.facts = line
        self.began = time if self.began is None else self.began
        self.attempts += 1
        if self.state != "done":
            self.why = ""
            self.state = "running" if self.shown else "enrolling"
            self.phase = self.phase or "enrol"

    def enrolled(self, line: Line, _time: float) -> None:
        """The roster is known."""
        for member in line["hospitals"]:
            known = self.at(str(member["name"]))
            self.hospitals[known.name] = replace(
                known, patients=member["patients"], quarantined=member["quarantined"]
            )
        self.state = "running"

    def answer(self, line: Line, time: float) -> None:
        """A hospital answered."""
        known = self.at(str(line["hospital"]))
        spent = Accountant.from_json(json.dumps(line["spent"])) if "spent" in line else known.spent
        self.hospitals[known.name] = replace(
            known,
            contact=time,
            phase=str(line["phase"]),
            seconds=float(line["seconds"]),
            trouble=str(line.get("error", "")),
            spent=spent,
        )

    def show(self, line: Line, time: float) -> None:
        """The shared model was evaluated, and a round closed."""
        number = int(line["number"])
        if number in self.shown:
            return  # told again by a coordinator that was killed before it saved
        shown = Shown(
            number=number,
            time=time,
            after=int(line["after"]),
            hospitals={name: dict(values) for name, values in line["hospitals"].items()},
            summed=dict(line["summed"]),
            contributors=tuple(map(str, line["contributors"])),
            abandoned=str(line["abandoned"]),
        )
        self.shown[number] = shown
        self.round = max(self.round, shown.after + bool(shown.contributors or shown.abandoned))
        for name in shown.contributors:
            known = self.at(name)
            rounds = (*known.contributed, shown.after + 1)
            self.hospitals[name] = replace(known, contributed=rounds)

    def step(self, line: Line, time: float) -> None:
        """A step was taken: a round, or with secure aggregation a part of one."""
        number, missing = int(line["round"]), [(str(name), str(why)) for name, why in line["left_out"]]
        self.stepped, self.phase = time, str(line["next"])
        self.releases = Accountant.from_json(json.dumps(line["releases"]))
        for name, why in missing:
            if (number, name) not in self.missed:
                known = self.at(name)
                self.hospitals[name] = replace(known, left_out=(*known.left_out, (number, why)))
            self.missed[(number, name)] = why
        self.seconds[number] = self.seconds.get(number, 0.0) + float(line["seconds"])
        if len(self.seconds) > KEPT:
            del self.seconds[min(self.seconds)]
        self.state = "done" if self.phase == "done" else "running"

    def end(self, line: Line, _time: float) -> None:
        """An attempt ended."""
        if self.state != "done":
            self.state = line["state"] if line["state"] in OVER else "failed"
            self.why = str(line["why"])


_TELLERS: dict[str, Callable[[Course, Line, float], None]] = {
    "begin": Course.begin,
    "enrolled": Course.enrolled,
    "answer": Course.answer,
    "shown": Course.show,
    "step": Course.step,
    "end": Course.end,
}


@dataclass(frozen=True)
class _Moment:
    """What is said of this moment, as far as nothing has happened since."""

    course: Course
    said: Line
    clock: float

    def waiting(self) -> tuple[Waiting, ...]:
        """Whom the study waits for; those that answered since are left out."""
        found = [self._wait(each) for each in self._of("waits")]
        return tuple(each for each in found if each is not None)

    def prepared(self) -> tuple[int, int] | None:
        """How far a digital start is."""
        try:
            return next(((int(each["done"]), int(each["total"])) for each in self._of("prepare")), None)
        except MALFORMED:
            return None

    def arriving(self, hospital: str) -> float | None:
        """How much of that hospital's reply is here."""
        try:
            each = next(each for each in self._of("arriving") if each["hospital"] == hospital)
            here = float(each["received"]) / float(each["total"])
        except (StopIteration, ZeroDivisionError, *MALFORMED):
            return None
        answered = (self.course.hospitals[hospital].contact or 0.0) > float(each["time"])
        return None if answered else min(1.0, max(0.0, here))

    def _of(self, what: str) -> list[Line]:
        """The entries that still hold."""
        try:
            entries = [(each, float(each["time"])) for each in self.said[what].values()]
        except MALFORMED:
            return []
        return [each for each, time in entries if time > self.course.stepped and self.clock - time <= FRESH]

    def _wait(self, each: Line) -> Waiting | None:
        try:
            time, ago = float(each["time"]), self.clock - float(each["time"])
            listed: Any = each["last_seen"] or [None] * len(each["hospitals"])
            seen: dict[str, float | None] = {}
            for name, seconds in zip(map(str, each["hospitals"]), listed, strict=True):
                contact = self.course.at(name).contact
                if contact is not None and contact > time:
                    continue
                known = [float(seconds) + ago] if seconds is not None else []
                known += [self.clock - contact] if contact is not None else []
                seen[name] = max(0.0, min(known)) if known else None
            if not seen or each["for"] not in get_args(What):
                return None
            return Waiting(
                tuple(seen), float(each["seconds"]), float(each["limit"]), each["for"], tuple(seen.values())
            )
        except MALFORMED:
            return None
