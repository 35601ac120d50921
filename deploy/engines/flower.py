"""The flower engine: a SuperLink and a node for each hospital, real processes here, with TLS and keys.

The coordinator's application runs in this very process, over a Grid that speaks with the SuperLink. Whatever
is started ends with this process, and what it writes for itself lies in a folder that is removed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

import tomli_w
from flwr.app import Context, RecordDict, UserConfigValue
from flwr.serverapp import ServerApp

import server.link
from client import approval
from client.home import FILE, Home
from client.hospital import Settings
from client.node.keys import node_key
from client.node.places import Places
from ground.errors import ApprovalError
from ground.files import write_atomically
from ground.network import LOOPBACK, SILENT, free_port
from server.authority import make
from tasks.study import Study

ENDS_WITHIN = 15.0
DAYS = 7  # longer than any run on one machine; the certificate is thrown away with it


def run_on_flower(
    server: ServerApp, study: Study, settings: dict[str, UserConfigValue], hospitals: Sequence[Settings]
) -> None:
    """Run the study's ServerApp over these hospitals; `settings` is the coordinator's.

    Raises FederationError where the processes do not start. Ctrl-C and SIGTERM take everything down first.
    """
    with _heeding_termination(), _folder() as folder, ExitStack() as stack:
        link = SuperLink(folder)
        stack.callback(_undisturbed, link.stop)
        link.start()
        governed = [approved(each, study) for each in hospitals]
        nodes = [Node(folder / "nodes" / str(number), each) for number, each in enumerate(governed)]
        for node in nodes:
            link.register(node.key(), node.settings.name)
            stack.callback(_undisturbed, node.wait)
        for node in nodes:
            node.start(link)
            stack.callback(node.terminate)
        link.launch({"study.toml": study.to_toml().encode()})
        with link.grid() as grid:
            server(grid, Context(1, 0, {}, RecordDict(), settings))


class SuperLink(server.link.SuperLink):
    """A SuperLink at a free port of the loopback, with certificates of its own, its files in `folder`."""

    def __init__(self, folder: Path) -> None:
        made = make(folder / "certificates", [LOOPBACK, "localhost"], DAYS)
        super().__init__(folder / "superlink", made, free_port())


class Node:
    """One hospital's node: the processes of `client.node`, with the settings that the machine gives it."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        home = settings.home or folder
        self.settings, self.home, self.places = settings, home, Places(folder / "node")
        self.file = folder / "settings.json"
        folder.mkdir(parents=True)
        self.file.write_text(json.dumps(settings.to_config()), encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def key(self) -> bytes:
        """Its public key, as PEM."""
        self.places.make()
        return node_key(self.places.key)

    def start(self, link: SuperLink) -> None:
        """Start supervisor, SuperNode and executor."""
        arguments = [
            *(str(self.home), str(self.places.folder), link.address, str(link.certificates.authority)),
            *(str(self.file), self.settings.name),
        ]
        self._process = _begin("client.node", arguments, link.folder)

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None:
            self._process.terminate()

    def wait(self) -> None:
        """Until it has ended."""
        if self._process is not None:
            _end(self._process)
            self._process = None


def approved(settings: Settings, study: Study) -> Settings:
    """A hospital with a home answers for approved studies only: here whoever runs the study approves it."""
    if settings.home is None:
        return settings
    if not (settings.home / FILE).is_file():
        Home.begin(settings.home, settings.name)
    if Home.open(settings.home).written.sources != settings.sources:
        written = {"name": settings.name, "sources": list(settings.sources)}
        write_atomically(settings.home / FILE, tomli_w.dumps(written))
    home = Home.open(settings.home)
    try:
        approval.check(home, study)
    except ApprovalError:
        approval.approve(home, study, by="laennec run")
    return replace(settings, governed=True)


def _begin(module: str, arguments: Sequence[str], home: Path) -> subprocess.Popen[bytes]:
    """A module as a process out of reach of the terminal's Ctrl-C; it ends with this one."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, str(os.getpid()), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, **SILENT, "FLWR_HOME": str(home / "flwr")},
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that is removed, whatever happens and whatever was pressed."""
    made = tempfile.TemporaryDirectory(prefix="laennec-", ignore_cleanup_errors=True)
    try:
        yield Path(made.name)
    finally:
        _undisturbed(made.cleanup)


def _undisturbed(call: Callable[[], None]) -> None:
    """Run it while Ctrl-C and SIGTERM wait; everything that is called so ends within seconds."""
    if threading.current_thread() is not threading.main_thread():
        call()
        return
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        call()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _heeding_termination() -> Iterator[None]:
    """Inside, SIGTERM ends the run as Ctrl-C does: after everything was taken down."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
