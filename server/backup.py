"""A coordinator's home in one file, and what a restored one may do: nothing, until an administrator speaks.

A backup is older than what was lost. Since it was made, somebody may have been shut out whom it still knows
as a member, an invitation may have been used that it still holds open, a token withdrawn. So the file carries
a mark; however it is unpacked, the coordinator does not start. `reopen` withdraws what is open, forgets all
tokens, and revokes whom the administrator names.

No ε is at stake here: hospitals book it themselves. A study that went on after the backup is asked for a
round that its hospitals have left behind: they refuse, or send again what they stored, and release nothing
anew. SuperLink's database stays behind: who is a member is in the registry, and messages under way are sent
again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from ground import saving
from ground.errors import StateError, UsageError
from ground.files import sync
from ground.saving import Manifest, restored
from server.home import CoordinatorHome
from server.registry.store import Registry

KIND = "coordinator"
MARK = "restored.json"
REGISTRY = "registry.sqlite"
_LEFT = {"superlink", "status.json", "log", "log.1", MARK}


@dataclass(frozen=True)
class Reopening:
    """What `reopen` does.

    Attributes:
        members: hospitals that the backup knows as members and that stay so.
        revoked: those that the administrator names.
        withdrawn: whose open invitations end.
        people: whose tokens are forgotten.

    """

    members: tuple[str, ...]
    revoked: tuple[str, ...]
    withdrawn: tuple[str, ...]
    people: tuple[str, ...]


def save(home: CoordinatorHome, out: Path) -> Manifest:
    """Write the backup of that home to `out`, while the coordinator runs or not.

    The registry's copy is made last: what a study has written has its line there. Raises UsageError where
    `out` exists, StateError where the registry is damaged.
    """

    def leave(path: PurePosixPath) -> bool:
        if len(path.parts) == 1:
            return path.name in _LEFT | {REGISTRY}
        return path.parts[0] == "studies" and path.name in ("run", "log", "log.1")

    def plant(folder: Path) -> dict[str, object]:
        saving.copy_database(home.path / REGISTRY, folder / REGISTRY)
        (folder / MARK).write_text(json.dumps({"name": home.name}))
        return {"members": [each.name for each in home.registry.hospitals.members()]}

    return saving.save(
        home.path, out, kind=KIND, name=home.name, version=version("laennec"), leave=leave, plant=plant
    )


def restore(file: Path, home: Path) -> Manifest:
    """Make `home` from that backup: whole and closed, or not at all.

    Raises UsageError where `home` is there already, StateError where the backup is damaged.
    """
    with restored(file, home, KIND) as (folder, manifest):
        place = CoordinatorHome.open(folder)
        place.authority()
        place.registry.hospitals.all()
        for made in (place.superlink, place.studies):
            made.mkdir(mode=0o700, exist_ok=True)
        if not (folder / MARK).exists():
            raise StateError(f"{file}: is no whole backup of Laennec: use another one")
    return manifest


def check(home: Path) -> None:
    """Raises StateError where this home was put back and no administrator has spoken. Before each start."""
    if (home / MARK).exists():
        raise StateError(
            f"{home}: was put back from a backup: say who was shut out since, then it starts: "
            "`laennec coordinator reopen`"
        )


def assess(home: CoordinatorHome, revoked: tuple[str, ...]) -> Reopening:
    """What would be done; nothing is changed.

    Raises UsageError where the home is open, or a name is unknown.
    """
    if not (home.path / MARK).exists():
        raise UsageError(f"{home.path}: is open: there is nothing to say")
    registry: Registry = home.registry
    members = tuple(each.name for each in registry.hospitals.members())
    unknown = [name for name in revoked if name not in {each.name for each in registry.hospitals.all()}]
    if unknown:
        raise UsageError(
            f"--revoke {unknown[0]}: no such hospital in the backup: {', '.join(members)} are members"
        )
    return Reopening(
        members=tuple(name for name in members if name not in revoked),
        revoked=tuple(name for name in revoked if name in members),
        withdrawn=tuple(each.hospital for each in registry.invitations.all() if each.state == "open"),
        people=tuple(each.name for each in registry.people.all()),
    )


def reopen(home: CoordinatorHome, revoked: tuple[str, ...]) -> Reopening:
    """Do it; killed in between the home is closed still, and asked again nothing is done twice."""
    done = assess(home, revoked)
    for name in done.revoked:
        home.registry.hospitals.revoke(name, "shut out before the home was put back")
    for name in dict.fromkeys(done.withdrawn):
        home.registry.invitations.withdraw(name)
    for name in done.people:
        home.registry.people.remove(name)
    (home.path / MARK).unlink()
    sync(home.path)
    return done
