"""Clock, disk and neighbours: said in one line, and the book as it was."""

from __future__ import annotations

import errno
import math
import sqlite3
from pathlib import Path

import pytest

from client.ledger import Ledger, book
from ground import heads
from ground.errors import StateError
from privacy.accountant import Event

STUDY = "ab" * 32
STEP = Event(1.0, 20.0)


class Clock:
    def __init__(self) -> None:
        self.seconds = 1e9

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path, clock: Clock):
    with Ledger(path, now=clock) as opened:
        opened.reserve("cleveland", STUDY, 0, STEP)
        yield opened


def entries(path: Path) -> int:
    with Ledger(path) as opened:
        return opened.verify()


def refused(ledger: Ledger, number: int = 1) -> str:
    with pytest.raises(StateError) as caught:
        ledger.reserve("cleveland", STUDY, number, STEP)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("back", [120.5, 86_400.0, 1e9, math.inf, math.nan])
def test_a_clock_set_back_books_nothing(ledger: Ledger, path: Path, clock: Clock, back: float) -> None:
    clock.seconds -= back
    said = refused(ledger)
    assert f"{path}: the clock of this machine is {back:.0f} s behind the latest entry and nothing" in said
    assert said.endswith("put the clock right, then ask again")
    assert ledger.verify() == 1


@pytest.mark.usefixtures("ledger")
def test_a_clock_set_back_is_noticed_by_a_book_that_is_opened_anew(path: Path) -> None:
    with Ledger(path, now=lambda: 5e8) as later:
        assert "is 500000000 s behind" in refused(later)


def test_a_clock_put_right_by_two_minutes_is_no_matter(ledger: Ledger, clock: Clock) -> None:
    clock.seconds -= book.CLOCK_TOLERANCE
    ledger.settle("cleveland", STUDY, 0)


def test_a_clock_cannot_be_set_back_in_small_steps(ledger: Ledger, clock: Clock) -> None:
    clock.seconds -= 100.0
    ledger.settle("cleveland", STUDY, 0)
    clock.seconds -= 100.0
    assert "200 s behind" in refused(ledger)


def test_a_clock_that_is_put_right_books_again(ledger: Ledger, clock: Clock) -> None:
    clock.seconds -= 1000.0
    refused(ledger)
    clock.seconds += 1001.0
    ledger.reserve("cleveland", STUDY, 1, STEP)
    assert ledger.verify() == 2


def test_a_full_disk_books_nothing_and_leaves_the_book_as_it_was(ledger: Ledger, path: Path) -> None:
    connection = ledger._book._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    done = 1
    with pytest.raises(StateError) as caught:  # noqa: PT012 - the first that fails
        while True:
            ledger.reserve("cleveland", STUDY, done, STEP)
            done += 1
    said = f"{path}: the disk is full and nothing was booked: make room, then ask again"
    assert str(caught.value) == said
    assert (ledger.verify(), entries(path)) == (done, done)
    connection.execute("PRAGMA max_page_count = 1000")
    ledger.reserve("cleveland", STUDY, done, STEP)
    assert entries(path) == done + 1


def test_a_disk_that_is_full_for_the_head_is_said_and_what_was_booked_stays_booked(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(heads.head_of(path)))

    with monkeypatch.context() as patch:
        patch.setattr(heads, "write_atomically", full)
        said = refused(ledger)
    assert said.startswith(f"{path}.head: No space left on device: check the folder, its rights and the disk")
    ledger.reserve("cleveland", STUDY, 1, STEP)  # the same again: still open, nothing more is spent
    assert (ledger.verify(), entries(path)) == (2, 2)


@pytest.mark.usefixtures("ledger")
def test_a_book_that_another_process_holds_for_too_long_is_said(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "PATIENCE", 0.05)
    with Ledger(path) as waiting:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        assert refused(waiting).startswith(f"{path}: another process holds the book: wait for it or end it")
        with pytest.raises(StateError, match="another process holds the book"):
            Ledger(path)
        holder.close()
        waiting.reserve("cleveland", STUDY, 1, STEP)
    assert entries(path) == 2


def test_a_book_that_cannot_be_written_is_said(ledger: Ledger, path: Path) -> None:
    ledger._book._connection.execute("PRAGMA query_only = ON")
    assert refused(ledger) == f"{path}: the book cannot be written: let this user write it and its folder"
    assert len(ledger.history()) == 1
    ledger._book._connection.execute("PRAGMA query_only = OFF")
    assert ledger.verify() == 1


@pytest.mark.parametrize("content", [b"nonsense" * 1000, b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_file_that_is_no_book_is_said(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StateError) as caught:
        Ledger(path)
    assert str(caught.value).startswith(f"{path}: damaged: restore the newest backup")
    assert path.read_bytes() == content


def test_another_database_is_not_made_a_book(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE entries (number INTEGER)")
    connection.close()
    with pytest.raises(StateError, match="its tables are not those of an epsilon book"):
        Ledger(path)


def test_a_folder_in_the_books_place_is_said(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StateError, match="the book cannot be opened"):
        Ledger(path)


def test_a_file_in_the_homes_place_is_said(path: Path) -> None:
    path.write_text("")
    with pytest.raises(StateError, match="exists: check the folder, its rights and the disk"):
        Ledger(path / "ledger.sqlite")


def test_a_closed_book_is_a_mistake_of_the_caller(path: Path) -> None:
    ledger = Ledger(path)
    ledger.close()
    with pytest.raises(sqlite3.ProgrammingError):
        ledger.accounts()
