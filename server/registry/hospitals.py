"""The members of the federation: a hospital is one while a certificate of it is valid and not revoked."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal

from ground.errors import UsageError
from ground.membership.lifetimes import EARLIER
from server.authority.certificates import Facts, facts_of
from server.registry.store import Store

State = Literal["member", "expired", "revoked"]


@dataclass(frozen=True)
class Hospital:
    """One hospital, as its last certificate has it.

    Attributes:
        name: in the federation.
        identity: public (Ed25519), in hexadecimal.
        key: public key of its node, as PEM.
        serial: of the certificate, in hexadecimal.
        certificate: as PEM.
        joined: since when it is known, in seconds since 1970.
        until: to when it is a member.
        revoked: when it was revoked; None where it was not.
        why: the reason given.
        state: where it stands now.

    """

    name: str
    identity: str
    key: bytes
    serial: str
    certificate: str
    joined: float
    until: float
    revoked: float | None
    why: str
    state: State


class Hospitals:
    """Certificates that the authority gave, and whom they make a member."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> tuple[Hospital, ...]:
        """Every hospital that ever joined, by name."""
        with self._store.reading() as connection:
            rows = connection.execute(
                "SELECT *, rowid FROM certificate ORDER BY hospital COLLATE NOCASE, rowid"
            ).fetchall()
        by_name: dict[str, list[sqlite3.Row]] = {}
        for row in rows:
            by_name.setdefault(row["hospital"], []).append(row)
        return tuple(self._hospital(each) for each in by_name.values())

    def members(self) -> tuple[Hospital, ...]:
        """Those who are members now."""
        return tuple(each for each in self.all() if each.state == "member")

    def names(self) -> dict[bytes, str]:
        """Every node key (PEM) that ever was a hospital's -> the hospital's name."""
        with self._store.reading() as connection:
            rows = connection.execute("SELECT key, hospital FROM certificate").fetchall()
        return {row["key"].encode(): row["hospital"] for row in rows}

    def get(self, name: str) -> Hospital:
        """The hospital of that name; raises UsageError where none ever joined under it."""
        for each in self.all():
            if each.name == name:
                return each
        raise UsageError(f"{name}: no such hospital: `laennec coordinator hospitals` lists them")

    def of_serial(self, serial: str) -> Hospital | None:
        """Whose certificate this is, where it is of those that count today; None where it is nobody's."""
        with self._store.reading() as connection:
            row = connection.execute(
                "SELECT hospital, revoked, until FROM certificate WHERE serial = ?", (serial,)
            ).fetchone()
        if row is None or row["revoked"] is not None or row["until"] <= self._store.now():
            return None
        return self.get(row["hospital"])

    def renew(self, hospital: Hospital, pem: str) -> None:
        """Note another certificate of a member; the old one counts until its own end.

        Raises UsageError where it was revoked meanwhile.
        """
        with self._store.writing() as connection:
            revoked = connection.execute(
                "SELECT revoked FROM certificate WHERE serial = ?", (hospital.serial,)
            ).fetchone()["revoked"]
            if revoked is not None:
                raise UsageError(f"{hospital.name}: was revoked")
            add(connection, hospital.name, hospital.identity, facts_of(pem), pem)

    def revoke(self, name: str, why: str = "") -> Hospital:
        """End the membership at once; raises UsageError where nobody of that name is a member.

        An invitation that it has not used yet is withdrawn with it.
        """
        before = self.get(name)
        if before.state == "revoked":
            raise UsageError(f"{name}: was revoked already")
        with self._store.writing() as connection:
            end(connection, name, self._store.now(), why)
        return self.get(name)

    def _hospital(self, rows: list[sqlite3.Row]) -> Hospital:
        last = rows[-1]
        now = self._store.now()
        state: State = "member"
        if last["revoked"] is not None:
            state = "revoked"
        elif last["until"] <= now:
            state = "expired"
        return Hospital(
            name=last["hospital"],
            identity=last["identity"],
            key=last["key"].encode(),
            serial=last["serial"],
            certificate=last["pem"],
            joined=rows[0]["since"] + EARLIER.total_seconds(),
            until=last["until"],
            revoked=last["revoked"],
            why=last["why"],
            state=state,
        )


def add(connection: sqlite3.Connection, hospital: str, identity: str, facts: Facts, pem: str) -> None:
    """Write a certificate down, in a transaction of the caller's."""
    connection.execute(
        "INSERT INTO certificate (serial, hospital, identity, key, pem, since, until) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (facts.serial, hospital, identity, facts.key.decode(), pem, facts.since, facts.until),
    )


def end(connection: sqlite3.Connection, hospital: str, now: float, why: str) -> None:
    """Revoke a hospital's certificates, withdraw its invitations, in a transaction of the caller's."""
    connection.execute(
        "UPDATE certificate SET revoked = ?, why = ? WHERE hospital = ? AND revoked IS NULL",
        (now, why, hospital),
    )
    connection.execute(
        "UPDATE invitation SET withdrawn = ? WHERE hospital = ? AND used IS NULL AND withdrawn IS NULL",
        (now, hospital),
    )
