"""The file: SQLite in write-ahead mode, with every commit on the disk before it counts.

Any process and any thread may use it; who writes waits for who is writing. A connection lives as long as one
reading or writing: nothing is held open between them, so a backup or a kill finds the file whole.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ground.errors import StateError, UsageError
from server.registry.schema import STEPS

if TYPE_CHECKING:
    from server.registry.hospitals import Hospitals
    from server.registry.invitations import Invitations
    from server.registry.people import People
    from server.registry.studies import Studies

PATIENCE = 30.0  # seconds for which a writer waits for another


class Store:
    """The registry's file; `now` is the clock, in seconds since 1970.

    Every use raises StateError in one line where the file is damaged, cannot be written, or is of a later
    version of Laennec.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self.path, self.now = path, now

    @staticmethod
    def begin(path: Path) -> Store:
        """Make the file, its owner's alone; one that is there takes the steps that it lacks."""
        path.touch(mode=0o600)
        store = Store(path)
        with store._connected() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            store._bring_up(connection)
        return store

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Inside, what is read is of one moment."""
        with self._connected() as connection:
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Inside, nobody else writes; what was written counts once the block has ended well, else nothing."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        if not self.path.is_file():
            raise UsageError(
                f"{self.path}: no such file: make a home with `laennec coordinator init HOME`, or restore it"
            )
        try:
            with closing(sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)) as connection:
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                self._bring_up(connection)
                yield connection
        except sqlite3.Error as error:
            raise StateError(
                f"{self.path}: {error}: check the disk and its rights, or restore a backup"
            ) from error

    def _bring_up(self, connection: sqlite3.Connection) -> None:
        """Take the steps that this file has not taken."""
        if self._steps(connection) == len(STEPS):
            return
        connection.execute("BEGIN IMMEDIATE")
        for number in range(self._steps(connection), len(STEPS)):
            for statement in _statements(STEPS[number]):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.commit()

    def _steps(self, connection: sqlite3.Connection) -> int:
        taken = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if taken > len(STEPS):
            raise StateError(f"{self.path}: written by a later version of Laennec: install that one")
        return taken


class Registry:
    """All that the coordinator knows, in one file."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @staticmethod
    def begin(path: Path) -> Registry:
        """Make the file."""
        return Registry(Store.begin(path))

    @staticmethod
    def open(path: Path, now: Callable[[], float] = time.time) -> Registry:
        """The registry in that file."""
        return Registry(Store(path, now))

    @cached_property
    def hospitals(self) -> Hospitals:
        """The members, and those who were."""
        from server.registry.hospitals import Hospitals

        return Hospitals(self.store)

    @cached_property
    def invitations(self) -> Invitations:
        """Who may join."""
        from server.registry.invitations import Invitations

        return Invitations(self.store)

    @cached_property
    def people(self) -> People:
        """Who may launch, who may watch."""
        from server.registry.people import People

        return People(self.store)

    @cached_property
    def studies(self) -> Studies:
        """What is run, and what was."""
        from server.registry.studies import Studies

        return Studies(self.store)


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: executed together, each would end the transaction."""
    pending = ""
    for line in script.splitlines():
        pending += f"{line.partition('--')[0]}\n"
        if sqlite3.complete_statement(pending):
            yield pending.strip()
            pending = ""
