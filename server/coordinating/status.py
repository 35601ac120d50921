"""What the running coordinator says of itself: HOME/status.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ground.errors import StateError
from ground.files import locked, replace_file
from server.home import CoordinatorHome


@dataclass(frozen=True)
class Status:
    """The coordinator at a moment.

    Attributes:
        state: "running", "stopped", or "dead" of one that was killed.
        pid: its process number; None while it does not run.
        since: when it was started, or stopped, in seconds since 1970.
        superlink: process number of the SuperLink; None while it is not there.
        serving: whether the SuperLink answers.
        health: host:port of its health probes.
        studies: digest -> process number, of the studies that a process is at.

    """

    state: str
    pid: int | None
    since: float
    superlink: int | None
    serving: bool
    health: str
    studies: dict[str, int]


def write_status(home: CoordinatorHome, status: Status) -> None:
    """Replace it."""
    replace_file(home.status, json.dumps(asdict(status)))


def read_status(home: CoordinatorHome) -> Status | None:
    """What the coordinator of this home said last; None where none ever ran."""
    try:
        said = Status(**json.loads(home.status.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    if said.state == "running" and not is_running(home):
        return Status("dead", None, said.since, None, serving=False, health="", studies={})
    return said


def is_running(home: CoordinatorHome) -> bool:
    """Whether a coordinator of this home runs; the operating system knows even after a SIGKILL."""
    try:
        with locked(home.lock, 0.0, "running"):
            return False
    except StateError:
        return True
