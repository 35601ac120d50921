"""How long a coordinator waits: four limits, of which the one for answers follows from what was measured."""

from __future__ import annotations

from dataclasses import dataclass, field

# A reply is waited for this many times as long as the slowest that came, and never shorter than the least.
TIMES_SLOWEST, LEAST_SECONDS = 10.0, 60.0


@dataclass(frozen=True)
class Terms:
    """How long a coordinator waits, and for how many.

    Every wait is one of these four, and is told about while it lasts (`server.events.Waiting`).

    Attributes:
        hospitals: how many nodes to wait for before enrolling.
        reply_seconds: the longest that one hospital may take for one answer: a bound, which holds until a
            first answer was measured (`Speeds`).
        join_seconds: the longest that all may take to connect.
        later_seconds: the longest that one step waits for hospitals that answer at another hour.
        approval_seconds: the longest that enrolling waits for persons to approve the study; 0 ends it at the
            first hospital that did not.

    """

    hospitals: int
    reply_seconds: float = 3600.0
    join_seconds: float = 300.0
    later_seconds: float = 86400.0
    approval_seconds: float = 0.0


@dataclass
class Speeds:
    """How long answers took, by what was asked, and so how long the next may take."""

    terms: Terms
    slowest: dict[str, float] = field(default_factory=dict)

    def limit(self, phase: str) -> float:
        """Seconds after which an answer is given up: ten times the slowest so far, within bounds."""
        bound = self.terms.reply_seconds
        if phase not in self.slowest:
            return bound
        return min(bound, max(LEAST_SECONDS, TIMES_SLOWEST * self.slowest[phase]))

    def took(self, phase: str, seconds: float) -> None:
        """An answer came after so long, or did not come for so long.

        What was waited for in vain counts too: a hospital that has become slower is waited for ten times
        longer the next time, up to the bound, and not given up in every round.
        """
        self.slowest[phase] = max(seconds, self.slowest.get(phase, 0.0))
