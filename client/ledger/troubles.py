"""SQLite's and the system's errors in our words: what is wrong, where, and what to do next."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ground.errors import StateError

RESTORE = "restore the newest backup (`laennec hospital restore`); without one nobody knows what was spent"
_SAID = {
    sqlite3.SQLITE_BUSY: "another process holds the book: wait for it or end it, then ask again",
    sqlite3.SQLITE_LOCKED: "another process holds the book: wait for it or end it, then ask again",
    sqlite3.SQLITE_FULL: "the disk is full and nothing was booked: make room, then ask again",
    sqlite3.SQLITE_READONLY: "the book cannot be written: let this user write it and its folder",
    sqlite3.SQLITE_PERM: "the book cannot be written: let this user write it and its folder",
    sqlite3.SQLITE_CANTOPEN: "the book cannot be opened: check its folder, the rights and the free space",
    sqlite3.SQLITE_IOERR: "the disk refuses (is it full?) and nothing was booked: check it, then ask again",
}


@contextmanager
def in_plain_words(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system raise about the book at `path` into a StateError of one line."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a closed book: a mistake in the code that calls, not in the file
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF  # the primary code
        said = _SAID.get(code, f"damaged: {RESTORE}")
        raise StateError(f"{path}: {said}") from error
    except UnicodeDecodeError as error:  # SQLite quotes damaged text, which Python cannot read
        raise StateError(f"{path}: damaged: {RESTORE}") from error
    except OSError as error:
        raise StateError(
            f"{error.filename or path}: {error.strerror}: check the folder, its rights and the disk, "
            "then ask again"
        ) from error
