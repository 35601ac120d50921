"""`laennec coordinator launch`, `stop` and `resume`."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ground.errors import UsageError
from laennec import screen
from laennec.coordinator.app import HomeOption, Json, coordinator, opened

if TYPE_CHECKING:
    from server.home import CoordinatorHome
    from server.registry.studies import Launched

Which = Annotated[
    str, typer.Argument(metavar="STUDY", help="Its name, or the first digits (6 or more) of its digest.")
]


@coordinator.command()
def launch(
    study: Annotated[Path, typer.Argument(help="A study, as TOML: see examples/.", show_default=False)],
    home: HomeOption = None,
    hospital: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Ask only this hospital. Repeatable. Default: every member."),
    ] = None,
    approval_days: Annotated[
        float, typer.Option(metavar="DAYS", help="How long to wait for persons there to approve it.")
    ] = 14.0,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who launches. Default: your login name.")
    ] = None,
    json: Json = False,
) -> None:
    """Check a study and give it to the coordinator, which runs it once every hospital has approved it.

    It is written down at once: the coordinator may be started later.
    """
    from server.coordinating import orders
    from tasks.study import load

    place = opened(home)
    made = orders.launch(
        place, load(study), by=_whoever(by), hospitals=hospital or [], approval_days=approval_days
    )
    names = ", ".join(made.hospitals)
    _told(
        place,
        made,
        f"{made.name} is launched (digest {made.digest[:12]}). It begins once {names} have approved it, for "
        f"which it waits {approval_days:g} days.",
        json=json,
    )


@coordinator.command()
def stop(study: Which, home: HomeOption = None, json: Json = False) -> None:
    """Let a study pause after the step that it is in. Nothing of it is lost: `resume` goes on with it."""
    from server.coordinating import orders

    place = opened(home)
    made = orders.stop(place, study)
    _told(place, made, f"{made.name} stops after the step that it is in.", json=json)


@coordinator.command()
def resume(study: Which, home: HomeOption = None, json: Json = False) -> None:
    """Let a study that was stopped, or that failed, go on from where it was."""
    from server.coordinating import orders

    place = opened(home)
    made = orders.resume(place, study)
    _told(place, made, f"{made.name} goes on.", json=json)


def _told(home: CoordinatorHome, made: Launched, said: str, *, json: bool) -> None:
    from server.coordinating.status import is_running

    runs = is_running(home)
    if json:
        screen.print_json(as_json(made) | {"coordinator_runs": runs})
        return
    screen.out.print(said, highlight=False, markup=False)
    if not runs:
        screen.out.print("The coordinator does not run: `laennec coordinator start` starts it.", markup=False)


def as_json(made: Launched) -> dict[str, Any]:
    """What the registry says of a study."""
    return {
        "study": made.name,
        "digest": made.digest,
        "state": made.state,
        "wanted": made.wanted,
        "why": made.why,
        "launched": made.launched,
        "by": made.by,
        "hospitals": list(made.hospitals),
        "approval_seconds": made.approval_seconds,
    }


def _whoever(by: str | None) -> str:
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise UsageError("nobody knows your login name: give --by NAME") from None
