"""The coordinator's clock, vouched for: a signed request that holds a moment of it is not an old one.

So a hospital whose clock is wrong joins and renews like any other, and a request that was overheard is of no
use after some minutes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from ground.membership.messages import Clock

LASTS = 300.0  # seconds


class Moments:
    """Moments of one running door; its key lives as long as the door does."""

    def __init__(self, now: Callable[[], float] = time.time, lasts: float = LASTS) -> None:
        self._key, self._now, self._lasts = secrets.token_bytes(32), now, lasts

    def clock(self) -> Clock:
        """What time it is."""
        now = self._now()
        return Clock(time=now, moment=f"{int(now)}.{self._seal(int(now))}")

    def is_recent(self, moment: str) -> bool:
        """Whether this door gave it, a short time ago."""
        seconds, _, seal = moment.partition(".")
        if not seconds.isdecimal() or not hmac.compare_digest(seal, self._seal(int(seconds))):
            return False
        return abs(self._now() - int(seconds)) <= self._lasts

    def _seal(self, seconds: int) -> str:
        return hmac.new(self._key, str(seconds).encode(), hashlib.sha256).hexdigest()
