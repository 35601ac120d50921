"""Other names for patients, identifiers and days, the same ones every time, from a key that never leaves.

HMAC-SHA-256 under 32 random bytes in HOME/pseudonyms.key: without the key nobody can go from a pseudonym back
to a name, nor test a guess; with it the same patient of tomorrow meets the one of today.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from ground.errors import StateError
from ground.files import locked, write_atomically

FILE = "pseudonyms.key"
KEY = 32  # bytes
NEAREST, FARTHEST = 400, 4000  # days into the past: more than a year, so that even a bare year changes
PREFIX = "P-"


@dataclass(frozen=True)
class Pseudonyms:
    """What stands for what at one hospital; `key` is secret and is in no text of this object."""

    key: bytes = field(repr=False)
    _seen: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, home: Path) -> Pseudonyms:
        """The pseudonyms of the hospital with that home; makes the key at first use, readable by its owner.

        Raises StateError where the key's file is damaged or can be read by others.
        """
        file = Path(home) / FILE
        if not file.exists():
            with locked(file.with_name(f".{FILE}.lock"), 10.0, f"{file}: another process is making it"):
                if not file.exists():  # else a process that was faster made it
                    write_atomically(file, secrets.token_bytes(KEY), 0o600)
        if file.stat().st_mode & 0o077:
            raise StateError(f"{file}: others can read this key: chmod 600, and find out who has read it")
        key = file.read_bytes()
        if len(key) != KEY:
            raise StateError(
                f"{file}: is not a key of {KEY} bytes: restore it from a backup; "
                "a new one would give every patient a second pseudonym"
            )
        return cls(key)

    def patient(self, identity: str) -> str:
        """The pseudonym of the patient whom the hospital calls `identity`: "P-" and 16 letters or digits.

        Blanks around it and upper or lower case make no other patient.
        """
        digest = self._digest("patient", identity.strip().casefold())
        return PREFIX + base64.b32encode(digest[:10]).decode("ascii")

    def uid(self, uid: str) -> str:
        """Another DICOM UID for this one: 2.25. and a UUID (version 8) as a decimal number (PS3.5, B.2)."""
        known = self._seen.get(uid)
        if known is not None:
            return known
        number = int.from_bytes(self._digest("uid", uid)[:16], "big")
        number = number & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62
        if (
            len(self._seen) >= 4096
        ):  # a study's own identifiers come back in each of its files; no more is needed
            self._seen.clear()
        return self._seen.setdefault(uid, f"2.25.{number}")

    def shift(self, patient: str) -> int:
        """By how many days the dates of the patient with that pseudonym move: one number from -4000 to -400.

        Raises ValueError where this is no pseudonym: an identity in its place would shift by other days.
        """
        if not patient.startswith(PREFIX):
            raise ValueError("days are shifted by pseudonym: ask .patient() for it first")
        number = int.from_bytes(self._digest("days", patient)[:8], "big")
        return -(NEAREST + number % (FARTHEST - NEAREST + 1))

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.digest(self.key, f"{kind}\0{text}".encode("utf-8", "surrogatepass"), "sha256")
