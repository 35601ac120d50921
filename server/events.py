"""What the driver tells whoever watches it: progress bars, results, dashboards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from server.progress import Progress


@dataclass(frozen=True)
class Advanced:
    """A step was completed and saved.

    Attributes:
        progress: the progress after it.
        seconds: wall-clock time that the step took.
        busy: of these, how long the busiest worker was computing.
        left_out: hospitals that did not contribute, with the reason.
        asked: the round that this step was about (`Instruction.sum_number`).

    """

    progress: Progress
    seconds: float
    busy: float
    left_out: tuple[tuple[str, str], ...] = ()
    asked: int | None = None

    @property
    def round(self) -> int:
        """The round that this step was about; 0 for enrolling."""
        asked = len(self.progress.history) if self.asked is None else self.asked
        return min(asked, self.progress.study.rounds)


@dataclass(frozen=True)
class Waiting:
    """Replies are outstanding.

    Attributes:
        hospitals: whom the coordinator waits for.
        seconds: for how long already.
        limit: after how long it gives them up.

    """

    hospitals: tuple[str, ...]
    seconds: float
    limit: float


@dataclass(frozen=True)
class Preparing:
    """A model is given its digital start, before any hospital is asked.

    Attributes:
        done: digital patients made and steps taken.
        total: how many there are to make and to take.

    """

    done: int
    total: int


# Set by an engine that runs the coordinator in a thread and cannot end it otherwise: the driver then stops at
# its next pull, with its progress saved.
halt = threading.Event()

Event = Advanced | Waiting | Preparing
Listener = Callable[[Event], None]
_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Inside, the listener hears every event of this process, whichever thread it comes from."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell(event: Event) -> None:
    """Pass an event on."""
    for listener in tuple(_listeners):
        listener(event)
