"""`laennec coordinator hospitals` and `revoke`: who is a member, and who no longer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from laennec import screen
from laennec.coordinator.app import HomeOption, Json, coordinator, opened


@coordinator.command()
def hospitals(home: HomeOption = None, json: Json = False) -> None:
    """Members, those who were, and those who are invited."""
    from ground.membership.invitation import spaced
    from laennec.hospital.approve import plain_table

    registry = opened(home).registry
    known, invited = registry.hospitals.all(), [e for e in registry.invitations.all() if e.state == "open"]
    if json:
        listed = [
            {
                "name": each.name,
                "state": each.state,
                "identity": each.identity,
                "until": _day(each.until),
                "revoked": None if each.revoked is None else _day(each.revoked),
                "why": each.why,
            }
            for each in known
        ]
        invitations = [{"name": each.hospital, "until": _day(each.until)} for each in invited]
        screen.print_json({"hospitals": listed, "invited": invitations})
        return
    table = plain_table("", "hospital", "state", "until", "identity")
    for each in known:
        state = f"{each.state}: {each.why}" if each.why and each.state == "revoked" else each.state
        until = each.until if each.revoked is None else each.revoked
        table.add_row(Text(each.name), Text(state), _day(until), spaced(each.identity))
    for invitation in invited:
        table.add_row(Text(invitation.hospital), "invited", _day(invitation.until), "")
    screen.out.print(table)


@coordinator.command()
def revoke(
    hospital: Annotated[str, typer.Argument(help="Its name.", show_default=False)],
    home: HomeOption = None,
    why: Annotated[str, typer.Option(help="The reason, for the registry.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """End a hospital's membership: a running coordinator shuts it out within a round. Nobody else is touched.

    It cannot be taken back: to come back, a hospital is invited and joins again.
    """
    ended = opened(home).registry.hospitals.revoke(hospital, why)
    if json:
        screen.print_json({"hospital": ended.name, "state": ended.state, "why": ended.why})
        return
    screen.out.print(f"{ended.name} is a member no more.", highlight=False, markup=False)


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
