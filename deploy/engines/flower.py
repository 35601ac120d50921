"""The flower engine: a SuperLink and a node for each hospital, real processes here, with TLS and keys.

The coordinator's application runs in this very process, over a Grid that speaks with the SuperLink. Whatever
is started ends with this process, and what it writes for itself lies in a folder that is removed.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import tomli_w
from flwr.app import Context, RecordDict, UserConfigValue
from flwr.serverapp import ServerApp

from client import approval
from client.home import FILE, Home
from client.hospital import Settings
from client.node.keys import node_key
from client.node.places import LOOPBACK, Places, free_port
from client.node.supernode import SILENT
from deploy import certificates
from ground.errors import ApprovalError, FederationError
from ground.files import write_atomically
from tasks.study import Study

if TYPE_CHECKING:
    from deploy.engines import flower_inside
    from deploy.engines.flower_inside import ControlHttpClient

STARTS_WITHIN = 120.0  # seconds
ENDS_WITHIN = 15.0
DAYS = 7  # longer than any run on one machine; the certificate is thrown away with it
# All that is shipped to nodes: which installed components are meant, and the study's text. No code.
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


class SuperLink:
    """Flower's coordinator process, at a free port of the loopback, with its files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificates = certificates.make(folder / "certificates", [LOOPBACK, "localhost"], DAYS)
        self._secret = folder / "secret"
        self._secret.write_bytes(secrets.token_bytes(32))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """host:port for nodes and for us."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Its process number."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers; on what its database holds where it ran before."""
        from deploy.engines import flower_inside

        made = self.certificates
        arguments = [
            *(
                "--host",
                LOOPBACK,
                "--port",
                str(self.port),
                "--isolation",
                "process",
                "--enable-supernode-auth",
            ),
            *("--ssl-ca-certfile", str(made.authority), "--ssl-certfile", str(made.certificate)),
            *("--ssl-keyfile", str(made.key), "--superexec-auth-secret-file", str(self._secret)),
            *(
                "--database",
                str(self.folder / "superlink.sqlite"),
                "--disable-runtime-dependency-installation",
            ),
        ]
        self._process = _begin(
            "deploy.engines.superlink", arguments, self.folder, self.folder / "superlink.log"
        )
        until = time.monotonic() + STARTS_WITHIN
        with self._control() as control:
            while not flower_inside.answers(control):
                if self._process.poll() is not None or time.monotonic() > until:
                    raise FederationError(
                        f"Flower's SuperLink did not start: {_last_line(self.folder / 'superlink.log')}"
                    )
                time.sleep(0.05)

    def stop(self) -> None:
        """End it; its database stays."""
        if self._process is not None:
            _end(self._process)
            self._process = None

    def kill(self) -> None:
        """End it without a word, as a fault does; `start` goes on with its database."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __getstate__(self) -> dict[str, object]:
        """For another process that speaks with it, and does not own it."""
        return {**self.__dict__, "_process": None}

    def register(self, key: bytes, name: str) -> None:
        """Let the node in that has this public key, as PEM."""
        from deploy.engines import flower_inside

        with self._control() as control:
            flower_inside.register(control, key, name)

    def launch(self, files: dict[str, bytes]) -> int:
        """Ship a bundle with these files and start its run; the run's number."""
        from deploy.engines import flower_inside

        with self._control() as control:
            return flower_inside.start_run(control, {"pyproject.toml": BUNDLE.encode(), **files})

    @contextmanager
    def grid(self) -> Iterator[flower_inside.NodeGrid]:
        """The Grid of the run that was launched."""
        from deploy.engines import flower_inside

        root = self.certificates.authority.read_bytes()
        with flower_inside.server_task(self.address, root, self._secret.read_bytes(), STARTS_WITHIN) as grid:
            yield grid

    @contextmanager
    def _control(self) -> Iterator[ControlHttpClient]:
        from deploy.engines import flower_inside

        client = flower_inside.control(self.address, self.certificates.authority.read_bytes())
        try:
            yield client
        finally:
            client.close()


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
        self._process = _begin("client.node", arguments, link.folder, None)

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


def _begin(module: str, arguments: Sequence[str], home: Path, log: Path | None) -> subprocess.Popen[bytes]:
    """A module as a process out of reach of the terminal's Ctrl-C; it ends with this one."""
    environment = {**os.environ, **SILENT, "FLWR_HOME": str(home / "flwr")}
    with (log or Path(os.devnull)).open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(os.getpid()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=environment,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


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
