"""A coordinator's home whose front door is open on this machine, and hospitals that were invited."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from cryptography import x509
from uvicorn.protocols.http.h11_impl import H11Protocol

from client.home import Home
from client.joining.joining import join
from ground.membership.invitation import Invitation
from ground.network import free_port
from server.door import config
from server.home import CoordinatorHome


@dataclass
class Front:
    """What tests ask of it.

    Attributes:
        home: the coordinator's.
        folder: where hospitals' homes are made.
        heard: every byte that reached the door, once TLS was taken off, in order.

    """

    home: CoordinatorHome
    folder: Path
    heard: list[bytes] = field(default_factory=list)

    def hospital(self, name: str) -> Home:
        """A new home."""
        return Home.begin(self.folder / name, name)

    def invited(self, name: str) -> Invitation:
        """An invitation, as it arrives: through its text."""
        return Invitation.from_text(self.home.invite(name).to_text())

    def member(self, name: str) -> Home:
        """A hospital that has joined."""
        made = self.hospital(name)
        join(made, self.invited(name))
        return Home.open(made.path)

    def later(self, days: float) -> None:
        """The registry's clock goes on by so many days."""
        self.home.registry.store.now = lambda: time.time() + days * 86400


def begun(folder: Path, **more: float) -> CoordinatorHome:
    """A coordinator's home for this machine; `more` are settings of its file, by their keys there."""
    made = CoordinatorHome.begin(folder, "alpes", ["127.0.0.1"], nodes=free_port(), door=free_port())
    if more:
        file = folder / "coordinator.toml"
        lines = [f"{key.replace('_', '-')} = {value!r}\n" for key, value in more.items()]
        file.write_text(file.read_text() + "".join(lines))
        made = CoordinatorHome.open(folder)
    return made


@contextmanager
def served(settings: uvicorn.Config) -> Iterator[uvicorn.Server]:
    """That server, in a thread."""
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 60.0
    while not server.started:
        assert time.monotonic() < until
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(30.0)


@contextmanager
def front(folder: Path, home: CoordinatorHome | None = None, every: float = 0.1) -> Iterator[Front]:
    """The front door of that home, or of a new one."""
    made = Front(home or begun(folder / "coordinator"), folder)

    class Recording(H11Protocol):
        def data_received(self, data: bytes) -> None:
            made.heard.append(data)
            super().data_received(data)

    settings = config(made.home, every=every)
    settings.http = Recording
    with served(settings):
        yield made


def shown(address: str, authority: bytes) -> x509.Certificate:
    """What the server at that address shows who connects now."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cadata=authority.decode())
    with (
        socket.create_connection((host, int(port)), 10) as plain,
        context.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        shown = wrapped.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown)
