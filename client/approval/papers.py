"""The signed file of one decision: approvals/DIGEST.json."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from client.journal.lines import private_of
from ground.errors import StateError
from ground.files import write_atomically
from ground.signing import is_signed, public_of, sign

FOLDER = "approvals"


@dataclass(frozen=True)
class Paper:
    """One decision about one study.

    Attributes:
        digest: of the study.
        name: the study's.
        study: its text.
        by: who decided.
        at: when, ISO 8601 in UTC.
        until: when it expires, ISO 8601 in UTC; None where it does not.
        revoked: whether it says no.
        signature: of the hospital over all of the above, in hexadecimal.

    """

    digest: str
    name: str
    study: str
    by: str
    at: str
    until: str | None = None
    revoked: bool = False
    signature: str = ""

    def signed(self, home: Path) -> Paper:
        """The same with the hospital's signature."""
        return replace(self, signature=sign(private_of(home), "approval", *self._said()))

    def has_expired(self, moment: float) -> bool:
        """Whether its time is over at that moment, in seconds since 1970."""
        return self.until is not None and datetime.fromisoformat(self.until).timestamp() <= moment

    @property
    def mark(self) -> str:
        """What its journal line says, so that no other file can pass for it."""
        return self.signature[:16]

    def write(self, home: Path) -> None:
        """Keep it, in place of an earlier decision about the same study."""
        (home / FOLDER).mkdir(mode=0o700, exist_ok=True)
        write_atomically(home / FOLDER / f"{self.digest}.json", json.dumps(asdict(self), indent=1) + "\n")

    def _said(self) -> tuple[str | int, ...]:
        return self.digest, self.name, self.study, self.by, self.at, self.until or "", int(self.revoked)


def read(home: Path, digest: str) -> Paper | None:
    """The decision about that study; None where there is none.

    Raises StateError, naming the file, where it was changed or somebody else signed it.
    """
    file = home / FOLDER / f"{digest}.json"
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"{file}: cannot be read: check its owner and its rights") from error
    try:
        paper = Paper(**json.loads(text))
        public = public_of(private_of(home))
        genuine = paper.digest == digest and is_signed(public, paper.signature, "approval", *paper._said())
    except (ValueError, TypeError, AttributeError, RecursionError):
        genuine = False
    if not genuine:
        raise StateError(
            f"{file}: was changed after it was signed, or somebody else signed it, and approves nothing: "
            "find out who could write there, delete it, and approve the study again if it is to run"
        )
    return paper


def digests(home: Path) -> list[str]:
    """The digests about which there is a decision, sorted."""
    files = (home / FOLDER).glob("*.json")
    return sorted(file.stem for file in files if re.fullmatch("[0-9a-f]{64}", file.stem))


def now_text(moment: float) -> str:
    """A moment, in seconds since 1970, as papers write it."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
