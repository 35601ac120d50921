"""Flower's coordinator process: started, supervised, commanded."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ground.child import Child
from ground.errors import FederationError
from ground.files import write_atomically
from ground.network import LOOPBACK, reached_at

if TYPE_CHECKING:
    from flwr.proto.node_pb2 import NodeInfo

    from server.link.flower import ControlHttpClient
    from server.link.grid import NodeGrid

STARTS_WITHIN = 120.0  # seconds
ENDS_WITHIN = 15.0
# All that is shipped to nodes: which installed components are meant. No code; the study comes in messages.
BUNDLE = """[project]
name = "laennec-study"
version = "1.0.0"
dependencies = []

[tool.flwr.app]
publisher = "laennec"
flwr-version-target = "1.41.0"
fab-include = ["study.toml"]

[tool.flwr.app.components]
serverapp = "server.app:app"
clientapp = "client.app:app"

[tool.flwr.app.config]
"""


class Certified(Protocol):
    """PEM files: the authority that nodes trust, the coordinator's certificate under it, and its key."""

    @property
    def authority(self) -> Path: ...  # noqa: D102
    @property
    def certificate(self) -> Path: ...  # noqa: D102
    @property
    def key(self) -> Path: ...  # noqa: D102


class SuperLink:
    """The SuperLink whose files lie in `folder`, at `host`:`port`.

    Whoever calls `start` owns the process, which ends with them; others may speak with it. The certificate
    has to name the address at which this machine's own processes reach it: 127.0.0.1 where `host` is any.
    """

    def __init__(self, folder: Path, certificates: Certified, port: int, host: str = LOOPBACK) -> None:
        self.folder, self.certificates, self.port, self.host = folder, certificates, port, host
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._secret = folder / "secret"
        if not self._secret.is_file():
            write_atomically(self._secret, secrets.token_bytes(32))
        self._child = Child("superlink", self._command)

    @property
    def address(self) -> str:
        """host:port for whoever is on this machine."""
        host = reached_at(self.host)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Its process number."""
        return self._child.pid

    def begin(self) -> bool:
        """Start the process, unless it runs or its pause after an end is not over; whether it was started.

        It ends with the thread that called this, which in a supervising process is the main one.
        """
        return self._child.start()

    def ended(self) -> bool:
        """Whether it has ended since it was started; said once."""
        return self._child.ended()

    def start(self) -> None:
        """Start it and wait until it answers; on what its database holds where it ran before."""
        self._child.start()
        until = time.monotonic() + STARTS_WITHIN
        while not self.answers():
            if self._child.ended() or time.monotonic() > until:
                raise FederationError(f"Flower's SuperLink did not start: {last_line(self.folder / 'log')}")
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it is there."""
        from server.link import flower

        with self._control() as control:
            return flower.answers(control)

    def stop(self) -> None:
        """End it; its database stays."""
        self._child.stop(ENDS_WITHIN)

    def kill(self) -> None:
        """End it without a word, as a fault does; `start` goes on with its database."""
        self._child.kill()

    def __getstate__(self) -> dict[str, object]:
        """For another process that speaks with it, and does not own it."""
        return {**self.__dict__, "_child": None}

    def register(self, key: bytes, name: str) -> int:
        """Let the node in that has this public key, as PEM; the number that it is known by."""
        from server.link import flower

        with self._control() as control:
            return flower.register(control, key, name)

    def unregister(self, number: int) -> None:
        """Let that node out, at once; its key is never let in again."""
        from server.link import flower

        with self._control() as control:
            flower.unregister(control, number)

    def registered(self) -> dict[bytes, int]:
        """The public key (PEM) of each node that was let in -> its number."""
        return {each.public_key: each.node_id for each in self.nodes()}

    def stop_run(self, number: int) -> None:
        """End a run that nobody drives any more: its messages are handed to nodes no longer."""
        from server.link import flower

        with self._control() as control:
            flower.stop_run(control, number)

    def nodes(self) -> list[NodeInfo]:
        """Every node that was let in and not out again, connected or not."""
        from server.link import flower

        with self._control() as control:
            return flower.nodes(control)

    def launch(self, files: Mapping[str, bytes] | None = None) -> int:
        """Ship a bundle with these files and start its run; the run's number."""
        from server.link import flower

        with self._control() as control:
            return flower.start_run(control, {"pyproject.toml": BUNDLE.encode(), **(files or {})})

    @contextmanager
    def grid(self, hospitals: Collection[str] | None = None) -> Iterator[NodeGrid]:
        """The Grid of a run that was launched and has none yet; of these hospitals' nodes alone, if given."""
        from server.link import flower

        root = self.certificates.authority.read_bytes()
        with flower.server_task(self.address, root, self._secret.read_bytes(), STARTS_WITHIN) as grid:
            grid.hospitals = None if hospitals is None else frozenset(hospitals)
            yield grid

    @contextmanager
    def _control(self) -> Iterator[ControlHttpClient]:
        from server.link import flower

        root = self.certificates.authority.read_bytes()
        client = flower.control(self.address, root, self._secret.read_bytes())
        try:
            yield client
        finally:
            client.close()

    def _command(self) -> list[str]:
        made = self.certificates
        return [
            *(sys.executable, "-P", "-m", "server.link.process", str(os.getpid()), str(self.folder)),
            *(self.host, str(self.port), str(made.authority), str(made.certificate), str(made.key)),
        ]


def last_line(log: Path) -> str:
    """What a process said last."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
