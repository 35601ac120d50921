"""`laennec hospital join`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ground.errors import UsageError
from laennec import screen
from laennec.hospital.app import HomeOption, Json, hospital, opened

LONGEST = 64 * 1024  # bytes of a file that may hold an invitation


@hospital.command()
def join(
    invitation: Annotated[
        str,
        typer.Argument(
            help="The file, or the line of text, that the coordinator sent; - reads it from standard input.",
            show_default=False,
        ),
    ],
    home: HomeOption = None,
    json: Json = False,
) -> None:
    """Join a federation with the invitation of its coordinator.

    The keys are made here and stay here; a signing request and proofs are sent,
    to the coordinator that the invitation vouches for and to nobody else.
    """
    from client.joining.joining import join as join_federation
    from ground.membership.invitation import Invitation, spaced

    dwelling = opened(home)
    invited = Invitation.from_text(_text(invitation))
    if not json:
        screen.err.print(
            f"{invited.federation} at {invited.door} invites {invited.hospital}, until {invited.ends}.\n"
            f"Its fingerprint: {spaced(invited.fingerprint)}",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )
    member = join_federation(dwelling, invited)
    until = datetime.fromtimestamp(member.until, UTC).strftime("%Y-%m-%d")
    if json:
        values = {"federation": member.federation, "nodes": member.nodes, "door": member.door}
        screen.print_json({"hospital": dwelling.name, **values, "until": until})
        return
    said = f"""{dwelling.name} is a member of {member.federation}: its certificate, until {until},
is renewed by the node.
Next:
  laennec hospital peers     the other hospitals; accept those with whom you sum
  laennec hospital start     run the node
"""
    screen.out.print(said, end="", soft_wrap=True, highlight=False, markup=False)


def _text(given: str) -> str:
    """The invitation's text: that of the file, or what was given itself."""
    from ground.membership.invitation import BEGINNING

    if given.lstrip().startswith(BEGINNING):
        return given
    if given == "-":
        return sys.stdin.read(LONGEST)
    try:
        with Path(given).open(encoding="utf-8") as file:
            return file.read(LONGEST)
    except UnicodeDecodeError:
        return ""
    except OSError as error:
        if len(given) > 255:
            return ""
        raise UsageError(f"{given}: no such file, and no invitation: {error.strerror}") from error
