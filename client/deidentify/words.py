"""What of a text may stay: of descriptions the imaging terms; nothing that identifies in the same file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from client.deidentify.profile import vocabulary

_WORD = re.compile(r"[A-Z0-9*]+")
_NAME_PARTS = 3  # family, given, middle; prefix (DR) and suffix (MD) are not somebody's
_SHORT = 4  # shorter ones are found only where they are a whole word
_LONGEST = 64  # longer texts are reports, not identifiers


@dataclass
class Identifiers:
    """What identifies somebody in one file, in capitals: words of names, and whole values."""

    words: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)

    def learn(self, vr: str, text: str) -> None:
        """Take note of the value of an attribute that is to go."""
        if vr == "PN":
            for name in re.split(r"[\\=]", text.upper()):
                for part in name.split("^")[:_NAME_PARTS]:
                    self.words.update(word for word in _WORD.findall(part) if len(word) > 1)
        elif 2 < len(text) <= _LONGEST:
            whole = text.strip(" \0").upper()
            if len(whole) >= _SHORT and whole not in vocabulary():
                self.values.add(whole)
            # A number is somebody's wherever it stands; a word (of a ward, a town) only within the whole.
            self.words.update(word for word in _WORD.findall(whole) if len(word) > 2 and not word.isalpha())

    def inside(self, text: str) -> bool:
        """Whether one of them stands in the text."""
        capitals = text.upper()
        return any(value in capitals for value in self.values) or not self.words.isdisjoint(
            _WORD.findall(capitals)
        )

    def equal(self, text: str) -> bool:
        """Whether a number of at least six characters is one of them."""
        found = (value.strip(" \0") for value in text.split("\\"))
        return any(len(value) >= 6 and (value in self.values or value in self.words) for value in found)


def described(text: str, identifiers: Identifiers) -> str:
    """The words of a description that are imaging terms and nobody's name, in their order, in capitals."""
    allowed = vocabulary()
    return " ".join(
        word for word in _WORD.findall(text.upper()) if word in allowed and word not in identifiers.words
    )
