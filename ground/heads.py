"""The head of a chain: how many entries a book holds and the digest of the last, in a small file beside it.

Written after each entry. A book with fewer entries than its head, or another digest at that number, was
truncated, edited or replaced; one with more was cut off between the entry and the head, and is whole. The
ε book and the journal of a hospital both have one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ground.errors import StateError
from ground.files import write_atomically

# The digest that the first entry of a chain follows.
BEGINNING = "0" * 64


@dataclass(frozen=True)
class Head:
    """The number of entries, and the digest of the last one (of none: 64 zeros)."""

    number: int = 0
    digest: str = BEGINNING


def head_of(book: Path) -> Path:
    """The file in which the head of that book lies."""
    return book.with_name(f"{book.name}.head")


class HeadFile:
    """Where the head of the book at `book` lies: one line, `number digest`."""

    def __init__(self, book: Path) -> None:
        self.path = head_of(book)

    def read(self) -> Head | None:
        """The head, or None where there is no file; raises StateError where it is damaged."""
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return None
        found = re.fullmatch(rb"(0|[1-9][0-9]{0,17}) ([0-9a-f]{64})\n", text)
        if found is None:
            raise StateError(
                f"{self.path}: damaged: restore the newest backup of the home, "
                "or write into it NUMBER DIGEST as you kept them elsewhere"
            )
        return Head(int(found[1]), found[2].decode())

    def write(self, head: Head) -> None:
        """Replace the head, atomically and durably; raises OSError where the disk refuses."""
        write_atomically(self.path, f"{head.number} {head.digest}\n")

    def tidy(self) -> None:
        """Remove what a crash in the middle of `write` left. Only while nobody else can be writing."""
        for leftover in self.path.parent.glob(f".{self.path.name}.*"):
            leftover.unlink(missing_ok=True)
