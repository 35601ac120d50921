from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ground.errors import StateError
from ground.files import locked

HOLD = """
import sys
from pathlib import Path
from ground.files import locked

with locked(Path(sys.argv[1]), 0.0, "busy"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / ".lock"


@pytest.fixture
def other(file: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which holds the lock until it is told, or killed."""
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.usefixtures("other")
def test_a_second_process_is_refused_with_the_words_given(file: Path) -> None:
    with (
        pytest.raises(StateError, match=r"^brest is busy: come back$"),
        locked(file, 0.0, "brest is busy: come back"),
    ):
        pytest.fail("two hold the lock")


def test_whoever_has_patience_gets_the_lock_when_it_is_free(file: Path, other: subprocess.Popen[str]) -> None:
    assert other.stdin is not None
    other.stdin.close()
    with locked(file, 30.0, "busy"):
        assert file.exists()


@pytest.mark.usefixtures("other")
def test_patience_ends(file: Path) -> None:
    began = time.monotonic()
    with pytest.raises(StateError, match="busy"), locked(file, 0.1, "busy"):
        pytest.fail("two hold the lock")
    assert time.monotonic() - began >= 0.1


def test_the_lock_of_a_killed_process_is_free(file: Path, other: subprocess.Popen[str]) -> None:
    other.send_signal(signal.SIGKILL)
    assert other.wait() == -signal.SIGKILL
    with locked(file, 0.0, "busy"):
        assert file.exists()


def test_a_second_thread_or_call_is_refused_too(file: Path) -> None:
    with locked(file, 0.0, "first"), pytest.raises(StateError, match="second"), locked(file, 0.0, "second"):
        pytest.fail("two hold the lock")


def test_the_lock_is_free_after_an_error(file: Path) -> None:
    with pytest.raises(OSError, match="the disk is full"), locked(file, 0.0, "busy"):
        raise OSError("the disk is full")
    with locked(file, 0.0, "busy"):
        assert file.stat().st_mode & 0o777 == 0o600
