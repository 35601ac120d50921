"""Where a study stands, by its recording: what `coordinator status`, the dashboard and the metrics show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from privacy.accountant import Accountant
from server.events import Waiting
from server.report.result import mean, plain

State = Literal["new", "preparing", "enrolling", "running", "interrupted", "stopped", "failed", "done"]
STATES: tuple[State, ...] = get_args(State)
# In these nobody is at it.
OVER = ("stopped", "failed", "done")


@dataclass(frozen=True)
class Shown:
    """One evaluation of the shared model, and who contributed to the round after it.

    Attributes:
        number: its place among all evaluations, from 0.
        time: when, in seconds since 1970.
        after: how many rounds the model had been trained for.
        hospitals: hospital -> metric -> value, where the hospital discloses them; None where undefined.
        summed: metric -> mean over the contributors, from a secure sum.
        contributors: who contributed to round `after` + 1; empty for the last evaluation.
        abandoned: why that round was abandoned; empty where it was not.

    """

    number: int
    time: float
    after: int
    hospitals: Mapping[str, Mapping[str, float | None]]
    summed: Mapping[str, float | None]
    contributors: tuple[str, ...]
    abandoned: str

    @property
    def means(self) -> dict[str, float | None]:
        """Each metric's mean: over the hospitals that disclose it, else from the secure sum."""
        known = {
            name: {metric: math.nan if value is None else value for metric, value in values.items()}
            for name, values in self.hospitals.items()
        }
        return {**self.summed, **plain(mean(known))}


@dataclass(frozen=True)
class HospitalStanding:
    """One hospital of a study.

    Attributes:
        name: its name.
        patients: how many it has, where it says so.
        quarantined: how many it set aside, where it says so.
        contact: when it was heard of last, in seconds since 1970.
        contributed: the rounds to which it contributed.
        left_out: (round, reason) for each time that it did not.
        spent: what this study has cost its patients by its own book; None where it does not say.
        trouble: why it did not answer the last question, in its own words; empty where it did.
        phase: what it answered last.
        seconds: how long it worked on that, as it says.
        arriving: how much of its reply has come in, from 0 to 1; None where nothing is on its way.

    """

    name: str
    patients: int | None
    quarantined: int | None
    contact: float | None
    contributed: tuple[int, ...]
    left_out: tuple[tuple[int, str], ...]
    spent: Accountant | None
    trouble: str
    phase: str
    seconds: float
    arriving: float | None = None


@dataclass(frozen=True)
class Standing:
    """Where a study stands.

    Attributes:
        study: its name.
        digest: its digest.
        task: its task.
        headline: the metric that the task is judged by.
        rounds: how many it has.
        epsilon: the ε that it asks for; None without privacy.
        delta: the δ of it; None without privacy.
        secure: whether updates meet only in a masked sum.
        state: "new" before anything was recorded, "interrupted" where its process was killed.
        why: why it stopped or failed; empty elsewhere.
        round: the last round that was completed.
        phase: what the hospitals are being asked.
        began: when, in seconds since 1970; None before that.
        changed: when the last line was written; None before any.
        attempts: how often a coordinator took it up.
        prepared: (done, total) of a digital start that is being made; None else.
        waiting: whom it waits for now, and what for.
        hospitals: by name.
        shown: the evaluations, in their order.
        left_out: (round, hospital, reason) of each contribution that was missing.
        releases: the noisy releases of the whole study so far.
        round_seconds: how long the last rounds took, by round.

    """

    study: str
    digest: str
    task: str
    headline: str
    rounds: int
    epsilon: float | None
    delta: float | None
    secure: bool
    state: State
    why: str
    round: int
    phase: str
    began: float | None
    changed: float | None
    attempts: int
    prepared: tuple[int, int] | None
    waiting: tuple[Waiting, ...]
    hospitals: tuple[HospitalStanding, ...]
    shown: tuple[Shown, ...]
    left_out: tuple[tuple[int, str, str], ...]
    releases: Accountant
    round_seconds: Mapping[int, float]

    def spent(self) -> float:
        """ε of the whole study so far, by PLD; ∞ without privacy once anything was released."""
        return self._epsilon(self.releases)

    def spent_at(self, hospital: HospitalStanding) -> float | None:
        """ε of this study at that hospital by its own book; None where it does not say."""
        return None if hospital.spent is None else self._epsilon(hospital.spent)

    def _epsilon(self, releases: Accountant) -> float:
        if self.delta is None:
            return math.inf if releases.events or self.round else 0.0
        return releases.epsilon(self.delta)

    def curve(self, metric: str = "") -> list[tuple[int, float | None]]:
        """(rounds done, mean of that metric), of the headline where none is named."""
        name = metric or self.headline
        return [(each.after, each.means.get(name)) for each in self.shown if name in each.means]

    def curve_of(self, hospital: str, metric: str = "") -> list[tuple[int, float | None]]:
        """The same of one hospital, where it discloses it."""
        name, found = metric or self.headline, []
        for each in self.shown:
            if name in (values := each.hospitals.get(hospital, {})):
                found.append((each.after, values[name]))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an ε of null is ∞ where `private` is false, and else not said."""
        return {
            "study": self.study,
            "digest": self.digest,
            "task": self.task,
            "headline": self.headline,
            "state": self.state,
            "why": self.why,
            "round": self.round,
            "rounds": self.rounds,
            "phase": self.phase,
            "began": self.began,
            "changed": self.changed,
            "attempts": self.attempts,
            "private": self.epsilon is not None,
            "epsilon_asked": self.epsilon,
            "delta": self.delta,
            "epsilon": _finite(self.spent()),
            "waiting": [_waited(each) for each in self.waiting],
            "hospitals": [
                {
                    "name": each.name,
                    "patients": each.patients,
                    "quarantined": each.quarantined,
                    "last_contact": each.contact,
                    "contributed": list(each.contributed),
                    "left_out": [{"round": number, "reason": why} for number, why in each.left_out],
                    "epsilon": _finite(self.spent_at(each)),
                    "trouble": each.trouble,
                }
                for each in self.hospitals
            ],
            "curve": [
                {"after": each.after, "metrics": each.means, "contributors": list(each.contributors)}
                for each in self.shown
            ],
            "left_out": [
                {"round": number, "hospital": name, "reason": why} for number, name, why in self.left_out
            ],
        }


def _waited(wait: Waiting) -> dict[str, Any]:
    return {
        "sentence": wait.sentence,
        "hospitals": list(wait.hospitals),
        "seconds": wait.seconds,
        "limit": wait.limit,
        "for": wait.what,
        "last_seen": list(wait.last_seen),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
