"""`laennec hospital backup`: everything but what is made anew, and what must not come back."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from client.backup.places import MARK
from client.home import Home
from client.journal import FILE as JOURNAL
from client.journal import Journal
from client.ledger import BOOK, Ledger, head_of
from ground import saving
from ground.files import locked
from ground.heads import Head
from ground.saving import Manifest

KIND = "hospital"
# Written anew by whoever runs; a page's link lets somebody in.
_MADE_ANEW = {"node": {"status.json", "work.json", "contact", "number", "secret", "address", "log", "log.1"}}
_LEFT = {"page", "log", "log.1"}
# Copied by themselves at the end, the journal under its lock, the book after it: the newest of what is spent.
_OF_THEIR_OWN = {BOOK, f"{BOOK}.head", JOURNAL, f"{JOURNAL}.head", f"{JOURNAL}.next", MARK}


def save(home: Home, out: Path, by: str, *, patients: bool = True) -> Manifest:
    """Write the backup of that home to `out`, while its node runs or not.

    `patients` False leaves the archive out, of a hospital that backs it up by other means. The journal says
    first that it was made. Raises UsageError where `out` exists, StateError where the home is damaged.
    """
    Journal(home.path).verify()
    if (home.path / BOOK).exists() or head_of(home.path / BOOK).exists():
        with Ledger(home.path / BOOK) as book:
            book.verify()
    without = "" if patients else ", without the patients"
    Journal(home.path).write("person", "backup", detail=f"by {by}{without}")

    def plant(folder: Path) -> dict[str, object]:
        facts = _journal(home.path, folder) | _book(home.path, folder)
        (folder / MARK).write_text(json.dumps(facts))
        return facts

    return saving.save(
        home.path,
        out,
        kind=KIND,
        name=home.name,
        version=version("laennec"),
        leave=_leaves(patients=patients),
        plant=plant,
    )


def _leaves(*, patients: bool) -> Callable[[PurePosixPath], bool]:
    def leave(path: PurePosixPath) -> bool:
        top, name = path.parts[0], path.name
        if len(path.parts) == 1:
            memory = re.fullmatch(r"[0-9a-f]{64}\.safetensors", name) is not None
            return memory or name in _LEFT | _OF_THEIR_OWN or (name == "archive" and not patients)
        return name in _MADE_ANEW.get(top, ())

    return leave


def _journal(home: Path, folder: Path) -> dict[str, object]:
    """The journal and its head as they are together."""
    with locked(home / ".journal.lock", 30.0, f"{home / JOURNAL}: another process holds the journal"):
        for name in (JOURNAL, f"{JOURNAL}.head", f"{JOURNAL}.next"):
            if (home / name).exists():
                (folder / name).write_bytes((home / name).read_bytes())
    number, digest = (folder / f"{JOURNAL}.head").read_text().split()
    return {"journal": [int(number), digest]}


def _book(home: Path, folder: Path) -> dict[str, object]:
    """The ε book at one moment, and the head that goes with it; nothing where there is none yet."""
    if not (home / BOOK).exists():
        return {}
    copy = folder / BOOK
    saving.copy_database(home / BOOK, copy)
    connection = sqlite3.connect(copy)
    try:
        row = connection.execute("SELECT number, digest FROM entries ORDER BY number DESC LIMIT 1").fetchone()
    finally:
        connection.close()
    for name in (f"{BOOK}-wal", f"{BOOK}-shm"):
        (folder / name).unlink(missing_ok=True)
    head = Head() if row is None else Head(*row)
    (folder / f"{BOOK}.head").write_text(f"{head.number} {head.digest}\n")
    return {"ledger": [head.number, head.digest]}
