"""Who may see the page: one-time links, and the visits that they begin.

A link holds a token that works once; who follows it gets a cookie for this visit alone. Nothing of it is ever
on disk but the link that waits to be used, in a file that its owner alone can read. A visit ends by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ground.web import visits
from ground.web.visits import IDLE, LONGEST, MOST, Notice, Visit, same, secret

__all__ = ["IDLE", "LONGEST", "MOST", "Notice", "Visit", "Visits", "same"]


class Visits(visits.Visits):
    """All visits to one page; threads may share it. `now` is a clock in seconds that never goes back.

    `renewed` is called with the new token whenever the last one was used.
    """

    def __init__(
        self, renewed: Callable[[str], None] = lambda _: None, now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(now)
        self._renewed, self._token, self._door = renewed, secret(), threading.Lock()

    @property
    def token(self) -> str:
        """The token that begins the next visit."""
        return self._token

    def enter(self, token: str) -> Visit | None:
        """Begin a visit and change the token; None where it is not the right one."""
        with self._door:
            if not same(token, self._token):
                return None
            self._token = secret()
            visit = self.begin()
        self._renewed(self._token)
        return visit
