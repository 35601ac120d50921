"""The journal as the page shows it: newest first, a page at a time, verified."""

from __future__ import annotations

from dataclasses import dataclass

from client.home import Home
from client.journal import Journal, Line
from ground.errors import LaennecError

PAGE = 40
WHO = {"person": "a person here", "coordinator": "the coordinator", "node": "the node"}
WHAT = {
    "init": "made this home",
    "import": "imported patients",
    "quarantine": "set aside",
    "release": "released from quarantine",
    "waiting": "sent a study",
    "decline": "refused a study",
    "approve": "approved",
    "revoke": "revoked an approval",
    "expire": "noted that an approval expired",
    "refuse": "was refused",
    "begin": "began a study",
    "round": "answered a round",
    "end": "ended a study",
    "budget": "set a budget",
    "start": "started the node",
    "stop": "stopped the node",
    "clock": "noted a clock that was set back",
    "backup": "made a backup",
    "restore": "put the home back from a backup",
    "reopen": "said what is missing since a backup",
}


@dataclass(frozen=True)
class Records:
    """One page of the journal.

    Attributes:
        lines: newest first.
        page: from 1.
        pages: how many there are.
        count: lines in all.
        head: digest of the last line; "" where there is none.
        fault: what is wrong with the journal; "" where every line is as it was written.

    """

    lines: tuple[Line, ...]
    page: int
    pages: int
    count: int
    head: str
    fault: str


def records(home: Home, page: int) -> Records:
    """That page, or the nearest that there is. A broken journal is shown with what is wrong, and no lines."""
    journal = Journal(home.path)
    try:
        count = _verified(home, journal)
        lines = journal.lines()
    except LaennecError as error:
        return Records((), 1, 1, 0, "", str(error))
    pages = max(1, -(-len(lines) // PAGE))
    page = min(max(1, page), pages)
    newest = lines[::-1][(page - 1) * PAGE : page * PAGE]
    return Records(tuple(newest), page, pages, count, lines[-1].head().digest if lines else "", "")


def latest(home: Home, count: int) -> list[Line]:
    """The last lines, newest first, without a verification of the whole."""
    return Journal(home.path).last()[::-1][:count]


_KNOWN: dict[str, tuple[tuple[int, int, int], int]] = {}


def _verified(home: Home, journal: Journal) -> int:
    """`verify`, unless the file is the very one that was verified last."""
    try:
        status = journal.path.stat()
        mark = (status.st_ino, status.st_size, status.st_mtime_ns)
    except OSError:
        return journal.verify()
    known = _KNOWN.get(str(home.path))
    if known is None or known[0] != mark:
        known = _KNOWN[str(home.path)] = (mark, journal.verify())
    return known[1]
