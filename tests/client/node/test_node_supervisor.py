from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from client.node.status import read_status
from client.node.supervisor import Link, Supervisor
from ground.errors import StateError

SLEEPER = ("-S", "-c", "import time; time.sleep(60)")


def made(home: Path) -> Supervisor:
    return Supervisor(home, Link("127.0.0.1:1"), name="brest", modules=(SLEEPER, SLEEPER))


def wait_for(done: Callable[[], object]) -> None:
    until = time.monotonic() + 20.0
    while not done():
        assert time.monotonic() < until
        time.sleep(0.01)


def status(home: Path) -> dict[str, object]:
    return read_status(home) or {}


@contextmanager
def running(home: Path) -> Iterator[Supervisor]:
    node = made(home)
    thread = threading.Thread(target=node.run)
    thread.start()
    try:
        wait_for(lambda: status(home).get("executor"))
        yield node
    finally:
        node.stop()
        thread.join()


def test_a_hospital_that_runs_is_not_started_twice(tmp_path: Path) -> None:
    with running(tmp_path), pytest.raises(StateError, match="brest: its node is running already"):
        made(tmp_path).run()


def test_the_status_says_what_runs_and_that_it_stopped(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    with running(tmp_path):
        said = status(tmp_path)
        assert (said["state"], said["pid"]) == ("connecting", os.getpid())
        node = tmp_path / "node"
        (node / "contact").touch()
        (node / "work.json").write_text(json.dumps({"digest": "ab", "phase": "train", "round": 3}))
        wait_for(lambda: status(tmp_path)["state"] == "working")
        assert [status(tmp_path)[key] for key in ("study", "phase", "round")] == ["ab", "train", 3]
    said = status(tmp_path)
    assert (said["state"], said["pid"], said["executor"], said["study"]) == ("stopped", None, None, None)
    assert not (tmp_path / "node" / "secret").exists()


def test_a_node_that_was_killed_is_dead(tmp_path: Path) -> None:
    with running(tmp_path):
        written = (tmp_path / "node" / "status.json").read_text()
    (tmp_path / "node" / "status.json").write_text(written)
    assert (status(tmp_path)["state"], status(tmp_path)["pid"]) == ("dead", None)


@pytest.mark.parametrize("killed", ["executor", "supernode"])
def test_whichever_process_ends_is_started_again(tmp_path: Path, killed: str) -> None:
    with running(tmp_path):
        before = status(tmp_path)
        os.kill(int(str(before[killed])), signal.SIGKILL)
        wait_for(lambda: status(tmp_path)[killed] not in (None, before[killed]))
        # The SuperNode holds the message that the executor was killed with: it begins anew with it.
        wait_for(lambda: status(tmp_path)["supernode"] not in (None, before["supernode"]))
        assert (status(tmp_path)["executor"] != before["executor"]) == (killed == "executor")
