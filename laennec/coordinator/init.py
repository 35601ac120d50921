"""`laennec coordinator init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from laennec import screen
from laennec.coordinator.app import Json, coordinator

Port = Annotated[int, typer.Option(min=1, max=65535, help="Where hospitals' nodes connect.")]
DoorPort = Annotated[
    int, typer.Option("--door", min=1, max=65535, help="Joining, renewal, introductions, dashboard (HTTPS).")
]


@coordinator.command()
def init(
    home: Annotated[Path, typer.Argument(help="The folder to make.", show_default=False)],
    host: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help="Host name or address under which hospitals reach this machine; the first is told to them. "
            "Repeatable.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(help="The federation's name. Default: the folder's.", show_default=False),
    ] = None,
    nodes: Port = 9092,
    door: DoorPort = 9443,
    json: Json = False,
) -> None:
    """Make a coordinator's home: settings, authority, certificate, registry. Nothing is sent anywhere."""
    from ground.membership.invitation import spaced
    from server.home import CoordinatorHome

    made = CoordinatorHome.begin(home, name or home.resolve().name, host, nodes=nodes, door=door)
    fingerprint = made.authority().fingerprint
    if json:
        values = {
            "home": str(home),
            "name": made.name,
            "nodes": made.written.nodes,
            "door": made.written.door,
        }
        screen.print_json({**values, "fingerprint": fingerprint})
        return
    said = f"""{made.name} has a home in {home}.
Hospitals reach it at {made.written.nodes} (their nodes) and {made.written.door} (all else): open both ports.
Fingerprint of its authority: {spaced(fingerprint)}
Whoever reads {home / "authority"} can pass for this coordinator: keep a copy in a safe, and no other.
Next, with --home {home} or inside it:
  laennec coordinator invite HOSPITAL   an invitation, for each hospital
  laennec coordinator start             run it
  laennec coordinator people --add NAME --role watch   somebody who may see the dashboard
"""
    screen.out.print(said, end="", soft_wrap=True, highlight=False, markup=False)
