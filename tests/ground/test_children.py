from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ground.child import FIRST, LONGEST, Child

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
ROOT = Path(__file__).resolve().parents[2]


class Clock:
    """A time that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def wait_for(done: Callable[[], bool]) -> None:
    until = time.monotonic() + 20.0
    while not done():
        assert time.monotonic() < until
        time.sleep(0.01)


def ended(child: Child) -> None:
    wait_for(child.ended)


def test_a_child_that_ends_at_once_is_started_again_for_ever_and_ever_later() -> None:
    clock = Clock()
    child = Child("it", lambda: [sys.executable, "-S", "-c", ""], clock)
    waited = []
    for _ in range(12):
        while not child.start():
            clock.now += FIRST / 2
        waited.append(clock.now)
        ended(child)
    pauses = [after - before for before, after in itertools.pairwise(waited)]
    assert FIRST <= pauses[0] < 2 * FIRST
    assert LONGEST <= pauses[-1] < LONGEST + FIRST
    assert all(later > earlier - FIRST for earlier, later in itertools.pairwise(pauses))


def test_a_child_that_ran_for_long_is_started_again_at_once() -> None:
    clock = Clock()
    child = Child("it", lambda: SLEEPER, clock)
    child.start()
    clock.now += 3600
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    ended(child)
    clock.now += FIRST
    assert child.start()
    child.stop(5.0)
    assert child.pid is None


def test_a_child_that_does_not_heed_is_killed() -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    child = Child("it", lambda: [sys.executable, "-S", "-c", stubborn])
    child.start()
    pid = child.pid
    time.sleep(0.3)
    child.stop(0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(pid or 0, 0)


def test_a_child_ends_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    child = "import os, sys, time; from ground.orphan import die_with; die_with(int(sys.argv[1]));"
    child += " open(sys.argv[2], 'w').write(str(os.getpid())); time.sleep(60)"
    parent = (
        "import os, subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1], str(os.getpid()),"
    )
    parent += " sys.argv[2]])"
    file = tmp_path / "pid"
    process = subprocess.Popen([sys.executable, "-c", parent, child, str(file)], cwd=ROOT)
    wait_for(lambda: file.exists() and file.read_text() != "")
    number = int(file.read_text())
    process.kill()
    process.wait()
    wait_for(lambda: not is_alive(number))


def test_a_child_whose_parent_is_another_ends_at_once() -> None:
    code = "from ground.orphan import die_with; die_with(1)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 1


def is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
