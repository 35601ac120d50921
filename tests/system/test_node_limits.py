"""The limits of hospital.toml, seen from outside a real executor: what the kernel holds it to.

Hours and the size of a reply are refusals: tests/client/test_admission.py has them, through the app.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from client.home import FILE, Home

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc says what a process is held to"),
]
PATIENCE = 300.0  # a machine may be busy


def held_to(pid: int) -> tuple[set[int], str]:
    """How many processors each of its threads may use, and the most memory that it may write to, in bytes."""
    tasks = [f"/proc/{pid}/task/{each}" for each in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208
    lists = [re.search(r"Cpus_allowed:\s+(\S+)", Path(each, "status").read_text())[1] for each in tasks]
    counted = {int(each.replace(",", ""), 16).bit_count() for each in lists}
    return counted, re.search(r"Max data size\s+(\S+)", Path(f"/proc/{pid}/limits").read_text())[1]


def executor(home: Path) -> subprocess.Popen[bytes]:
    folder = home / "node"
    folder.mkdir()
    arguments = ["-P", "-m", "client.node.executor", str(os.getpid()), str(folder), str(home)]
    return subprocess.Popen([sys.executable, *arguments])


@pytest.mark.parametrize("limited", [True, False])
def test_an_executor_is_held_to_the_processors_and_the_memory_of_its_home(
    tmp_path: Path, limited: bool
) -> None:
    home = Home.begin(tmp_path / "home", "brest").path
    limits = "[limits]\nthreads = 1\nmemory-megabytes = 4000\n" if limited else ""
    (home / FILE).write_text(f'name = "brest"\n{limits}')
    expected = ({1}, "4000000000") if limited else ({len(os.sched_getaffinity(0))}, "unlimited")
    process, until = executor(home), time.monotonic() + PATIENCE
    try:
        while not _is_ready(process.pid):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        assert held_to(process.pid) == expected
    finally:
        process.kill()
        process.wait()


def _is_ready(pid: int) -> bool:
    """Whether it has loaded what computes, whose threads must be held as well."""
    return "libtorch" in Path(f"/proc/{pid}/maps").read_text()
