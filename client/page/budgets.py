"""The ε book as bars, with the history of each: what was spent when, on which study."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from client.home import Home
from client.ledger import BOOK, DEFAULT_DELTA, Budget, Entry, Head, Ledger, head_of
from client.ledger.account import Account, accountant_of

_Mark = tuple[float, Mapping[tuple[float, float], int], Budget | None]
# Composing takes a tenth of a second and more: a long history is drawn with so many points.
MOST_POINTS = 12
WIDTH, HEIGHT = 600.0, 120.0  # of the drawing, in its own units


@dataclass(frozen=True)
class Spending:
    """What one study has cost an account: ε of it alone; ∞ where it had no noise."""

    study: str
    began: float
    ended: float
    rounds: int
    epsilon: float
    disclosed: int


@dataclass(frozen=True)
class Point:
    """ε of everything up to a moment, in seconds since 1970, and the budget then."""

    time: float
    epsilon: float
    budget: float | None


@dataclass(frozen=True)
class Bar:
    """One account: `budget` and `left` are None where the hospital set no limit."""

    account: str
    spent: float
    delta: float
    budget: float | None
    left: float | None
    studies: tuple[Spending, ...]
    points: tuple[Point, ...]

    def line(self) -> str:
        """The history as an SVG path: ε rises at its moments and stays in between."""
        places = [(self._x(point.time), self._y(point.epsilon)) for point in self.points]
        if not places:
            return ""
        path = f"M{places[0][0]:.1f} {HEIGHT:.1f}"
        for x, y in places:
            path += f" H{x:.1f} V{y:.1f}"
        return f"{path} H{WIDTH:.1f}"

    def limit(self) -> float | None:
        """How high the budget lies in the drawing, from its top."""
        return None if self.budget is None else round(self._y(self.budget), 1)

    def _top(self) -> float:
        seen = [p.epsilon for p in self.points if math.isfinite(p.epsilon)] + [self.budget or 0.0]
        return max(seen) or 1.0

    def _y(self, epsilon: float) -> float:
        return HEIGHT - 0.92 * HEIGHT * min(1.0, max(0.0, epsilon / self._top()))

    def _x(self, time: float) -> float:
        first, last = self.points[0].time, self.points[-1].time
        return 0.9 * WIDTH * (time - first) / (last - first) if last > first else 0.0


@dataclass
class _Told:
    """What the entries of one account tell, in their order."""

    account: Account = field(default_factory=Account)
    marks: list[_Mark] = field(default_factory=list)
    studies: dict[str, list[Entry]] = field(default_factory=dict)


def bars(home: Home) -> tuple[Bar, ...]:
    """One bar an account; none where there is no book yet. Raises StateError where it is damaged."""
    book = home.path / BOOK
    if not (book.exists() or head_of(book).exists()):
        return ()
    with Ledger(book) as ledger:
        return _bars(ledger.head(), ledger.history())


def _bars(head: Head, entries: list[Entry]) -> tuple[Bar, ...]:
    """The book is append-only: what its head stands for never changes."""
    if head not in _KNOWN:
        _KNOWN.clear()
        told: dict[str, _Told] = {}
        for entry in entries:
            _tell(told.setdefault(entry.account, _Told()), entry)
        _KNOWN[head] = tuple(_bar(account, told[account]) for account in sorted(told))
    return _KNOWN[head]


_KNOWN: dict[Head, tuple[Bar, ...]] = {}


def _tell(told: _Told, entry: Entry) -> None:
    told.account.add(entry)
    if entry.study is not None:
        told.studies.setdefault(entry.study, []).append(entry)
    if entry.kind in ("budget", "reserve", "lost"):
        told.marks.append((entry.time, dict(told.account.spent()), told.account.budget))


def _bar(account: str, told: _Told) -> Bar:
    budget = told.account.budget
    delta = DEFAULT_DELTA if budget is None else budget.delta
    spent = _epsilon(told.account.spent(), delta)
    return Bar(
        account=account,
        spent=spent,
        delta=delta,
        budget=None if budget is None else budget.epsilon,
        left=None if budget is None else max(0.0, budget.epsilon - spent),
        studies=tuple(_spending(study, entries, delta) for study, entries in told.studies.items()),
        points=tuple(
            Point(time, _epsilon(releases, delta), None if limit is None else limit.epsilon)
            for time, releases, limit in _thinned(told.marks)
        ),
    )


def _thinned(marks: list[_Mark]) -> list[_Mark]:
    """Some of them, evenly, with the first and the last."""
    if len(marks) <= MOST_POINTS:
        return marks
    step = (len(marks) - 1) / (MOST_POINTS - 1)
    return [marks[round(number * step)] for number in range(MOST_POINTS)]


def _spending(study: str, entries: list[Entry], delta: float) -> Spending:
    alone = Account()
    for entry in entries:
        alone.add(entry)
    return Spending(
        study=study,
        began=entries[0].time,
        ended=entries[-1].time,
        rounds=len(alone.reserved),
        epsilon=_epsilon(alone.spent(), delta),
        disclosed=len(alone.disclosed),
    )


def _epsilon(releases: Mapping[tuple[float, float], int], delta: float) -> float:
    return _composed(tuple(sorted(releases.items())), delta)


@lru_cache(maxsize=4096)
def _composed(releases: tuple[tuple[tuple[float, float], int], ...], delta: float) -> float:
    return accountant_of(dict(releases)).epsilon(delta) if releases else 0.0
