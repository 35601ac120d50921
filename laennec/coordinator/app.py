"""The group of commands, and the options that they share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from server.home import CoordinatorHome

coordinator = typer.Typer(
    name="coordinator",
    help="The coordinator's side: who takes part, what is run, what came of it. It never sees a patient.",
    no_args_is_help=True,
)

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="LAENNEC_HOME",
        help="The coordinator's home folder. Default: the current folder.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else.")]


def opened(home: Path | None) -> CoordinatorHome:
    """The home that was asked for; raises UsageError where it is none."""
    from server.home import CoordinatorHome

    return CoordinatorHome.open(Path() if home is None else home)
