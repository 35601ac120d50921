"""Whether the book and the journal are the files that were written here, and not copies that came back.

A file's inode and its time of birth are given by the file system and not by who copies it: a home that was
put back from a tape, or copied to another disk, has others. They are noted in HOME/.places at first sight.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys
from pathlib import Path

from client.journal import FILE as JOURNAL
from client.ledger import BOOK
from ground.errors import StateError
from ground.files import write_atomically

# In every backup, and in a home that was put back until a person has spoken.
MARK = "restored.json"
FILE = ".places"
WATCHED = (BOOK, JOURNAL)
_STATX_BTIME, _AT_FDCWD, _AT_SYMLINK_NOFOLLOW = 0x800, -100, 0x100  # linux/stat.h, linux/fcntl.h


def check(home: Path) -> None:
    """Raises StateError where this home was put back and nobody has said yet what is missing.

    What is seen for the first time is noted. Called before every answer to a coordinator.
    """
    why = closed_because(home)
    if why:
        raise StateError(
            f"{home}: {why}: it answers nobody until a person says what is missing: `laennec hospital reopen`"
        )
    known, now = _noted(home), _found(home)
    if any(name not in known for name in now) and os.access(home, os.W_OK):
        note(home)


def is_closed(home: Path) -> bool:
    """Whether `check` would refuse."""
    return bool(closed_because(home))


def closed_because(home: Path) -> str:
    """Why this home answers nobody; empty where it does."""
    if (home / MARK).exists():
        return "was put back from a backup"
    known, now = _noted(home), _found(home)
    other = [name for name in now if name in known and known[name] != now[name]]
    return f"{' and '.join(other)} came here by another way than this home's own work" if other else ""


def note(home: Path) -> None:
    """From here on these are the files of this home."""
    write_atomically(home / FILE, json.dumps({name: list(where) for name, where in _found(home).items()}))


def _noted(home: Path) -> dict[str, tuple[int, int]]:
    try:
        values = json.loads((home / FILE).read_text(encoding="utf-8"))
        return {str(name): (int(inode), int(born)) for name, (inode, born) in values.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError):
        return dict.fromkeys(WATCHED, (0, 0))  # damaged: as if every file had come from elsewhere


def _found(home: Path) -> dict[str, tuple[int, int]]:
    return {name: where for name in WATCHED if (where := _where(home / name)) is not None}


def _where(file: Path) -> tuple[int, int] | None:
    """Inode, and nanoseconds since 1970 of the file's birth (0 where the file system does not say)."""
    try:
        inode = file.lstat().st_ino
    except FileNotFoundError:
        return None
    return inode, _born(file)


def _born(file: Path) -> int:
    """By statx(2): Python's own `stat` does not give it on Linux."""
    if sys.platform != "linux":
        return int(getattr(file.lstat(), "st_birthtime", 0.0) * 1e9)
    statx = getattr(ctypes.CDLL(None, use_errno=True), "statx", None)
    if statx is None:
        return 0
    found = ctypes.create_string_buffer(256)
    if statx(_AT_FDCWD, os.fsencode(file), _AT_SYMLINK_NOFOLLOW, _STATX_BTIME, found) != 0:
        return 0
    if not struct.unpack_from("I", found, 0)[0] & _STATX_BTIME:
        return 0
    seconds, nanoseconds = struct.unpack_from("qI", found, 80)
    return int(seconds) * 10**9 + int(nanoseconds)
