"""The file: entries in SQLite, appended one at a time, each by one process, each durable before it counts.

WAL with `synchronous=FULL`: a commit is on disk when it returns. Whoever appends holds SQLite's write lock
from reading the last entry to the commit, so two processes cannot both follow the same entry. The head is
written after the commit, under the same lock, so that it never goes back.
"""

from __future__ import annotations

import math
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from client.ledger import tables
from client.ledger.entries import (
    BrokenChainError,
    Budget,
    Entry,
    Kind,
    Row,
    digest_of,
    follow,
    to_body,
)
from client.ledger.troubles import RESTORE, in_plain_words
from ground.errors import StateError
from ground.heads import BEGINNING, Head, HeadFile
from privacy.accountant import Event

# A clock may be put right by so many seconds; one that is further behind the book was set back.
CLOCK_TOLERANCE = 120.0
# How long to wait for another process: composing a long history takes seconds, under the lock.
PATIENCE = 60.0
# The named points between two writes, in their order: `fault` is called with each. For tests.
FAULTS = ("file made", "tables begun", "tables made", "inserted", "committed", "head written")

_COLUMNS = "number, time, account, kind, study, round, body, previous, digest"

Append = Callable[[str, Kind, str | None, int | None, Budget | Event | str | None], None]


def no_fault(name: str) -> None:
    """Outside of tests nothing happens at a fault point."""


class Book:
    """An open book, its chain verified; `entries` holds what was read and verified so far.

    `now` is the clock, in seconds since 1970. Every method raises StateError, in one line, where the file is
    damaged, locked or cannot be written; what was in the book before stays as it was.
    """

    def __init__(self, path: Path, now: Callable[[], float], fault: Callable[[str], None]) -> None:
        self.path = path
        self.entries: list[Entry] = []
        self._now, self._fault = now, fault
        self._head = HeadFile(path)
        self._guard = threading.RLock()
        self._latest = -math.inf  # the latest time in the book
        with in_plain_words(path):
            self._make_file()
            self._file = _identity_of(path)
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=PATIENCE,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            with in_plain_words(path):
                self._prepare()
                self._keep_head(opening=True)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Within it `entries` holds all that any process has booked."""
        with self._guard, in_plain_words(self.path):
            self._catch_up()
            yield

    @contextmanager
    def appending(self) -> Iterator[Append]:
        """Within it nobody else writes; what is appended is durable when it ends, or not there at all."""
        with self._guard, in_plain_words(self.path):
            with self._transaction():
                self._catch_up()
                before = self._connection.total_changes
                yield self._append
                appended = self._connection.total_changes > before
                if appended:
                    self._connection.execute("COMMIT")
            if appended:
                self._fault("committed")
                self._keep_head()

    def head(self) -> Head:
        """Number and digest of the last entry that was read."""
        return Head(len(self.entries), self.entries[-1].digest) if self.entries else Head()

    def verify(self) -> int:
        """Read every entry again, and check the file's own structure; the number of entries."""
        with self._guard, in_plain_words(self.path), self._transaction():
            tables.check(self._connection, self.path)
            self._catch_up(after=0)
            return len(self.entries)

    def _make_file(self) -> None:
        """An empty file for its owner alone, where there is none; never where a head says that there was."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        head = self._head.read()
        if self.path.exists():
            return
        if head is not None:
            raise StateError(f"{self.path}: the book is gone and its head is still there: {RESTORE}")
        try:
            # Never opened by us where it exists: closing it would drop the locks that SQLite holds on it.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return  # another process was faster
        self._fault("file made")

    def _prepare(self) -> None:
        """The tables, made in an empty file and checked in any other."""
        tables.begin_wal(self._connection, self.path, PATIENCE)
        with self._transaction():
            if self._head.read() is not None or not tables.are_absent(self._connection):
                tables.check(self._connection, self.path)
                return
            tables.make(self._connection)
            self._fault("tables begun")
            self._connection.execute("COMMIT")
            self._fault("tables made")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """SQLite's write lock; what is not committed within is undone."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _catch_up(self, *, after: int | None = None, opening: bool = False) -> Head | None:
        """Read and verify all entries after that one, by default the last known and the new ones; the head.

        What was known must still be the same. The head is read before the entries, so that another
        process's commit in between cannot make the book look short.
        """
        if _identity_of(self.path) != self._file:
            raise StateError(f"{self.path}: the book was replaced while it was open: {RESTORE}")
        head = self._head.read()
        after = max(0, len(self.entries) - 1) if after is None else after
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM entries WHERE number > ? OR number < 1 ORDER BY number",  # noqa: S608
            (after,),
        ).fetchall()  # a statement left in its middle would hold the file for as long as the error lives
        try:
            found = follow(rows, after, self._digest_at(after))
        except BrokenChainError as error:
            raise StateError(f"{self.path}: {error}: {RESTORE}") from error
        known = self.entries[after:]
        if found[: len(known)] != known:
            raise StateError(f"{self.path}: entries that were there before are gone: {RESTORE}")
        self.entries += found[len(known) :]
        self._latest = max([self._latest, *(entry.time for entry in found)])
        self._check_head(head, opening=opening)
        return head

    def _check_head(self, head: Head | None, *, opening: bool) -> None:
        """Raises StateError where the book lacks what its head says that it holds."""
        if head is None:
            # A crash right after the tables were made leaves a book without head, and without entries.
            if opening and not self.entries:
                return
            raise StateError(f"{self._head.path}: the book's head is missing: {RESTORE}")
        if head.number > len(self.entries):
            raise StateError(
                f"{self.path}: entry {len(self.entries) + 1} is missing, of {head.number} that its head "
                f"knows: the book was truncated or replaced by an older one: {RESTORE}"
            )
        if self._digest_at(head.number) != head.digest:
            raise StateError(
                f"{self.path}: entry {head.number} is not the one that its head knows: {RESTORE}"
            )

    def _digest_at(self, number: int) -> str:
        return self.entries[number - 1].digest if number else BEGINNING

    def _keep_head(self, *, opening: bool = False) -> None:
        """Bring the head up to the last entry; on opening, only where a crash left it behind."""
        with self._transaction():
            head = self._catch_up(opening=opening)
            if head == self.head():
                return
            if opening:
                self._head.tidy()
            self._head.write(self.head())
            self._fault("head written")

    def _append(
        self,
        account: str,
        kind: Kind,
        study: str | None,
        round_number: int | None,
        content: Budget | Event | str | None,
    ) -> None:
        """One more entry, in the transaction of `appending`: at most one in each."""
        previous = self.head()
        body = to_body(content)
        row: Row = (previous.number + 1, self._moment(), account, kind, study, round_number, body)
        self._connection.execute(
            f"INSERT INTO entries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (*row, previous.digest, digest_of(previous.digest, row)),
        )
        self._fault("inserted")

    def _moment(self) -> float:
        """The time by the clock; raises StateError where the clock was set back."""
        moment = float(self._now())
        if not math.isfinite(moment) or moment < self._latest - CLOCK_TOLERANCE:
            raise StateError(
                f"{self.path}: the clock of this machine is {self._latest - moment:.0f} s behind the latest "
                "entry and nothing was booked: put the clock right, then ask again"
            )
        return moment


def _identity_of(path: Path) -> tuple[int, int]:
    """Device and inode: another file under the same name has others."""
    status = path.stat()
    return status.st_dev, status.st_ino
