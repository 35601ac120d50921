"""People who watch studies or launch them from elsewhere, by a token. The home's owner needs none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ground.errors import UsageError
from server.registry.store import Store
from server.registry.tokens import hash_of, is_token, new_token

Role = Literal["launch", "watch"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class Person:
    """Somebody with a token.

    Attributes:
        name: as the administrator wrote it.
        role: "launch" may launch, stop and resume studies, and watch; "watch" may watch.
        since: seconds since 1970.

    """

    name: str
    role: Role
    since: float


class People:
    """Who may do what at the dashboard."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, name: str, role: Role) -> str:
        """Let somebody in; gives the token, which is kept nowhere.

        Somebody who is in already gets another token and that role, and the old token opens nothing more.
        Raises UsageError on a role that there is not, or no name.
        """
        if role not in ROLES:
            raise UsageError(f"{role}: no such role: launch, or watch")
        if not name.strip() or len(name) > 64 or not name.isprintable():
            raise UsageError("a person needs a name of at most 64 characters")
        token = new_token()
        with self._store.writing() as connection:
            connection.execute(
                "INSERT INTO person (name, role, hash, since) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET role = excluded.role, hash = excluded.hash",
                (name, role, hash_of(token), self._store.now()),
            )
        return token

    def remove(self, name: str) -> None:
        """Their token opens nothing from now on; raises UsageError where nobody has that name."""
        with self._store.writing() as connection:
            if not connection.execute("DELETE FROM person WHERE name = ?", (name,)).rowcount:
                raise UsageError(f"{name}: no such person: `laennec coordinator people` lists them")

    def all(self) -> tuple[Person, ...]:
        """Everybody, by name."""
        with self._store.reading() as connection:
            rows = connection.execute("SELECT name, role, since FROM person ORDER BY name").fetchall()
        return tuple(Person(*row) for row in rows)

    def of(self, token: str) -> Person | None:
        """Whose token this is; None where it is nobody's."""
        with self._store.reading() as connection:
            rows = connection.execute("SELECT name, role, since, hash FROM person").fetchall()
        found = [Person(*row[:3]) for row in rows if is_token(token, row["hash"])]
        return found[0] if found else None

    def role_of(self, token: str) -> Role | None:
        """What the owner of this token may do; None where it is nobody's."""
        person = self.of(token)
        return None if person is None else person.role
