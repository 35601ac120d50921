"""Whether a hospital's home is fit to take part: each check is good, or says what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from client.doctor import books, machine, network
from client.doctor.check import Check
from client.doctor.membership import membership
from client.home import Home
from ground.errors import LaennecError

CHECKS: dict[str, Callable[[Home], Check]] = {
    "permissions": machine.permissions,
    "identity": machine.identity,
    "versions": machine.versions,
    "disk": machine.disk,
    "archive": books.archive,
    "budget": books.budget,
    "restored": books.restored,
    "ledger": books.ledger,
    "journal": books.journal,
    "approvals": books.approvals,
    "membership": membership,
    "certificate": network.certificate,
    "coordinator": network.coordinator,
    "clock": network.clock,
}


def examine(path: Path) -> list[Check]:
    """Every check of the home at `path`, whatever the others find; nothing is changed there."""
    try:
        home = Home.open(path)
    except LaennecError as error:
        return [Check("settings", False, str(error), "put hospital.toml right, then ask again")]
    found = [Check("settings", True, f"{home.name}, in {home.path}")]
    return [*found, *(_made(name, check, home) for name, check in CHECKS.items())]


def _made(name: str, check: Callable[[Home], Check], home: Home) -> Check:
    """The check; where it fails in a way that nobody thought of, that is bad news too."""
    try:
        return check(home)
    except LaennecError as error:
        said, _, todo = str(error).rpartition(": ")
        return Check(name, False, said or str(error), todo)
    except Exception as error:
        return Check(
            name, False, f"could not be checked ({type(error).__name__})", "see that the files are readable"
        )


__all__ = ["CHECKS", "Check", "examine"]
