"""Invitations: who may join, until when. A token works once; only its hash is kept.

A hospital whose connection broke after the coordinator had answered asks again with the same key, and gets
the same certificate again: for any other key the token is spent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ground.errors import UsageError
from server.authority.certificates import facts_of
from server.registry.hospitals import add, end
from server.registry.store import Store
from server.registry.tokens import hash_of, is_token, new_token

# The same words whatever is wrong with number or token: who guesses learns nothing.
NO_SUCH = (
    "no such invitation: it was used, withdrawn or replaced, or is not of this coordinator: ask for another"
)


@dataclass(frozen=True)
class Invited:
    """An invitation, without its token.

    Attributes:
        number: of it.
        hospital: whom it is for.
        made, until: seconds since 1970.
        state: what became of it.

    """

    number: int
    hospital: str
    made: float
    until: float
    state: Literal["open", "used", "withdrawn", "expired"]


class Invitations:
    """One open invitation a hospital, at the most."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def make(self, hospital: str, seconds: float, *, replaces: bool = False) -> tuple[int, str, float]:
        """Invite a hospital: the invitation's number, its token, and when it ends.

        An earlier one that it has not used ends with this. Raises UsageError where it is a member already, or
        another hospital's name differs from this one only in capitals. `replaces`: even a member; once it
        joins again its former key is revoked.
        """
        now, token = self._store.now(), new_token()
        with self._store.writing() as connection:
            self._check(connection, hospital, now, replaces=replaces)
            connection.execute(
                "UPDATE invitation SET withdrawn = ? WHERE hospital = ? AND used IS NULL", (now, hospital)
            )
            number = connection.execute(
                "INSERT INTO invitation (hospital, hash, made, until) VALUES (?, ?, ?, ?)",
                (hospital, hash_of(token), now, now + seconds),
            ).lastrowid
        assert number is not None  # noqa: S101 - SQLite gives a row its number
        return number, token, now + seconds

    def withdraw(self, hospital: str) -> None:
        """End the invitation of a hospital; raises UsageError where it has none that is open."""
        with self._store.writing() as connection:
            if not connection.execute(
                "UPDATE invitation SET withdrawn = ? WHERE hospital = ? AND used IS NULL "
                "AND withdrawn IS NULL AND until > ?",
                (self._store.now(), hospital, self._store.now()),
            ).rowcount:
                raise UsageError(f"{hospital}: has no invitation that is open")

    def all(self) -> tuple[Invited, ...]:
        """Every invitation, oldest first."""
        with self._store.reading() as connection:
            rows = connection.execute("SELECT * FROM invitation ORDER BY number").fetchall()
        return tuple(self._invited(row) for row in rows)

    def hospital_of(self, number: int, token: str) -> str:
        """Whom the invitation is for; raises UsageError where it never was one, or ended."""
        with self._store.reading() as connection:
            row = _open(connection, number, token, self._store.now())
            return str(row["hospital"])

    def use(
        self, number: int, token: str, identity: str, key: bytes, issue: Callable[[str], str]
    ) -> tuple[str, str]:
        """The hospital's name and its certificate, which `issue` gives for that name; the token is spent.

        Raises UsageError where the invitation is none or ended, the key served before, or another member has
        that identity.
        """
        now = self._store.now()
        with self._store.writing() as connection:
            row = _open(connection, number, token, now)
            hospital = str(row["hospital"])
            if row["used"] is not None:
                return hospital, _again(connection, row, identity, key)
            _check_new(connection, hospital, identity, key, now)
            pem = issue(hospital)
            facts = facts_of(pem)
            if facts.key != key:
                raise ValueError("the certificate is for another key")
            end(connection, hospital, now, "joined again, with another key")
            connection.execute("UPDATE invitation SET withdrawn = NULL WHERE number = ?", (number,))
            add(connection, hospital, identity, facts, pem)
            connection.execute(
                "UPDATE invitation SET used = ?, serial = ? WHERE number = ?", (now, facts.serial, number)
            )
        return hospital, pem

    def _check(self, connection: sqlite3.Connection, hospital: str, now: float, *, replaces: bool) -> None:
        near = connection.execute(
            "SELECT hospital FROM certificate WHERE hospital = ? COLLATE NOCASE AND hospital <> ?",
            (hospital, hospital),
        ).fetchone()
        if near is not None:
            raise UsageError(
                f"{hospital}: there is a hospital {near['hospital']} already: give one that nobody confuses"
            )
        is_member = connection.execute(
            "SELECT 1 FROM certificate WHERE hospital = ? AND revoked IS NULL AND until > ?", (hospital, now)
        ).fetchone()
        if is_member and not replaces:
            raise UsageError(
                f"{hospital}: is a member already: revoke it, or give --again where it has a new machine"
            )

    def _invited(self, row: sqlite3.Row) -> Invited:
        state: Literal["open", "used", "withdrawn", "expired"] = "open"
        if row["used"] is not None:
            state = "used"
        elif row["withdrawn"] is not None:
            state = "withdrawn"
        elif row["until"] <= self._store.now():
            state = "expired"
        return Invited(row["number"], row["hospital"], row["made"], row["until"], state)


def _open(connection: sqlite3.Connection, number: int, token: str, now: float) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM invitation WHERE number = ?", (number,)
    ).fetchone()
    # Compared even where there is none, so that the time taken tells nothing.
    if (
        not is_token(token, b"" if row is None else row["hash"])
        or row is None
        or row["withdrawn"] is not None
    ):
        raise UsageError(NO_SUCH)
    if row["until"] <= now:
        raise UsageError("this invitation has ended: ask for another")
    return row


def _again(connection: sqlite3.Connection, row: sqlite3.Row, identity: str, key: bytes) -> str:
    """The certificate that this invitation led to, for the same hospital once more."""
    given: sqlite3.Row | None = connection.execute(
        "SELECT * FROM certificate WHERE serial = ?", (row["serial"],)
    ).fetchone()
    if given is None or given["revoked"] is not None:
        raise UsageError(NO_SUCH)
    if (given["identity"], given["key"].encode()) != (identity, key):
        raise UsageError(NO_SUCH)
    return str(given["pem"])


def _check_new(connection: sqlite3.Connection, hospital: str, identity: str, key: bytes, now: float) -> None:
    if connection.execute("SELECT 1 FROM certificate WHERE key = ?", (key.decode(),)).fetchone():
        raise UsageError("this node key served before: join with a new one")
    other = connection.execute(
        "SELECT 1 FROM certificate WHERE identity = ? AND hospital <> ? AND revoked IS NULL AND until > ?",
        (identity, hospital, now),
    ).fetchone()
    if other is not None:
        raise UsageError("another member has this identity: a hospital is in a federation once")
