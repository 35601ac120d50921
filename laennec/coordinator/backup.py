"""`laennec coordinator backup`, `restore` and `reopen`: a home in one file, put back, and opened again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from laennec import screen
from laennec.coordinator.app import HomeOption, Json, coordinator, opened
from laennec.keeping import File, Keep, Target, Yes, finish, say, target


@coordinator.command()
def backup(file: Target, home: HomeOption = None, keep: Keep = None, json: Json = False) -> None:
    """Write this home into one file, while the coordinator runs or not. It holds the federation's keys.

    Given a folder, the file there is named by date.
    """
    from server import backup as backups

    place = opened(home)
    out = target(file, "coordinator", keep)
    made = backups.save(place, out)
    finish(place.name, out, made, keep, json=json)


@coordinator.command()
def restore(
    file: File,
    home: Annotated[Path, typer.Argument(help="The folder to make.", show_default=False)],
    json: Json = False,
) -> None:
    """Make a home from a backup. It does not start until `reopen` says who was shut out since."""
    from server import backup as backups

    made = backups.restore(file, home)
    if json:
        screen.print_json({"home": str(home), "made": made.made, "closed": True})
        return
    say(f"{home} is {made.name} as it was at {made.made}. It is closed: it does not start.")
    say(f"Next: laennec coordinator reopen --home {home}")


@coordinator.command()
def reopen(
    home: HomeOption = None,
    revoke: Annotated[
        list[str] | None,
        typer.Option(metavar="HOSPITAL", help="One that was shut out after the backup. Repeatable."),
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Say who was shut out since the backup, and let the coordinator start again.

    Open invitations end and all tokens are forgotten, since the backup cannot
    know which of them were used or withdrawn. With --json and without --yes it
    is shown and not done.
    """
    from server import backup as backups

    place, named = opened(home), tuple(revoke or ())
    seen = backups.assess(place, named)
    if json:
        if yes:
            backups.reopen(place, named)
        screen.print_json(asdict(seen) | {"open": yes})
        return
    for title, names in (
        ("Members, as the backup has them", seen.members),
        ("Shut out", seen.revoked),
        ("Invitations that end", seen.withdrawn),
        ("Tokens that are forgotten, of", seen.people),
    ):
        say(f"{title}: {', '.join(names) or 'none'}")
    if not (yes or typer.confirm(f"Let {place.name} start again with these members?")):
        say("It stays closed.")
        raise typer.Exit(1)
    backups.reopen(place, named)
    say("It is open. Hospitals that joined since are invited again; `people --add` gives new tokens.")
