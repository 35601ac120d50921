"""`laennec coordinator invite`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from laennec import screen
from laennec.coordinator.app import HomeOption, Json, coordinator, opened


@coordinator.command()
def invite(
    hospital: Annotated[str, typer.Argument(help="Its name in studies.", show_default=False)],
    home: HomeOption = None,
    days: Annotated[
        float | None,
        typer.Option(help="How long it is open. Default: coordinator.toml, 7.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write it into this file instead, its owner's alone.", show_default=False),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Although it is a member: it has a new machine, or lost its key.")
    ] = False,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="End the invitation that it has not used yet.")
    ] = False,
    json: Json = False,
) -> None:
    """Invite a hospital: one line of text that works once and ends by itself.

    Send it on a way that only the hospital reads, and tell the fingerprint on
    another: whoever has the line first can join under that name. Inviting a
    hospital again ends the invitation before.
    """
    from ground.files import write_atomically
    from ground.membership.invitation import spaced

    dwelling = opened(home)
    if withdraw:
        dwelling.registry.invitations.withdraw(hospital)
        screen.out.print(f"The invitation of {hospital} is withdrawn.", highlight=False, markup=False)
        return
    made = dwelling.invite(hospital, days, replaces=again)
    if out is not None:
        write_atomically(out, made.to_text() + "\n")
    if json:
        values = {
            "hospital": hospital,
            "until": made.ends,
            "door": made.door,
            "fingerprint": made.fingerprint,
        }
        screen.print_json({**values, "invitation": made.to_text() if out is None else None})
        return
    where = made.to_text() if out is None else f"  is in {out}"
    said = f"""The invitation of {hospital}, which works once, until {made.ends}:

{where}

At the hospital:  laennec hospital join INVITATION
Fingerprint of {made.federation}, to be told by telephone: {spaced(made.fingerprint)}
"""
    screen.out.print(said, end="", soft_wrap=True, highlight=False, markup=False)
