"""Real processes of the command line, as a person starts, interrupts and kills them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from server import checkpoint

LAENNEC = str(Path(sys.executable).with_name("laennec"))
STUDY = 'name = "long"\ntask = "heart-disease"\nrounds = {rounds}\nseed = 3\n'
PRIVACY = "[privacy]\nepsilon = 2.0\n"
PATIENCE = 300.0  # of whoever shares two processors with all the others


def _heed_interrupts() -> None:
    """A job that a script put into the background ignores Ctrl-C, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def start(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """In a process group of its own, as a terminal does it; whatever is left of the group is killed."""
    process = subprocess.Popen(
        [LAENNEC, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_interrupts,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def finish(*arguments: object) -> tuple[int, str, str]:
    """Its exit status, standard output and standard error."""
    with start(*arguments) as process:
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, out, err


def wait_for_round(number: int, process: subprocess.Popen[str], state: Path) -> None:
    """Until the coordinator's checkpoint is at that round; fails where the process ends before."""
    started = time.monotonic()
    while (progress := checkpoint.load(state)) is None or progress.round < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - started < PATIENCE
        time.sleep(0.01)


def alive(group: int) -> list[str]:
    """The command lines of that group's processes, those that wait to be reaped left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, number = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                if (int(number), state != "Z") == (group, True):
                    found.append((entry / "cmdline").read_text())
            except OSError:
                continue
    return found


def wait_until_gone(group: int) -> None:
    """The last helper of a group may end a moment after its leader."""
    started = time.monotonic()
    while found := alive(group):
        assert time.monotonic() - started < PATIENCE, found
        time.sleep(0.01)
