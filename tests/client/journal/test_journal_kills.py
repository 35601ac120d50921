"""The journal under SIGKILL at every point between two writes, and under a disk that ends.

This file, run as a program, is the process that is killed.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from client.journal import Journal
from client.journal.journal import FAULTS
from ground.signing import new_private

ROOT = Path(__file__).parents[3]


def main(home: str, kill_at: str, limit: str) -> None:
    """Write three lines, say each that is written; die at that point, or where files may grow no more."""
    count = 0

    def fault(_: str) -> None:
        nonlocal count
        count += 1
        if count == int(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)

    if int(limit):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    kept = Journal(Path(home), fault=fault)
    for number in range(3):
        try:
            kept.write("node", "round", detail=f"round {number}")
        except Exception as error:
            sys.stdout.write(f"{type(error).__name__}: {error}\n")
            return
        sys.stdout.write("written\n")
        sys.stdout.flush()


def run(home: Path, kill_at: int, limit: int = 0) -> list[str]:
    finished = subprocess.run(
        [sys.executable, __file__, home, str(kill_at), str(limit)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert finished.stderr == ""
    return finished.stdout.splitlines()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "identity").write_bytes(new_private())
    return tmp_path


@pytest.mark.parametrize("kill_at", range(1, 3 * len(FAULTS) + 1))
def test_killed_between_any_two_writes_the_journal_is_whole_and_goes_on(home: Path, kill_at: int) -> None:
    said = run(home, kill_at)
    acknowledged = said.count("written")
    kept = Journal(home)
    found = kept.verify()
    assert acknowledged <= found <= acknowledged + 1
    assert kept.write("node", "start").number == found + 1
    assert kept.verify() == found + 1
    names = {".journal.lock", "identity", "journal.jsonl", "journal.jsonl.head", "journal.jsonl.next"}
    assert {file.name for file in home.iterdir()} <= names


@pytest.mark.parametrize("cut", [1, 40, -1])
def test_what_a_power_cut_leaves_of_a_line_is_taken_away_and_nothing_else_is(home: Path, cut: int) -> None:
    kept = Journal(home)
    kept.write("node", "start")
    run(home, 1)  # killed with the next line announced and not appended
    announced = (home / "journal.jsonl.next").read_bytes()
    whole = kept.path.read_bytes()
    kept.path.write_bytes(whole + announced[:cut])
    assert kept.verify() == 1
    assert kept.write("node", "stop").number == kept.verify() == 2
    assert kept.path.read_bytes().startswith(whole)


def test_where_files_may_grow_no_more_it_is_said_and_nothing_is_half_written(home: Path) -> None:
    Journal(home).write("node", "start")
    size = (home / "journal.jsonl").stat().st_size
    said = run(home, 0, size + 500)
    assert said[:-1] == ["written"]
    assert said[-1].startswith(
        f"StateError: {home / 'journal.jsonl'}: File too large and nothing was written"
    )
    assert Journal(home).verify() == 2
    assert (home / "journal.jsonl").read_bytes().endswith(b"}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
