"""`laennec hospital init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from laennec import screen
from laennec.hospital.app import Json, hospital


@hospital.command()
def init(
    home: Annotated[Path, typer.Argument(help="The folder to make.", show_default=False)],
    name: Annotated[
        str | None,
        typer.Option(help="The hospital's name in studies. Default: the folder's.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Make a hospital's home: settings, identity, journal. Nothing is sent anywhere."""
    from client.home import Home

    made = Home.begin(home, name or home.resolve().name)
    if json:
        screen.print_json({"home": str(home), "name": made.name, "identity": made.public.hex()})
        return
    said = f"""{made.name} has a home in {home}.
Its public identity, for the other hospitals: {made.public.hex()}
Next, with --home {home} or inside it:
  laennec hospital import DIR           bring patients in, de-identified
  laennec hospital budget --set EPSILON say what all studies together may cost a patient
  laennec hospital join INVITATION      take part where a coordinator invited you
  edit hospital.toml                    limits: processors, memory, hours
  laennec hospital doctor               see what is still missing
"""
    screen.out.print(said, end="", soft_wrap=True, highlight=False, markup=False)
