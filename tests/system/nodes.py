"""Real nodes for tests: a SuperLink, and hospitals whose processes are forked from one that imported all.

Supervisors are those of `client.node`, in threads; SuperNodes and executors are processes, which kill
themselves with SIGKILL at the point that a file orders.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Before and between the steps of answering one message, in the order in which they come.
SUPERNODE = ("receive", "pull_object", "confirm", "send", "push_object")
EXECUTOR = (
    "acquire",
    "input",
    "reserve",
    "training",
    "saving",
    "settling",
    "send",
    "finish",
)
PATIENCE = 600.0  # a machine may be busy


# What runs in the processes.


def kill_at(order: Path) -> Callable[[str], None]:
    """Dies at the point that the file names, once."""

    def fault(point: str) -> None:
        try:
            wanted = order.read_text()
        except FileNotFoundError:
            return
        if wanted == point:
            order.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    return fault


def be_supernode(folder: str, arguments: list[str], order: str, ahead: float) -> None:
    import client.node.flower  # noqa: F401 - all of Flower that has a clock
    from client.node.places import Places
    from client.node.supernode import serve

    set_clock(ahead)
    serve(Places(Path(folder)), arguments, kill_at(Path(order)))


def set_clock(ahead: float) -> None:
    """Let this machine, as far as this process is one, have a clock that is wrong."""
    if not ahead:
        return
    from flwr.supercore import date

    right, now = time.time, date.now
    time.time = lambda: right() + ahead
    for module in [each for name, each in list(sys.modules.items()) if name.startswith("flwr.")]:
        if vars(module).get("now") is now:
            from datetime import timedelta

            module.now = lambda: now() + timedelta(seconds=ahead)


def be_executor(folder: str, home: str, settings: str | None, order: str, ahead: float) -> None:
    import client.node.flower  # noqa: F401 - all of Flower that has a clock
    from client import booking, memory
    from client.node.executor import work
    from client.node.places import Places

    set_clock(ahead)
    fault = kill_at(Path(order))
    after(booking.Booking, "reserve", lambda: fault("executor after reserve"))
    before(memory.Store, "save", lambda: fault("executor after training"))
    after(memory.Store, "save", lambda: fault("executor after saving"))
    after(booking.Booking, "settle", lambda: fault("executor after settling"))
    work(Places(Path(folder)), Path(home), settings, fault)


def after(owner: type, name: str, do: Callable[[], None]) -> None:
    original = getattr(owner, name)

    def wrapped(*arguments: Any) -> Any:
        result = original(*arguments)
        do()
        return result

    setattr(owner, name, wrapped)


def before(owner: type, name: str, do: Callable[[], None]) -> None:
    original = getattr(owner, name)

    def wrapped(*arguments: Any) -> Any:
        do()
        return original(*arguments)

    setattr(owner, name, wrapped)


# What runs in the test.


class Forked:
    """What `ground.child.Child` is, over processes of a fork server instead of programs."""

    def __init__(
        self, name: str, target: Callable[..., None], arguments: Callable[[], Sequence[Any]]
    ) -> None:
        self.name, self.starts = name, 0
        self._target, self._arguments = target, arguments
        self._process: Any = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> bool:
        if self._process is not None:
            return False
        server = multiprocessing.get_context("forkserver")
        self._process = server.Process(target=self._target, args=tuple(self._arguments()), daemon=True)
        self._process.start()
        self.starts += 1
        return True

    def ended(self) -> bool:
        if self._process is None or self._process.is_alive():
            return False
        self._process = None
        return True

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def stop(self, patience: float) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.join(patience)
            self.kill()


def warm() -> None:
    """Let the fork server import what every process needs."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(
        ["client.app", "client.node.flower", "tasks.heart_disease.task", "nodes"]
    )


@contextmanager
def running(
    node: Any, link: Any, ahead: float = 0.0, executor: Callable[..., None] = be_executor
) -> Iterator[Any]:
    """The supervisor of a `deploy.engines.flower.Node`, in a thread; its processes can be ordered to die."""
    from client.node.supervisor import Link, Supervisor

    node.key()
    places = node.places
    supervisor = Supervisor(
        node.home,
        Link(link.address, link.certificates.authority),
        name=node.settings.name,
        settings=node.file,
        folder=places.folder,
    )
    order = str(places.folder / "order")
    supervisor._supernode = Forked(
        "supernode", be_supernode, lambda: (str(places.folder), supervisor._arguments(), order, ahead)
    )
    supervisor._executor = Forked(
        "executor", executor, lambda: (str(places.folder), str(node.home), str(node.file), order, ahead)
    )
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()
        thread.join(30.0)


def order(supervisor: Any, point: str) -> Path:
    """Let one of its processes die at that point; the file goes when it did."""
    file: Path = supervisor.places.folder / "order"
    beside = file.with_name("order.new")
    beside.write_text(point)
    beside.replace(file)
    return file


def wait_for(done: Callable[[], bool], what: str) -> None:
    started = time.monotonic()
    while not done():
        assert time.monotonic() - started < PATIENCE, what
        time.sleep(0.02)


def run(link: Any, study: Any, hospitals: int, files: dict[str, bytes] | None = None) -> Any:
    """The study over nodes that are there; the coordinator's last progress."""
    from flwr.app import Context, RecordDict

    from server.app import app
    from server.events import Advanced, Event, listening

    settings: dict[str, Any] = {"study": study.to_toml(), "hospitals": hospitals, "home": ""}
    settings["reply-seconds"] = 300.0
    steps: list[Advanced] = []

    def collect(event: Event) -> None:
        if isinstance(event, Advanced):
            steps.append(event)

    link.launch({"study.toml": study.to_toml().encode(), **(files or {})})
    with listening(collect), link.grid() as grid:
        app(grid, Context(1, 0, {}, RecordDict(), settings))
    assert steps[-1].progress.phase == "done"
    return steps[-1].progress


def model_of(link: Any, study: str, hospitals: int) -> Any:
    """The same in a process of its own: Flower knows one run a process."""
    from tasks.study import parse

    return run(link, parse(study), hospitals).state.model
