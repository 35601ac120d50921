"""Keeps a hospital's node running: SuperNode and executor, each started again for ever when it ends.

Where the executor ends in the middle of a message, the SuperNode is started again with it: the coordinator
sees a node that has signed on anew, asks again, and the hospital answers from what it stored or goes on.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from client.node import logs
from client.node.keys import node_key
from client.node.places import Places
from client.node.status import read_status as read_status
from ground.child import Child
from ground.files import locked, replace_file, write_atomically
from ground.network import LOOPBACK, free_port

if TYPE_CHECKING:
    from client.node.health import Health

LOOK_EVERY = 0.1
FRESH = 15.0  # seconds since the coordinator answered, after which the node counts as cut off
PATIENCE = 10.0  # for a child to end by itself
log = logging.getLogger("node")


@dataclass(frozen=True)
class Link:
    """How the node reaches its coordinator.

    Attributes:
        coordinator: host:port.
        certificate: of the authority that vouches for it, as a PEM file; None for the system's.

    """

    coordinator: str
    certificate: Path | None = None


class Supervisor:
    """One hospital's node. `run` holds the home's lock, until `stop` or SIGTERM or Ctrl-C.

    `commands` replaces how the two processes are started, for tests.
    """

    def __init__(
        self,
        home: Path,
        link: Link,
        *,
        name: str = "",
        settings: Path | None = None,
        health: str = f"{LOOPBACK}:0",
        modules: tuple[Sequence[str], Sequence[str]] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.places = Places(folder or home / "node")
        self._home, self._link, self._name, self._settings = home, link, name, settings
        self._health_at = health
        supernode, executor = modules or (
            ("-P", "-m", "client.node.supernode"),  # -P: nothing of the folder one stands in is imported
            ("-P", "-m", "client.node.executor"),
        )
        me = str(os.getpid())
        self._supernode = Child(
            "supernode", lambda: [sys.executable, *supernode, me, str(self.places.folder), *self._arguments()]
        )
        given = [] if settings is None else [str(settings)]
        self._executor = Child(
            "executor",
            lambda: [sys.executable, *executor, me, str(self.places.folder), str(home), *given],
        )
        self._stopping = threading.Event()
        self._cut_off: Callable[[], None] = lambda: None  # called when the SuperNode ended
        self._since = _now()
        self._said: dict[str, object] = {}
        self._trouble = ""

    def stop(self, signum: int = 0, frame: FrameType | None = None) -> None:  # noqa: ARG002 - a signal handler
        """Let `run` end."""
        self._stopping.set()

    def run(self, started: Callable[[Health], None] = lambda _: None) -> None:
        """Until stopped; raises StateError where another process runs this node already."""
        from client.joining.renewal import renewing
        from client.node.health import Health

        self.places.make()
        whose = self._name or str(self._home)
        busy = (
            f"{whose}: its node is running already: stop that one first (`laennec hospital status` shows it)"
        )
        with ExitStack() as stack:
            stack.enter_context(locked(self.places.lock, 0.0, busy))
            logs.turn_over(self.places.log)
            node_key(self.places.key)
            write_atomically(self.places.secret, secrets.token_bytes(32))
            self._new_address()
            health = Health(self._health_at)
            stack.callback(self._end, health)
            log.info("node of %s: coordinator %s, probes %s", whose, self._link.coordinator, health.address)
            started(health)
            self._cut_off = stack.enter_context(renewing(self._home))
            while not self._stopping.wait(LOOK_EVERY):
                self._look_well(health)

    def _look_well(self, health: Health) -> None:
        """A disk that is full ends nothing: the next look may be better."""
        trouble = ""
        try:
            self._look(health)
        except OSError as error:
            trouble = f"{self.places.folder}: {error.strerror}: make room"
        if trouble and trouble != self._trouble:
            log.error("%s", trouble)
        self._trouble = trouble

    def _look(self, health: Health) -> None:
        """Start what has to run; note what the node is doing."""
        if self._supernode.ended():
            self._new_address()
            self._cut_off()
        if self._executor.ended():
            # It may have held a message, which its SuperNode would wait for a minute for.
            self._supernode.kill()
            self._new_address()
        self._supernode.start()
        self._executor.start()
        logs.turn_over(self.places.log)
        reached = self._reached()
        connected = reached is not None and time.time() - reached < FRESH
        health.say(serving=connected and None not in (self._supernode.pid, self._executor.pid))
        self._note("connected" if connected else "connecting", health.address, reached)

    def _end(self, health: Health) -> None:
        """Both processes, in the order that lets the coordinator know."""
        health.say(serving=False)
        self._supernode.stop(PATIENCE)
        self._executor.stop(PATIENCE)
        health.close()
        self._note("stopped", "", self._reached())
        for file in (self.places.secret, self.places.address, self.places.work):
            file.unlink(missing_ok=True)
        log.info("node stopped")

    def _reached(self) -> float | None:
        """When the coordinator answered last, in seconds since 1970, if it did since this node started."""
        try:
            return self.places.contact.stat().st_mtime
        except OSError:
            return None

    def _note(self, state: str, health: str, reached: float | None) -> None:
        """status.json, where something changed: times to the second."""
        if state != self._said.get("state"):
            self._since = _now()
        try:
            work = json.loads(self.places.work.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            work = {}
        working = "digest" in work and state != "stopped"
        said: dict[str, object] = {
            "pid": os.getpid() if state != "stopped" else None,
            "state": "working" if working and state == "connected" else state,
            "since": self._since,
            "coordinator": self._link.coordinator,
            "health": health,
            "supernode": self._supernode.pid,
            "executor": self._executor.pid,
            "study": work.get("digest") if working else None,
            "phase": work.get("phase") if working else None,
            "round": work.get("round") if working else None,
            "working_since": work.get("since") if working else None,
            "last_contact": None if reached is None else _time(int(reached)),
        }
        if said != self._said:
            replace_file(self.places.status, json.dumps(said))
            self._said = said

    def _new_address(self) -> None:
        """Another port for a SuperNode that is about to start: the last one may be taken by now."""
        replace_file(self.places.address, f"{LOOPBACK}:{free_port()}")
        self.places.contact.unlink(missing_ok=True)

    def _arguments(self) -> list[str]:
        """Of `flower-supernode`."""
        host, _, port = self.places.address.read_text(encoding="utf-8").rpartition(":")
        certificate = (
            [] if self._link.certificate is None else ["--root-certificates", str(self._link.certificate)]
        )
        return [
            *("--superlink", self._link.coordinator, *certificate),
            *("--auth-supernode-private-key", str(self.places.key), "--isolation", "process"),
            *("--superexec-auth-secret-file", str(self.places.secret), "--host", host, "--port", port),
        ]


def heed_signals(supervisor: Supervisor) -> None:
    """SIGTERM and Ctrl-C let the supervisor end; to be called in the main thread."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, supervisor.stop)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
