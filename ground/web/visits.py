"""Visits: one browser each, known by a cookie, over by itself; and the token in each of its forms.

Nothing of a visit is ever on disk.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

IDLE = 30 * 60.0  # seconds without a page asked for, after which a visit is over
LONGEST = 12 * 3600.0  # seconds after which any visit is over: a working day
MOST = 16  # visits at once; the one longest idle makes room
NOTICES = 8


def secret() -> str:
    """256 bits from the operating system, as text that stands in an address."""
    return secrets.token_urlsafe(32)


def same(given: str, kept: str) -> bool:
    """Whether two secrets are equal, in a time that tells nothing about where they differ."""
    return hmac.compare_digest(given.encode(errors="replace"), kept.encode())


@dataclass(frozen=True)
class Notice:
    """One line about what was just decided."""

    kind: Literal["good", "bad"]
    text: str


@dataclass
class Visit:
    """One browser, from its beginning to its end.

    Attributes:
        began: when, by the visits' clock.
        seen: when a page was asked for last.
        cookie: what the browser sends with every request.
        form: what every form holds, so that no other site can send one.
        by: the name that was given with the last decision, or at the door.
        token: what the visitor showed at the door; empty where that is of no more use.
        notices: lines to show on the next page.

    """

    began: float
    seen: float
    cookie: str = field(default_factory=secret)
    form: str = field(default_factory=secret)
    by: str = ""
    token: str = ""
    notices: list[Notice] = field(default_factory=list)

    def say(self, kind: Literal["good", "bad"], text: str) -> None:
        """Have a line shown on the next page."""
        self.notices = [*self.notices, Notice(kind, text)][-NOTICES:]

    def said(self) -> list[Notice]:
        """The lines to show, once."""
        said, self.notices = self.notices, []
        return said


class Visits:
    """All visits to one page; threads may share it. `now` is a clock in seconds that never goes back."""

    def __init__(self, now: Callable[[], float] = time.monotonic, most: int = MOST) -> None:
        self._now, self._most = now, most
        self._visits: list[Visit] = []
        self._guard = threading.Lock()

    def begin(self, by: str = "", token: str = "") -> Visit:
        """A visit more; where there are too many, the one longest idle makes room."""
        visit = Visit(self._now(), self._now(), by=by, token=token)
        with self._guard:
            kept = sorted(self._visits, key=lambda each: each.seen)[-self._most + 1 :]
            self._visits = [*kept, visit]
        return visit

    def find(self, cookie: str, *, active: bool = True) -> Visit | None:
        """The visit with that cookie, unless it is over; only an `active` request keeps it from ending."""
        with self._guard:
            now = self._now()
            self._visits = [v for v in self._visits if now - v.seen < IDLE and now - v.began < LONGEST]
            for visit in self._visits:
                if same(cookie, visit.cookie):
                    visit.seen = now if active else visit.seen
                    return visit
        return None

    def leave(self, visit: Visit) -> None:
        """End a visit."""
        with self._guard:
            self._visits = [each for each in self._visits if each is not visit]
