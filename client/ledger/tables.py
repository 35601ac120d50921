"""The one table of the book, its triggers, and whether a file holds these and nothing else."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from client.ledger.troubles import RESTORE
from ground.errors import StateError

_IDENTITY = 0x4C41454E  # "LAEN", SQLite's application_id
SCHEMA = {
    "entries": (
        "CREATE TABLE entries (number INTEGER PRIMARY KEY, time REAL NOT NULL, account TEXT NOT NULL, "
        "kind TEXT NOT NULL, study TEXT, round INTEGER, body TEXT NOT NULL, previous TEXT NOT NULL, "
        "digest TEXT NOT NULL) STRICT"
    ),
    # A first line against mistakes; what somebody does who drops them, the chain shows.
    "no_update": (
        "CREATE TRIGGER no_update BEFORE UPDATE ON entries "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    ),
    "no_delete": (
        "CREATE TRIGGER no_delete BEFORE DELETE ON entries "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    ),
    "only_append": (
        "CREATE TRIGGER only_append BEFORE INSERT ON entries "
        "WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM entries) "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    ),
}


def begin_wal(connection: sqlite3.Connection, path: Path, patience: float) -> None:
    """Write-ahead logging, in which a commit is on disk when it returns.

    Switching to it comes once in the life of a book, and several processes may be the first: here SQLite
    does not wait by itself. Raises StateError where the file system cannot do it.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    if mode != ("wal",):
        raise StateError(f"{path}: this file system cannot hold the book: use a local disk")
    connection.execute("PRAGMA synchronous = FULL")


def are_absent(connection: sqlite3.Connection) -> bool:
    """Whether the file holds nothing at all."""
    return bool(connection.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])


def make(connection: sqlite3.Connection) -> None:
    """Table and triggers, in the caller's transaction."""
    for statement in SCHEMA.values():
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {_IDENTITY}")


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raises StateError where the tables and triggers are not ours alone, or SQLite's own check fails."""
    identity = connection.execute("PRAGMA application_id").fetchone()
    schema = dict(connection.execute("SELECT name, sql FROM sqlite_master").fetchall())
    if identity != (_IDENTITY,) or schema != SCHEMA:
        raise StateError(f"{path}: its tables are not those of an epsilon book: {RESTORE}")
    if connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
        raise StateError(f"{path}: damaged: {RESTORE}")
