"""What is done once in a while, in a thread of its own, for as long as the coordinator runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ground.errors import LaennecError

log = logging.getLogger("coordinator")


class Every(threading.Thread):
    """Calls `do` every so many seconds until `stop`; what goes wrong is logged once, until it changes."""

    def __init__(self, seconds: float, do: Callable[[], object], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._seconds, self._do = seconds, do
        self._stopping = threading.Event()
        self._said = ""

    def run(self) -> None:
        """Do it, then wait."""
        while True:
            self._once()
            if self._stopping.wait(self._seconds):
                return

    def stop(self) -> None:
        """End, once what is being done is done; a few seconds are waited for that."""
        self._stopping.set()
        self.join(5.0)

    def _once(self) -> None:
        try:
            self._do()
            said = ""
        except Exception as error:  # whatever it is, the next time may be better
            said = str(error) if isinstance(error, LaennecError) else type(error).__name__
        if said and said != self._said:
            log.warning("%s: %s", self.name, said)
        self._said = said
