"""The book under SIGKILL, under a disk that ends, and under two processes at once.

One process imports the ledger and forks a child for each example: this file, run as a program.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.ledger import Entry, Ledger
from client.ledger.book import FAULTS
from ground.errors import PrivacyError, StateError
from privacy.accountant import Event

ROOT = Path(__file__).resolve().parent.parent.parent
STUDY, OTHER = "ab" * 32, "cd" * 32
Call = tuple[Any, ...]
CALLS: list[Call] = [
    ("reserve", "cleveland", STUDY, 0, 60.0),
    ("settle", "cleveland", STUDY, 0),
    ("reserve", "cleveland", STUDY, 1, 20.0),
    ("disclose", "cleveland", STUDY, 1, "accuracy"),
    ("settle", "cleveland", STUDY, 1),
    ("reserve", "cleveland", STUDY, 1, 20.0),
    ("set_budget", "cleveland", 5.0, 1e-5),
]
PLACES = st.tuples(st.just("cleveland"), st.sampled_from([STUDY, OTHER]), st.integers(0, 1))
ANY_CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), PLACES, st.just(20.0)),
        st.tuples(st.just("settle"), PLACES),
        st.tuples(st.just("disclose"), PLACES, st.just("accuracy")),
    ).map(lambda call: (call[0], *call[1], *call[2:])),
    min_size=1,
    max_size=6,
)


def perform(ledger: Ledger, call: Sequence[Any]) -> None:
    """One call; what was never reserved is not settled, and that is an answer too."""
    name, *arguments = call
    if name == "reserve":
        arguments[-1] = Event(1.0, arguments[-1])
    try:
        getattr(ledger, name)(*arguments)
    except PrivacyError:
        if name != "settle":
            raise


# What runs in the other process.


def child(order: dict[str, Any], calls: Sequence[Call], report: Callable[[str], None]) -> None:
    """Perform the calls, report each that returned, die at the fault point that was ordered."""
    points = itertools.count(1)

    def fault(name: str) -> None:
        report(name)
        if next(points) == order.get("kill_at"):
            os.kill(os.getpid(), signal.SIGKILL)

    if "limit" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit"], order["limit"]))
    try:
        with Ledger(Path(order["path"]), fault=fault) as ledger:
            for call in calls:
                perform(ledger, call)
                report("done")
    except (PrivacyError, StateError) as error:
        report(f"refused: {error}")


def serve() -> None:
    """For each order on standard input fork a child for each list of calls; answer what they reported."""
    for line in sys.stdin:
        order = json.loads(line)
        pipes, children = [], []
        for calls in order["calls"]:
            reader, writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                child(order, calls, lambda text, to=writer: os.write(to, f"{text}\n".encode()))
                os._exit(0)
            os.close(writer)
            pipes.append(reader)
            children.append(pid)
        if "kill_after" in order:
            time.sleep(order["kill_after"])
            os.kill(children[0], signal.SIGKILL)
        said = []
        for reader, pid in zip(pipes, children, strict=True):
            with os.fdopen(reader) as stream:
                said.append(stream.read().splitlines())
            os.waitpid(pid, 0)
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


# What runs in the test.

Ask = Callable[..., list[list[str]]]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Gives an order to the other process; what each child reported."""
    process = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )

    def give(path: Path, *calls: Sequence[Call], **order: object) -> list[list[str]]:
        process.stdin.write(json.dumps({"path": str(path), "calls": calls, **order}) + "\n")
        process.stdin.flush()
        said: list[list[str]] = json.loads(process.stdout.readline())
        return said

    yield give
    process.communicate()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    return lambda: tmp_path_factory.mktemp("home") / "ledger.sqlite"


def essence(entries: Sequence[Entry]) -> list[tuple[object, ...]]:
    """Everything but the time and the digest, which differ from run to run."""
    return [(each.account, each.kind, each.study, each.round, each.content) for each in entries]


Expected = tuple[list[tuple[object, ...]], list[int]]


def undisturbed(path: Path, calls: Sequence[Call]) -> Expected:
    """What the calls write where nothing happens, and how many entries there are after so many calls."""
    counts = [0]
    with Ledger(path) as ledger:
        for call in calls:
            perform(ledger, call)
            counts.append(len(ledger.history()))
        return essence(ledger.history()), counts


def survive(
    ask: Ask, path: Path, calls: Sequence[Call], kills: Sequence[int], expected: Expected
) -> list[str]:
    """Perform the calls while being killed at each of these points in turn; all that was reported.

    After each kill the book opens and verifies, holds what was acknowledged and at most the one entry more
    that was on its way; in the end it has spent what an undisturbed one has.
    """
    entries, counts = expected
    done, reported = 0, []
    for kill_at in (*kills, 0):
        [said] = ask(path, calls[done:], kill_at=kill_at)
        reported += said
        done += said.count("done")
        with Ledger(path) as ledger:
            written = essence(ledger.history())
            assert ledger.verify() == len(written)
        without = [each for each in written if each[1] != "budget"]
        budgets = len(written) - len(without)
        assert without == [each for each in entries if each[1] != "budget"][: len(without)]
        assert budgets >= sum(each[1] == "budget" for each in entries[: counts[done]])
        assert len(written) >= counts[done]
        assert len(without) <= counts[min(done + 1, len(calls))]
    assert done == len(calls)
    assert without == [each for each in entries if each[1] != "budget"]
    assert sorted(file.name for file in path.parent.iterdir()) == ["ledger.sqlite", "ledger.sqlite.head"]
    return reported


def test_a_book_survives_a_kill_at_each_write(ask: Ask, fresh: Callable[[], Path]) -> None:
    expected = undisturbed(fresh(), CALLS)
    reported = survive(ask, fresh(), CALLS, (), expected)
    points = [name for name in reported if name != "done"]
    assert set(points) == set(FAULTS)
    for kill_at in range(1, len(points) + 1):
        assert survive(ask, fresh(), CALLS, (kill_at,), expected).count("done") == len(CALLS)


@given(calls=ANY_CALLS, kills=st.lists(st.integers(1, 12), min_size=1, max_size=4))
@settings(deadline=None, max_examples=20)
def test_a_book_survives_any_calls_and_kills(
    ask: Ask, fresh: Callable[[], Path], calls: list[Call], kills: list[int]
) -> None:
    survive(ask, fresh(), calls, kills, undisturbed(fresh(), calls))


@given(seconds=st.floats(0.0, 0.12))
@settings(deadline=None, max_examples=20)
def test_a_book_survives_a_kill_at_any_instant(ask: Ask, fresh: Callable[[], Path], seconds: float) -> None:
    path = fresh()
    calls: list[Call] = [("reserve", "cleveland", STUDY, number, 20.0) for number in range(300)]
    [said] = ask(path, calls, kill_after=seconds)
    with Ledger(path) as ledger:
        assert said.count("done") <= ledger.verify() <= said.count("done") + 1
        ledger.reserve("cleveland", OTHER, 1, Event(1.0, 20.0))
        assert [entry.round for entry in ledger.history()][:-1] == list(range(ledger.verify() - 1))


@pytest.mark.parametrize("attempt", range(3))
def test_two_processes_at_once_lose_nothing(ask: Ask, fresh: Callable[[], Path], attempt: int) -> None:
    path = fresh()
    both = [
        [("reserve", "cleveland", study, number, 20.0) for number in range(15)] for study in (STUDY, OTHER)
    ]
    assert [said.count("done") for said in ask(path, *both)] == [15, 15], attempt
    with Ledger(path) as ledger:
        assert ledger.verify() == 30
        assert ledger.spent("cleveland").events == (Event(1.0, 20.0, 30),)
        for study in (STUDY, OTHER):
            assert [e.round for e in ledger.history() if e.study == study] == list(range(15))


def test_two_processes_at_once_do_not_overrun_the_budget(ask: Ask, fresh: Callable[[], Path]) -> None:
    path = fresh()
    with Ledger(path) as ledger:
        ledger.reserve("hungary", STUDY, 0, Event(1.0, 20.0, 6))
        ledger.set_budget("cleveland", ledger.spent("hungary").epsilon(1e-5), 1e-5)
    both = [
        [("reserve", "cleveland", study, number, 20.0) for number in range(6)] for study in (STUDY, OTHER)
    ]
    said = ask(path, *both)
    assert sum(each.count("done") for each in said) == 6
    assert any("no further round would fit" in line for each in said for line in each)
    with Ledger(path) as ledger:
        assert ledger.spent("cleveland").events == (Event(1.0, 20.0, 6),)


@pytest.mark.fault("disk full under the ε book", "reserve", "refused by name, nothing booked, nothing lost")
def test_a_disk_that_ends_books_nothing_more_and_loses_nothing(ask: Ask, fresh: Callable[[], Path]) -> None:
    path = fresh()
    calls: list[Call] = [("reserve", "cleveland", STUDY, number, 20.0) for number in range(100)]
    [said] = ask(path, calls, limit=65_536)
    done = said.count("done")
    assert 1 < done < 100
    assert said[-1].startswith(
        f"refused: {path}: the disk refuses (is it full?) and nothing was booked: check"
    )
    with Ledger(path) as ledger:
        assert ledger.verify() == done
    [rest] = ask(path, calls[done:])
    assert done + rest.count("done") == 100


if __name__ == "__main__":
    serve()
