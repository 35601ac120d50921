"""The group of commands, and the options that they share."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ground.errors import UsageError

if TYPE_CHECKING:
    from client.home import Home

hospital = typer.Typer(
    name="hospital",
    help="A hospital's own side: its home, what it allows, and what was done with its patients' data.",
    no_args_is_help=True,
)

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="LAENNEC_HOME",
        help="The hospital's home folder. Default: the current folder.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else.")]
By = Annotated[
    str | None,
    typer.Option("--by", metavar="NAME", help="Who decides. Default: your login name.", show_default=False),
]


def opened(home: Path | None) -> Home:
    """The home that was asked for; raises UsageError where it is none."""
    from client.home import Home

    return Home.open(Path() if home is None else home)


def whoever(by: str | None) -> str:
    """Who decides: the name given, or the login name; raises UsageError where there is none."""
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise UsageError("nobody knows your login name: give --by NAME") from None
