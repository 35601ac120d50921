"""The process behind `laennec coordinator start`: it keeps SuperLink, door and a process a study running.

It holds no study's state itself. Killed and started again, it finds in the registry what was under way and
goes on with it; whatever it had started ended with it.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType

from ground.child import Child
from ground.errors import FederationError, StateError, UsageError
from ground.files import locked
from ground.network import LOOPBACK, reached_at
from server import backup
from server.admission import reconcile
from server.coordinating.door import Door, listen
from server.coordinating.every import Every
from server.coordinating.places import link_of, places_of
from server.coordinating.status import Status, write_status
from server.home import CoordinatorHome
from server.logs import logging_to
from server.recording import standing
from server.registry.studies import Launched

log = logging.getLogger("coordinator")
LOOK_EVERY = 0.2  # seconds between two looks at the processes
ADMIT_EVERY, RENEW_EVERY = 1.0, 60.0
FRESH = 30.0  # seconds since the SuperLink answered, after which it counts as away
PATIENCE = 30.0  # seconds for a study's process to come to the end of what it is in
# So many starts in a row that brought a study no further, and a person is asked for.
IN_VAIN = 8


class Coordinator:
    """One home's coordinator. `run` holds the home's lock until `stop`, SIGTERM or Ctrl-C.

    `health` is host:port for gRPC probes, port 0 for any.
    """

    def __init__(self, home: CoordinatorHome, health: str) -> None:
        self._home, self._health_at = home, health
        self._link = link_of(home)
        self._studies: dict[str, Child] = {}
        self._marks: dict[str, str] = {}
        self._in_vain = Counter[str]()
        self._stopping = threading.Event()
        self._admitted = -FRESH
        self._said: Status | None = None
        self._since = time.time()
        self._trouble = ""

    def stop(self, signum: int = 0, frame: FrameType | None = None) -> None:  # noqa: ARG002 - a signal handler
        """Let `run` end."""
        self._stopping.set()

    def run(self, started: Callable[[str], None] = lambda _: None, *, errors: bool = False) -> None:
        """Until stopped; `started` is given the address of the probes. `errors`: log to standard error too.

        Raises StateError where this home's coordinator runs already, or was put back from a backup,
        UsageError where a port is taken.
        """
        from ground.health import COORDINATOR, Health

        busy = (
            f"{self._home.path}: its coordinator is running already (`laennec coordinator status` shows it)"
        )
        with ExitStack() as stack:
            stack.enter_context(locked(self._home.lock, 0.0, busy))
            backup.check(self._home.path)
            stack.enter_context(logging_to(self._home.log, errors=errors))
            self._check_names()
            self._home.renew()
            listen(self._home.written.listen, self._link.port, "nodes").close()
            health = Health(self._health_at, COORDINATOR)
            stack.callback(health.close)
            door = Door(self._home)
            stack.callback(self._end, health.address)
            stack.callback(door.stop)
            for each in (
                Every(ADMIT_EVERY, self._admit, "admission"),
                Every(RENEW_EVERY, self._home.renew, "certificate"),
            ):
                each.start()
                stack.callback(each.stop)
            log.info("coordinator %s: nodes %s, door %s", self._home.name, *self._addresses())
            started(health.address)
            while not self._stopping.wait(LOOK_EVERY):
                self._look_well(health.address)
                health.say(serving=self._serving and door.open)

    def _check_names(self) -> None:
        """Raises UsageError where our own processes could not know the SuperLink by its certificate."""
        here = reached_at(self._home.written.listen)
        if here not in (LOOPBACK, *self._home.written.names):
            raise UsageError(f"coordinator.toml: names lacks {here}, where it listens: add it")

    def _addresses(self) -> tuple[str, str]:
        return self._home.written.nodes, self._home.written.door

    @property
    def _serving(self) -> bool:
        """Whether the SuperLink answered lately."""
        return time.monotonic() - self._admitted < FRESH and self._link.pid is not None

    def _admit(self) -> None:
        """Let in who is a member, and nobody else."""
        from server.link.flower import Failure

        if not self._link.answers():
            return
        try:
            reconcile(self._home.registry, self._link)
        except Failure as error:
            raise FederationError(f"SuperLink did not take a change: {type(error).__name__}") from error
        self._admitted = time.monotonic()

    def _look_well(self, health: str) -> None:
        """A disk that is full, or a registry that is busy, ends nothing: the next look may be better."""
        trouble = ""
        try:
            self._look(health)
        except (OSError, StateError) as error:
            trouble = str(error)
        if trouble and trouble != self._trouble:
            log.error("%s", trouble)
        self._trouble = trouble

    def _look(self, health: str) -> None:
        """Start what has to run, end what has to stop."""
        if self._link.ended():
            self._admitted = -FRESH
        self._link.begin()
        for each in self._home.registry.studies.all():
            self._look_after(each)
        self._note("running", health)

    def _look_after(self, launched: Launched) -> None:
        digest = launched.digest
        if digest not in self._studies:
            if launched.state == "finished":
                places_of(self._home, digest).tidy()  # whoever finished it may have been killed before
            elif launched.state == "running" and launched.wanted == "stop":
                self._home.registry.studies.move(digest, "stopped")  # likewise
            if not launched.due:
                return
            self._studies[digest] = self._child(launched)
        child = self._studies[digest]
        if child.ended():
            self._ended(launched)
        elif child.pid is not None and launched.wanted == "stop":
            _ask_to_end(child.pid)
        elif child.pid is None and launched.due and self._serving:
            child.start()

    def _ended(self, launched: Launched) -> None:
        """A study's process ended: too early, it is started again, unless that has led nowhere so often."""
        digest = launched.digest
        if not self._home.registry.studies.get(digest).due:
            del self._studies[digest]
            return
        where = standing(places_of(self._home, digest).folder)
        mark = f"{where.round} {where.phase}"
        if mark != self._marks.get(digest):
            self._marks[digest] = mark
            self._in_vain[digest] = 0
        self._in_vain[digest] += 1
        if self._in_vain[digest] >= IN_VAIN:
            self._in_vain[digest] = 0
            why = self._home.registry.studies.get(digest).why or "its process ended without a word"
            self._home.registry.studies.move(digest, "failed", f"{why} ({IN_VAIN} times in a row)")

    def _child(self, launched: Launched) -> Child:
        """The process that is at that study, not started yet."""
        module, me, home = "server.coordinating.study", str(os.getpid()), str(self._home.path)
        return Child(
            f"study {launched.name}",
            lambda: [sys.executable, "-P", "-m", module, me, home, launched.digest],
        )

    def _end(self, health: str) -> None:
        """Studies first, so that they save where they are; then the SuperLink."""
        running = [each for each in self._studies.values() if each.pid is not None]
        for child in running:
            _ask_to_end(child.pid)
        for child in running:
            child.stop(PATIENCE)
        self._link.stop()
        self._since = time.time()
        self._note("stopped", health)
        log.info("coordinator stopped")

    def _note(self, state: str, health: str) -> None:
        """status.json, where something changed."""
        runs = state == "running"
        said = Status(
            state=state,
            pid=os.getpid() if runs else None,
            since=self._since,
            superlink=self._link.pid,
            serving=runs and self._serving,
            health=health if runs else "",
            studies={name: each.pid for name, each in self._studies.items() if each.pid is not None},
        )
        if said != self._said:
            write_status(self._home, said)
            self._said = said


def heed_signals(coordinator: Coordinator) -> None:
    """SIGTERM and Ctrl-C let the coordinator end; to be called in the main thread."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, coordinator.stop)


def _ask_to_end(pid: int | None) -> None:
    if pid is not None:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            return
