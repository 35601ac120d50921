"""One line of the journal, its one written form, and the chain."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from ground.errors import StateError, UsageError
from ground.heads import Head
from ground.signing import is_signed, public_of, sign

Who = Literal["person", "coordinator", "node"]
What = Literal[
    "init",
    "import",
    "quarantine",
    "release",
    "decline",
    "approve",
    "revoke",
    "expire",
    "refuse",
    "begin",
    "round",
    "end",
    "budget",
    "start",
    "stop",
    "clock",
    "backup",
    "restore",
    "reopen",
    "join",
    "renew",
    "accept",
]
WHO: dict[object, Who] = {who: who for who in get_args(Who)}
WHAT: dict[object, What] = {what: what for what in get_args(What)}
LONGEST_DETAIL = 500
# A clock may be put right by so many seconds; one that is further behind the journal was set back.
CLOCK_TOLERANCE = 120.0


@dataclass(frozen=True)
class Line:
    """Who did what, concerning which study, when.

    Attributes:
        number: its place, from 1.
        time: seconds since 1970 by this machine's clock.
        who: "person" at the hospital, "coordinator", or the "node" itself.
        what: one of a few words.
        digest: of the study concerned, 64 hexadecimal digits; None where it concerns none.
        detail: one line of our own words, at most 500 characters.
        previous: digest of the line before it.
        signature: of this hospital over all of the above, in hexadecimal.

    """

    number: int
    time: float
    who: Who
    what: What
    digest: str | None
    detail: str
    previous: str
    signature: str

    def written(self) -> bytes:
        """As it stands in the file, with its line end."""
        values = asdict(self) | {"time": _written_time(self.time)}
        return json.dumps(values, separators=(",", ":")).encode() + b"\n"

    def head(self) -> Head:
        """The head of a journal that ends here."""
        return Head(self.number, hashlib.sha256(self.written()).hexdigest())

    def is_signed_by(self, public: bytes) -> bool:
        """Whether the hospital with that identity wrote it."""
        return is_signed(public, self.signature, "journal", *_parts(self))


class BrokenLineError(ValueError):
    """A line that no journal has written; the message names it and carries no location."""


def new_line(
    after: Head, private: bytes, moment: float, who: Who, what: What, digest: str | None, detail: str
) -> Line:
    """The signed line that follows `after`; raises ValueError on words outside the vocabulary."""
    if who not in WHO or what not in WHAT:
        raise ValueError(f"the journal knows no {who!r} who does {what!r}")
    if digest is not None and not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError("a study is named by its hex digest")
    moment = _read_time(_written_time(moment))  # as precise as it is written
    bare = Line(after.number + 1, moment, who, what, digest, _plain(detail), after.digest, "")
    return Line(**(asdict(bare) | {"signature": sign(private, "journal", *_parts(bare))}))


def parse(raw: bytes, number: int) -> Line:
    """One line, with its line end; raises BrokenLineError where it is not exactly as a journal writes it."""
    try:
        values = json.loads(raw)
        line = Line(**(values | {"time": _read_time(values["time"])}))
        exact = line.who in WHO and line.what in WHAT and line.written() == raw
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        exact = False
    if not exact:
        raise BrokenLineError(f"line {number} was changed after it was written")
    return line


def follow(raws: Iterable[bytes], after: Head = Head(), public: bytes | None = None) -> list[Line]:  # noqa: B008
    """The lines that follow `after`, each in its place; signatures too where `public` is given.

    Raises BrokenLineError at the first that is missing, changed, or was written by somebody else.
    """
    lines: list[Line] = []
    for raw in raws:
        number = after.number + 1
        line = parse(raw, number)
        if line.number != number:
            raise BrokenLineError(f"line {number} is missing, and line {line.number} stands in its place")
        if line.previous != after.digest:
            raise BrokenLineError(f"line {number} does not follow the line before it")
        if public is not None and not line.is_signed_by(public):
            raise BrokenLineError(
                f"line {number} is not signed by this hospital: it was changed, or somebody else wrote it"
            )
        lines.append(line)
        after = line.head()
    return lines


def private_of(home: Path) -> bytes:
    """The 32 private bytes of the hospital's identity; raises UsageError where it has none."""
    file = home / "identity"
    try:
        private = file.read_bytes()
        public_of(private)
    except FileNotFoundError:
        raise UsageError(
            f"{home}: has no identity: make a home with `laennec hospital init HOME --name NAME`"
        ) from None
    except ValueError as error:
        raise StateError(f"{file}: is not an identity: restore it from a backup") from error
    return private


def _parts(line: Line) -> tuple[str | int, ...]:
    time = _written_time(line.time)
    return line.previous, line.number, time, line.who, line.what, line.digest or "", line.detail


def _written_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _read_time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _plain(detail: str) -> str:
    """One printable line of bounded length."""
    shown = "".join(c if c.isprintable() else " " for c in detail)
    return shown if len(shown) <= LONGEST_DETAIL else f"{shown[: LONGEST_DETAIL - 1]}…"
