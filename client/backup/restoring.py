"""`laennec hospital restore`: a home from a backup, closed until a person has said what is missing."""

from __future__ import annotations

from pathlib import Path

from client.backup import places
from client.backup.saving import KIND
from client.home import Home
from client.journal import Journal
from client.ledger import BOOK, Ledger
from ground.errors import StateError
from ground.saving import Manifest, restored


def restore(file: Path, home: Path, by: str) -> Manifest:
    """Make `home` from that backup: whole and closed, or not at all.

    The ε book gets an entry that closes it, the journal a line that says by whom. Raises UsageError where
    `home` is there already, StateError where the backup is damaged.
    """
    with restored(file, home, KIND) as (folder, manifest):
        name = Home.open(folder).name
        lines = Journal(folder).verify()
        with Ledger(folder / BOOK) as book:
            entries = book.verify()
            known = manifest.facts.get("ledger", [0])
            if not isinstance(known, list) or entries != known[0]:
                raise StateError(f"{file}: its book does not hold what it says: use another backup")
            book.close_book(name, f"put back from a backup of {manifest.made}")
        said = f"by {by}, from a backup of {manifest.made}: {entries} entries of the book, {lines} lines"
        Journal(folder).write("person", "restore", detail=said)
        if not (folder / places.MARK).exists():
            raise StateError(f"{file}: is no whole backup of Laennec: use another one")
        places.note(folder)  # the files keep inode and birth when their folder gets its name
    return manifest
