"""One process that is kept running: started again whenever it ends, later each time."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

FIRST, LONGEST = 0.2, 60.0  # seconds before it is started again
STEADY = 60.0  # who ran for so long is started again at once
log = logging.getLogger("laennec")


class Child:
    """`command()` as a process in a session of its own, so that Ctrl-C at a terminal reaches its parent only.

    It is started from the main thread, whose end it is tied to (`orphan.die_with`).
    """

    def __init__(
        self, name: str, command: Callable[[], Sequence[str]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name, self._command, self._clock = name, command, clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._not_before = 0.0
        self._pause = 0.0
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """Its process number; None while it is not running."""
        return None if self._process is None else self._process.pid

    def start(self) -> bool:
        """Start it unless it runs or its pause is not over; whether it was started."""
        if self._process is not None or self._clock() < self._not_before:
            return False
        self._process = subprocess.Popen(  # noqa: S603 - our own modules
            self._command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # whatever a library prints there may quote a patient
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._started = self._clock()
        self.starts += 1
        log.info("%s started (process %d)", self.name, self._process.pid)
        return True

    def ended(self) -> bool:
        """Whether it has ended since it was started; said once."""
        if self._process is None or (status := self._process.poll()) is None:
            return False
        self._process = None
        lasted = self._clock() - self._started
        self._pause = FIRST if lasted > STEADY else min(LONGEST, max(FIRST, 2 * self._pause))
        self._not_before = self._clock() + self._pause
        how = f"signal {-status}" if status < 0 else f"status {status}"
        if status == 0:
            log.info("%s ended after %.0f s", self.name, lasted)
        else:
            log.warning(
                "%s ended with %s after %.0f s: started again in %.1f s", self.name, how, lasted, self._pause
            )
        return True

    def kill(self) -> None:
        """End it at once; the next `start` starts it again."""
        if self._process is not None:
            self._end(signal.SIGKILL, 5.0)

    def stop(self, patience: float) -> None:
        """Ask it to end, and after `patience` seconds end it."""
        if self._process is not None and not self._end(signal.SIGTERM, patience):
            log.warning("%s did not end within %.0f s and was killed", self.name, patience)
            self._end(signal.SIGKILL, 5.0)

    def _end(self, how: signal.Signals, patience: float) -> bool:
        assert self._process is not None  # noqa: S101 - both callers looked
        self._process.send_signal(how)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            return False
        self._process = None
        return True
