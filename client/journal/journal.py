"""The file: appended to under a lock, durable line by line, mended after a crash and after nothing else.

Before a line is appended it is written to a file of its own (the intent), and after it the head. So what a
crash leaves of a line is told from what somebody else left: it is the beginning of the intent. Order::

    intent (atomic) ──> line appended, fsynced ──> head (atomic)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from client.journal.lines import (
    CLOCK_TOLERANCE,
    BrokenLineError,
    Line,
    What,
    Who,
    follow,
    new_line,
    parse,
    private_of,
)
from ground.errors import LaennecError, StateError
from ground.files import locked, write_atomically
from ground.heads import Head, HeadFile
from ground.signing import new_private, public_of

FILE = "journal.jsonl"
PATIENCE = 30.0
# The named points between two writes, in their order: `fault` is called with each. For tests.
FAULTS = ("intent written", "line appended", "line synced", "head written")
KEEP = (
    "keep a copy of the home as evidence, find out who could write there, then restore the newest backup: "
    "`laennec hospital restore`"
)
_TAIL = 64 * 1024


def no_fault(name: str) -> None:
    """Outside of tests nothing happens at a fault point."""


class Journal:
    """The journal in a hospital's home. `now` is the clock in seconds since 1970.

    A method that returns has written durably; one that raises has written nothing. Every method raises
    StateError, in one line, where the file is damaged or cannot be written. Processes and threads may share
    a home.
    """

    def __init__(
        self, home: Path, *, now: Callable[[], float] = time.time, fault: Callable[[str], None] = no_fault
    ) -> None:
        self.path = home / FILE
        self._home, self._now, self._fault = home, now, fault
        self._intent = home / f"{FILE}.next"
        self._head = HeadFile(self.path)

    def write(self, who: Who, what: What, digest: str | None = None, detail: str = "") -> Line:
        """Append one line. A clock that was set back is said in a line of its own before it.

        Never a patient's data: `detail` is our own words, cut at 500 characters.
        """
        with self._locked(), self._in_plain_words():
            private = self._identity()
            last = self._mended()
            moment = float(self._now())
            if last is not None and moment < last.time - CLOCK_TOLERANCE:
                said = f"the clock is {last.time - moment:.0f} s behind the line before: it was set back"
                last = self._append(last, private, moment, "node", "clock", None, said)
            return self._append(last, private, moment, who, what, digest, detail)

    def lines(self) -> list[Line]:
        """All lines, oldest first, each in its place in the chain; `verify` checks the signatures too."""
        return self._read(None)

    def last(self) -> list[Line]:
        """The last lines, some hundred, oldest first: enough to see what was written just now."""
        with self._in_plain_words():
            try:
                with self.path.open("rb") as file:
                    size = file.seek(0, os.SEEK_END)
                    file.seek(max(0, size - _TAIL))
                    raws = file.read().splitlines(keepends=True)
            except FileNotFoundError:
                return []
            raws = raws[1:] if size > _TAIL else raws
            return [self._parsed(raw) for raw in raws if raw.endswith(b"\n")]

    def about(self, digest: str, *whats: What) -> list[Line]:
        """The lines of these kinds about one study, oldest first, their signatures checked."""
        with self._in_plain_words():
            try:
                raws = self.path.read_bytes().splitlines(keepends=True)
            except FileNotFoundError:
                return []
            key = f'"digest":"{digest}"'.encode()
            lines = (self._parsed(raw) for raw in raws if key in raw and raw.endswith(b"\n"))
            found = [line for line in lines if line.digest == digest and line.what in whats]
            public = public_of(private_of(self._home)) if found else b""
            for line in found:
                if not line.is_signed_by(public):
                    raise StateError(
                        f"{self.path}: line {line.number} is not signed by this hospital: {KEEP}"
                    )
            return found

    def verify(self) -> int:
        """Read the whole journal again, signatures and head too; the number of lines.

        Raises StateError naming the line at fault.
        """
        return len(self._read(public_of(private_of(self._home))))

    def head(self) -> Head:
        """Number of lines, digest of the last: a copy kept elsewhere shows whether all are there."""
        return self._head.read() or Head()

    def _read(self, public: bytes | None) -> list[Line]:
        """All lines, held against the head."""
        with self._locked(), self._in_plain_words():
            head = self._head.read()
            if not self.path.exists():
                if head is not None:
                    raise StateError(f"{self.path}: the journal is gone and its head is still there: {KEEP}")
                return []
            *raws, tail = self.path.read_bytes().split(b"\n")
            try:
                lines = follow((raw + b"\n" for raw in raws), Head(), public)
            except BrokenLineError as error:
                raise StateError(f"{self.path}: {self._first_wrong(raws) or error}: {KEEP}") from error
            self._check_end(lines[-1] if lines else None, tail, head)
            if head is not None and head.number and lines[head.number - 1].head() != head:
                raise StateError(
                    f"{self.path}: line {head.number} is not the one that its head knows: {KEEP}"
                )
            return lines

    def _first_wrong(self, raws: list[bytes]) -> str:
        """The first line that signatures show to be wrong: an edited one breaks only the link of the next.

        "" where they show none, or the identity cannot be read.
        """
        try:
            follow((raw + b"\n" for raw in raws), Head(), public_of(private_of(self._home)))
        except BrokenLineError as error:
            return str(error)
        except LaennecError:
            pass
        return ""

    def _mended(self) -> Line | None:
        """The last line, after a crash in the middle of a write was put right. Under the lock alone."""
        head = self._head.read()
        for leftover in self._home.glob(f".{FILE}*.*"):
            leftover.unlink(missing_ok=True)
        if not self.path.exists():
            if head is not None:
                raise StateError(f"{self.path}: the journal is gone and its head is still there: {KEEP}")
            return None
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            whole, _, tail = file.read().rpartition(b"\n")
        raw = whole.rpartition(b"\n")[2]
        last = self._parsed(raw + b"\n") if raw else None
        self._check_end(last, tail, head)
        if tail:
            os.truncate(self.path, size - len(tail))
        if last is not None and last.head() != head:
            self._head.write(last.head())
        return last

    def _check_end(self, last: Line | None, tail: bytes, head: Head | None) -> None:
        """Raises StateError unless the journal ends as its head says, or as a crash may leave it."""
        known, number = head or Head(), 0 if last is None else last.number
        intent = self._intent.read_bytes() if self._intent.exists() else b""
        if tail and not (intent.startswith(tail) and intent == self._after(last, intent)):
            raise StateError(f"{self.path}: what follows line {number} is not a line of this journal: {KEEP}")
        if known.number > number:
            raise StateError(
                f"{self.path}: line {number + 1} is missing, of {known.number} that its head knows: {KEEP}"
            )
        if last is None or last.head() == known:
            return
        if number == known.number:
            raise StateError(f"{self.path}: line {number} is not the one that its head knows: {KEEP}")
        # One line more than the head knows is what a crash leaves between the two; it was announced.
        if number > known.number + 1 or last.previous != known.digest or last.written() != intent:
            raise StateError(f"{self.path}: line {known.number + 1} is not known to its head: {KEEP}")

    def _after(self, last: Line | None, intent: bytes) -> bytes:
        """The intent, where it follows that line; empty where it does not."""
        try:
            follow([intent], Head() if last is None else last.head(), public_of(private_of(self._home)))
        except BrokenLineError:
            return b""
        return intent

    def _append(
        self,
        last: Line | None,
        private: bytes,
        moment: float,
        who: Who,
        what: What,
        digest: str | None,
        detail: str,
    ) -> Line:
        line = new_line(Head() if last is None else last.head(), private, moment, who, what, digest, detail)
        raw = line.written()
        write_atomically(self._intent, raw)
        self._fault("intent written")
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            before = os.fstat(handle).st_size
            try:
                left = raw
                while left:  # what a full disk takes of a line it takes in a first call, and refuses the next
                    left = left[os.write(handle, left) :]
                self._fault("line appended")
                os.fsync(handle)
                self._fault("line synced")
                self._head.write(line.head())
            except OSError:
                os.ftruncate(handle, before)
                if before == 0:
                    self.path.unlink()
                raise
        finally:
            os.close(handle)
        self._fault("head written")
        return line

    def _parsed(self, raw: bytes) -> Line:
        try:
            return parse(raw, 0)
        except BrokenLineError:
            raise StateError(
                f"{self.path}: a line was changed after it was written (`laennec hospital journal --verify` "
                f"names it): {KEEP}"
            ) from None

    def _identity(self) -> bytes:
        file = self._home / "identity"
        if not file.exists():
            write_atomically(file, new_private())
        return private_of(self._home)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        busy = f"{self.path}: another process holds the journal: wait for it or end it, then ask again"
        if not os.access(self._home, os.W_OK):  # a copy on a read-only disk: nobody writes there
            yield
            return
        with locked(self._home / ".journal.lock", PATIENCE, busy):
            yield

    @contextmanager
    def _in_plain_words(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateError(
                f"{self.path}: {error.strerror} and nothing was written: check the disk and the rights, "
                "then ask again"
            ) from error
