"""Who may see the page: one-time links, the visits that they begin, and the token in each form.

A link holds a token that works once; who follows it gets a cookie for this visit alone. Nothing of it is ever
on disk but the link that waits to be used, in a file that its owner alone can read. A visit ends by itself.
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


def _secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Notice:
    """One line about what was just decided."""

    kind: Literal["good", "bad"]
    text: str


@dataclass
class Visit:
    """One browser, from its link to its end.

    Attributes:
        began: when, by the visits' clock.
        seen: when a page was asked for last.
        cookie: what the browser sends with every request.
        form: what every form holds, so that no other site can send one.
        by: the name that was given with the last decision.
        notices: lines to show on the next page.

    """

    began: float
    seen: float
    cookie: str = field(default_factory=_secret)
    form: str = field(default_factory=_secret)
    by: str = ""
    notices: list[Notice] = field(default_factory=list)

    def say(self, kind: Literal["good", "bad"], text: str) -> None:
        """Have a line shown on the next page."""
        self.notices = [*self.notices, Notice(kind, text)][-NOTICES:]

    def said(self) -> list[Notice]:
        """The lines to show, once."""
        said, self.notices = self.notices, []
        return said


class Visits:
    """All visits to one page; threads may share it. `now` is a clock in seconds that never goes back.

    `renewed` is called with the new token whenever the last one was used.
    """

    def __init__(
        self, renewed: Callable[[str], None] = lambda _: None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._renewed, self._now = renewed, now
        self._token = _secret()
        self._visits: list[Visit] = []
        self._guard = threading.Lock()

    @property
    def token(self) -> str:
        """The token that begins the next visit."""
        return self._token

    def enter(self, token: str) -> Visit | None:
        """Begin a visit and change the token; None where it is not the right one."""
        with self._guard:
            if not same(token, self._token):
                return None
            self._token = _secret()
            visit = Visit(self._now(), self._now())
            self._visits = [*sorted(self._visits, key=lambda each: each.seen)[-MOST + 1 :], visit]
        self._renewed(self._token)
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


def same(given: str, secret: str) -> bool:
    """Whether two secrets are equal, in a time that tells nothing about where they differ."""
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())
