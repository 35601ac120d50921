"""`laennec coordinator people`: who may launch studies at the dashboard, and who may watch."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.text import Text

from ground.errors import UsageError
from laennec import screen
from laennec.coordinator.app import HomeOption, Json, coordinator, opened


class RoleOption(StrEnum):
    """What somebody may do."""

    launch = "launch"
    watch = "watch"


@coordinator.command()
def people(
    home: HomeOption = None,
    add: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Let somebody in, or give another token.", show_default=False),
    ] = None,
    role: Annotated[
        RoleOption, typer.Option(help="watch: see everything. launch: also launch, stop and resume studies.")
    ] = RoleOption.watch,
    remove: Annotated[
        str | None, typer.Option(metavar="NAME", help="Let somebody in no more.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Who may see the dashboard, and who may launch studies there.

    Each has a token, which is shown once and kept nowhere. Whoever owns this
    home on this machine is its administrator and needs none: only here are
    hospitals invited and revoked, and people let in.
    """
    if add is not None and remove is not None:
        raise UsageError("--add or --remove: one at a time")
    known = opened(home).registry.people
    if add is not None:
        token = known.add(add, role.value)
        if json:
            screen.print_json({"name": add, "role": role.value, "token": token})
            return
        said = f"{add} may {role.value}. The token, shown this once: {token}"
        screen.out.print(said, soft_wrap=True, highlight=False, markup=False)
        return
    if remove is not None:
        known.remove(remove)
    if json:
        listed = [{"name": each.name, "role": each.role, "since": _day(each.since)} for each in known.all()]
        screen.print_json({"people": listed})
        return
    from laennec.hospital.approve import plain_table

    table = plain_table("", "person", "role", "since")
    for each in known.all():
        table.add_row(Text(each.name), each.role, _day(each.since))
    screen.out.print(table)


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
