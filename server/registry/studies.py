"""The studies that were launched: what is to be done with each, and where it stands."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ground.errors import UsageError
from server.registry.store import Store
from tasks.study import Study, parse

Wanted = Literal["run", "stop"]
State = Literal["waiting", "running", "stopped", "failed", "finished"]
SHORTEST = 6  # digits of a digest by which a study may be named


@dataclass(frozen=True)
class Launched:
    """A study that was launched.

    Attributes:
        digest: of the study.
        name: the study's.
        text: its TOML.
        launched: when, in seconds since 1970.
        by: who launched it.
        hospitals: whom it asks, by name.
        approval_seconds: how long it waits for persons there to approve it.
        wanted: "run", or "stop" where somebody stopped it.
        state: "waiting" for a process, "running", "stopped", "failed" (a person is needed), "finished".
        why: why it failed or waits; empty elsewhere.
        changed: since when it is in this state, in seconds since 1970.

    """

    digest: str
    name: str
    text: str
    launched: float
    by: str
    hospitals: tuple[str, ...]
    approval_seconds: float
    wanted: Wanted
    state: State
    why: str
    changed: float

    @property
    def study(self) -> Study:
        """What was launched."""
        return parse(self.text, self.name)

    @property
    def due(self) -> bool:
        """Whether a process should be at it."""
        return self.wanted == "run" and self.state in ("waiting", "running")


class Studies:
    """Every study that was launched, once a digest."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def launch(self, study: Study, hospitals: Sequence[str], approval_seconds: float, by: str) -> Launched:
        """Write a study down, to be begun by whoever runs the coordinator.

        Raises UsageError where the same study was launched before: what hospitals booked for it, they booked
        once.
        """
        with self._store.writing() as connection:
            found = connection.execute("SELECT * FROM study WHERE digest = ?", (study.digest,)).fetchone()
            if found is not None:
                raise UsageError(_again(_launched(found)))
            now = self._store.now()
            row = (study.digest, study.name, study.to_toml(), now, by, json.dumps(sorted(hospitals)))
            connection.execute(
                "INSERT INTO study (digest, name, text, launched, by, hospitals, approval_seconds, wanted, "
                "state, changed) VALUES (?, ?, ?, ?, ?, ?, ?, 'run', 'waiting', ?)",
                (*row, approval_seconds, now),
            )
        return self.get(study.digest)

    def all(self) -> tuple[Launched, ...]:
        """All, in the order in which they were launched."""
        with self._store.reading() as connection:
            rows = connection.execute("SELECT * FROM study ORDER BY launched, rowid").fetchall()
        return tuple(map(_launched, rows))

    def get(self, digest: str) -> Launched:
        """The study of that digest; raises UsageError where none was launched."""
        with self._store.reading() as connection:
            row = connection.execute("SELECT * FROM study WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            raise UsageError(f"{digest[:12]}: no such study: `laennec coordinator status` lists them")
        return _launched(row)

    def find(self, which: str) -> Launched:
        """By its name, where only one has it, or the first digits of its digest; raises UsageError."""
        everyone = self.all()
        found = [each for each in everyone if each.name == which]
        if not found and len(which) >= SHORTEST:
            found = [each for each in everyone if each.digest.startswith(which.lower())]
        if not found:
            raise UsageError(
                f"{which}: no such study: give its name or the first digits (6 or more) of its digest; "
                "`laennec coordinator status` lists them"
            )
        if len(found) > 1:
            digests = ", ".join(each.digest[:12] for each in found)
            raise UsageError(f"{which}: several studies have this name: give the digest: {digests}")
        return found[0]

    def want(self, digest: str, wanted: Wanted) -> Launched:
        """Stop it, or let it go on; raises UsageError where that makes no sense."""
        with self._store.writing() as connection:
            before = self._in(connection, digest)
            if before.state == "finished":
                raise UsageError(
                    f"{before.name}: is finished: `laennec coordinator report` shows its results"
                )
            if wanted == "stop" and before.state == "failed":
                raise UsageError(f"{before.name}: does not run: it failed")
            if wanted == "run" and before.due:
                raise UsageError(f"{before.name}: is {before.state} already")
            connection.execute("UPDATE study SET wanted = ? WHERE digest = ?", (wanted, digest))
            if wanted == "run":
                self._set(connection, digest, "waiting", "")
            elif before.state == "waiting":
                self._set(connection, digest, "stopped", "")
        return self.get(digest)

    def move(self, digest: str, state: State, why: str = "") -> Launched:
        """Where it stands now, as the process says that is at it; "waiting" of a stopped one is "stopped"."""
        with self._store.writing() as connection:
            if state == "waiting" and self._in(connection, digest).wanted == "stop":
                state = "stopped"
            self._set(connection, digest, state, why)
        return self.get(digest)

    def _in(self, connection: sqlite3.Connection, digest: str) -> Launched:
        row = connection.execute("SELECT * FROM study WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            raise UsageError(f"{digest[:12]}: no such study: `laennec coordinator status` lists them")
        return _launched(row)

    def _set(self, connection: sqlite3.Connection, digest: str, state: State, why: str) -> None:
        connection.execute(
            "UPDATE study SET state = ?, why = ?, changed = ? WHERE digest = ?",
            (state, why, self._store.now(), digest),
        )


def _again(before: Launched) -> str:
    ways = {
        "finished": "`laennec coordinator report` shows its results; another seed is another study",
        "stopped": "`laennec coordinator resume` goes on with it",
        "failed": "`laennec coordinator resume` goes on with it",
    }
    return f"{before.name}: was launched before ({before.state}): {ways.get(before.state, 'it is under way')}"


def _launched(row: sqlite3.Row) -> Launched:
    return Launched(**{**dict(row), "hospitals": tuple(json.loads(row["hospitals"]))})
