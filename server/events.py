"""What the driver tells whoever watches it: progress bars, results, dashboards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from privacy.accountant import Accountant
from server.progress import Progress

What = Literal["reply", "approval", "hours", "connection"]
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


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
    """Hospitals are outstanding; told about once a second, once for each thing that is waited for.

    Attributes:
        hospitals: whom the coordinator waits for.
        seconds: for how long already.
        limit: after how long it gives them up; of "hours", after how long they said that they open.
        what: what is waited for: "reply", "approval" by a person there, "hours" in which the hospital
            answers, or "connection" of its node.
        last_seen: for each of these hospitals how many seconds ago its node was last heard of; None where
            nobody knows. Empty where nobody looks, as on one machine without a network.

    """

    hospitals: tuple[str, ...]
    seconds: float
    limit: float
    what: What = "reply"
    last_seen: tuple[float | None, ...] = ()

    @property
    def sentence(self) -> str:
        """As a person reads it: "waiting for lille, 40 s of 600 s; last seen 12 s ago"."""
        kind = "" if self.what == "reply" else f" ({self.what})"
        times = f"{duration(self.seconds)} of {duration(self.limit)}"
        return f"waiting for {', '.join(self.hospitals)}{kind}, {times}{self._seen()}"

    def _seen(self) -> str:
        known = [(n, s) for n, s in zip(self.hospitals, self.last_seen, strict=False) if s is not None]
        if not known:
            return ""
        if len(self.hospitals) == 1:
            return f"; last seen {duration(known[0][1])} ago"
        return f"; last seen: {', '.join(f'{name} {duration(ago)} ago' for name, ago in known)}"


@dataclass(frozen=True)
class Arriving:
    """A part of a hospital's reply came in: how far a slow link is.

    Attributes:
        hospital: its name.
        phase: what it was asked.
        round: the round that this is about (`Instruction.sum_number`).
        received: bytes that are here.
        total: bytes that the reply has, about.

    """

    hospital: str
    phase: str
    round: int
    received: int
    total: int


@dataclass(frozen=True)
class Preparing:
    """A model is given its digital start, before any hospital is asked.

    Attributes:
        done: digital patients made and steps taken.
        total: how many there are to make and to take.

    """

    done: int
    total: int


@dataclass(frozen=True)
class Answered:
    """A hospital's reply came in, whatever is thought of it later.

    Attributes:
        hospital: its name, as it says.
        phase: what it was asked.
        round: the round that this was about (`Instruction.sum_number`).
        seconds: how long it worked, as it says.
        error: why it could not do it, in its own words; empty where it did.
        spent: what this study has cost its patients by its own book, so far; None where it keeps none.

    """

    hospital: str
    phase: str
    round: int
    seconds: float
    error: str = ""
    spent: Accountant | None = None


# Set by an engine that runs the coordinator in a thread and cannot end it otherwise: the driver then stops at
# its next pull, with its progress saved.
halt = threading.Event()

Event = Advanced | Answered | Arriving | Waiting | Preparing
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


def duration(seconds: float) -> str:
    """Seconds as a person reads them: seconds up to ten minutes, then minutes, hours, days."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds > (2 * unit if unit > MINUTE else 10 * unit):
            return f"{seconds / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{seconds:.0f} s"
