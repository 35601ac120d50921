"""The archive's index: one SQLite file that says which stored files, rows and reasons there are.

What is not in the index does not exist: a file is written and fsynced before the transaction that names it,
so a half-written one is never seen. Sensitive, like all that lies beside it.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from ground.errors import StateError

FOLDER = "archive"
FILE = "index.sqlite"
PATIENTS = "patients"  # the folder of stored files, one folder a patient
VERSION = "1"
PATIENCE = 30.0  # seconds that a reader or writer waits for another
RESTORE = "restore HOME/archive from a copy, or move it away and import again"
TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- ready is 0 from a change until the patient has been examined as a whole: till then nobody sees her.
CREATE TABLE patients (patient TEXT PRIMARY KEY, ready INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
  name TEXT PRIMARY KEY, patient TEXT NOT NULL, series TEXT NOT NULL, kind TEXT NOT NULL, uid TEXT UNIQUE,
  size INTEGER NOT NULL, digest TEXT NOT NULL, content TEXT NOT NULL, detail TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX files_of_a_patient ON files (patient);
-- The order of a table's rows is kept: a task's split may depend on it.
CREATE TABLE rows (
  number INTEGER PRIMARY KEY, patient TEXT NOT NULL, sheet TEXT NOT NULL, source TEXT NOT NULL,
  cells TEXT NOT NULL, UNIQUE (patient, sheet));
-- A source is the keyed digest of a path, never the path: folders are called after people.
CREATE TABLE sources (
  source TEXT PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, outcome TEXT NOT NULL,
  patient TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX sources_of_a_patient ON sources (patient);
-- source is '' where the reason was found by looking at the whole patient.
CREATE TABLE reasons (
  patient TEXT NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL, since REAL NOT NULL,
  released_by TEXT NOT NULL DEFAULT '', released_at REAL, PRIMARY KEY (patient, source, reason)) WITHOUT
  ROWID;
"""


class Index:
    """The open index; raises StateError, in plain words, where it is damaged or gone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / FILE
        with in_plain_words(self.file):
            new = self._make_file()
            self.connection = sqlite3.connect(
                f"{self.file.absolute().as_uri()}?mode=rw", uri=True, timeout=PATIENCE, isolation_level=None
            )
            try:
                self.connection.execute("PRAGMA journal_mode = WAL")
                self.connection.execute("PRAGMA synchronous = FULL")
                self._prepare(new=new)
            except BaseException:
                self.connection.close()
                raise

    def close(self) -> None:
        """Give the file back."""
        self.connection.close()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction, durable when it ends; the revision moves with it."""
        with in_plain_words(self.file):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                before = self.connection.total_changes
                yield self.connection
                if self.connection.total_changes > before:
                    self._move_on()
                self.connection.execute("COMMIT")
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    @contextmanager
    def look(self) -> Iterator[sqlite3.Connection]:
        """The connection, to read."""
        with in_plain_words(self.file):
            yield self.connection

    def meta(self, key: str) -> str:
        """One of the archive's own values."""
        with in_plain_words(self.file):
            row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise StateError(f"{self.file}: is not an archive's index: {RESTORE}")
        return str(row[0])

    def source(self, path: Path) -> str:
        """What the index calls a path: a digest under a key of this archive alone."""
        text = str(path.absolute()).encode(errors="surrogateescape")
        return blake2b(text, key=self.salt, digest_size=16).hexdigest()

    def short(self, prefix: str, *parts: str) -> str:
        """A short name for something whose own name may hold a person's."""
        text = "\0".join(parts).encode(errors="surrogateescape")
        return prefix + blake2b(text, key=self.salt, digest_size=6).hexdigest()

    def _make_file(self) -> bool:
        """An empty index where there is none yet; raises StateError where stored files say there was one."""
        if self.file.exists():
            if self.file.stat().st_size == 0 and self._has_content():
                raise StateError(f"{self.file}: the index is empty and stored files are there: {RESTORE}")
            return self.file.stat().st_size == 0
        if self._has_content():
            raise StateError(f"{self.file}: the index is gone and stored files are still there: {RESTORE}")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.file.touch(mode=0o600)
        return True

    def _has_content(self) -> bool:
        stored = self.folder / PATIENTS
        return stored.is_dir() and any(stored.iterdir())

    def _prepare(self, *, new: bool) -> None:
        if new:
            self.connection.execute("BEGIN IMMEDIATE")
            if not self.connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                for statement in TABLES.split(";"):
                    self.connection.execute(statement)
                values = (("version", VERSION), ("salt", secrets.token_hex(16)), ("revision", "0"))
                self.connection.executemany("INSERT INTO meta VALUES (?, ?)", values)
            self.connection.execute("COMMIT")
        elif self.connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise StateError(f"{self.file}: the index is damaged: {RESTORE}")
        if self.meta("version") != VERSION:
            raise StateError(f"{self.file}: was written by another version of Laennec: upgrade this one")
        self.salt = bytes.fromhex(self.meta("salt"))

    def _move_on(self) -> None:
        fresh = blake2b((self.meta("revision") + secrets.token_hex(8)).encode(), digest_size=8).hexdigest()
        self.connection.execute("UPDATE meta SET value = ? WHERE key = 'revision'", (fresh,))


@contextmanager
def in_plain_words(file: Path) -> Iterator[None]:
    """SQLite's and the disk's own errors as StateErrors that say what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorname", "")
        if code.startswith("SQLITE_BUSY"):
            raise StateError(
                f"{file}: another process has held it for {PATIENCE:.0f} s: try again"
            ) from error
        if code.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")):
            raise disk_refuses(file) from error
        raise StateError(f"{file}: the index is damaged ({code}): {RESTORE}") from error
    except sqlite3.DatabaseError as error:
        raise StateError(f"{file}: the index is damaged: {RESTORE}") from error


def disk_refuses(where: Path) -> StateError:
    """What to say when nothing more can be written."""
    return StateError(
        f"{where}: the disk refuses (is it full?): what was in before is whole; make room and run the same "
        "command again, it goes on where it stopped"
    )
