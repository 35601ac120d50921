"""Files that are either whole or absent, whatever happens in between."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ground.errors import StateError


def write_atomically(
    path: Path, content: bytes | str | Iterable[bytes | memoryview], mode: int = 0o600
) -> None:
    """Replace `path` by `content` (or its pieces): a reader, or a crash, sees the old file or the new one.

    Written beside its target, fsynced, renamed; then the folder is fsynced, which makes the rename
    itself survive a power cut. `mode` is the file's permissions: the owner's alone unless said otherwise.
    """
    data = content.encode() if isinstance(content, str) else content
    pieces = [data] if isinstance(data, bytes) else data
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.writelines(pieces)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync(path.parent)


@contextmanager
def writable(place: Path) -> Iterator[None]:
    """Inside, what the disk refuses (it is full, or read-only) is a StateError that names the place."""
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise StateError(f"{place}: {why}: make room, then run it again: it goes on from here") from error


def replace_file(path: Path, text: str) -> None:
    """Replace a file so that a reader sees the old or the new; not durable: of no use after a power cut."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(0o600)
    beside.replace(path)


@contextmanager
def locked(file: Path, patience: float, busy: str) -> Iterator[None]:
    """Inside, no other process or thread holds this lock file; the operating system frees it after a kill.

    Raises StateError with the words `busy` where another holds it for longer than `patience` seconds.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise StateError(busy) from None
                time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def sync(path: Path) -> None:
    """Make what was written to a file, or the names in a folder, survive a power cut. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
