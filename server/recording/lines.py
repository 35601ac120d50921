"""The files of a recording: lines that are appended whole, and read as they come.

A process that is killed while it writes leaves half a line at most. Whoever appends next begins a line of
its own, and readers pass over what is no JSON object: a damaged line costs that line.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from ground.files import replace_file

EVENTS, NOW, LOCK = "events.jsonl", "now.json", ".recording"
# So much of a file is read at once; a line is never longer.
CHUNK = 2**20

Line = dict[str, Any]


def append(file: Path, line: Line, *, durable: bool) -> None:
    """One line at the end, whole for every reader; where `durable`, a power cut no longer loses it."""
    text = json.dumps(line, allow_nan=False, ensure_ascii=False)
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, (_gap(handle) + text + "\n").encode(errors="replace"))
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)


def _gap(handle: int) -> str:
    """What half a line needs before the next: its end."""
    size = os.fstat(handle).st_size
    return "" if size == 0 or os.pread(handle, 1, size - 1) == b"\n" else "\n"


def say_now(folder: Path, line: Line) -> None:
    """What holds at this moment, instead of what held before it."""
    replace_file(folder / NOW, json.dumps(line, allow_nan=False))


def now(folder: Path) -> Line:
    """What was said last of the moment; empty where nothing was, or it cannot be read."""
    try:
        found = json.loads((folder / NOW).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def alive(folder: Path) -> bool:
    """Whether a process is recording there now; the operating system knows even after a SIGKILL."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


class Lines:
    """A recording as it grows: each call of `new` gives the whole lines that came since the one before."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / EVENTS
        self._place, self._identity = 0, 0

    def new(self) -> tuple[list[Line], bool]:
        """The lines that came, and whether the file is another one than before: they are then all of it."""
        try:
            stream = self._file.open("rb")
        except OSError:
            return [], False
        with stream:
            found = os.fstat(stream.fileno())
            another = self._place > 0 and (found.st_ino != self._identity or found.st_size < self._place)
            self._identity = found.st_ino
            self._place = 0 if another else self._place
            stream.seek(self._place)
            lines: list[Line] = []
            while chunk := stream.read(CHUNK):
                whole = chunk.rfind(b"\n") + 1
                if whole == 0:
                    # A line that is still being written, or one that is longer than any of ours.
                    self._place += len(chunk) if len(chunk) == CHUNK else 0
                    break
                self._place += whole
                lines += filter(None, map(_read, chunk[:whole].splitlines()))
                stream.seek(self._place)
        return lines, another


def _read(text: bytes) -> Line | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) and isinstance(line.get("what"), str) else None
