"""`laennec hospital backup`, `restore` and `reopen`: a home in one file, put back, and opened again."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ground.errors import UsageError
from laennec import screen
from laennec.hospital.app import By, HomeOption, Json, hospital, opened, whoever
from laennec.keeping import File, Keep, Target, Yes, finish, say, target

if TYPE_CHECKING:
    from client.backup import Loss

Patients = Annotated[
    bool,
    typer.Option(
        "--patients/--no-patients",
        help="With the archive of patients, or without it where it is backed up by other means.",
    ),
]
LedgerHead = Annotated[
    str | None,
    typer.Option(
        metavar='"N DIGEST"',
        help="The last head of the epsilon book that was kept elsewhere, not the backup's own.",
        show_default=False,
    ),
]
JournalHead = Annotated[
    str | None,
    typer.Option(
        metavar='"N DIGEST"',
        help="The last head of the journal that was kept elsewhere (`journal` prints it).",
        show_default=False,
    ),
]
Ran = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="STUDY",
        help="A study's .toml file that was approved after the backup and may have run. Repeatable.",
    ),
]
NeverRan = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DIGEST",
        help="A study that was approved before the backup and certainly did not run since. Repeatable.",
    ),
]
Spent = Annotated[
    bool,
    typer.Option(
        "--budget-is-spent", help="Nobody can tell what ran: count the whole budget as spent, nothing less."
    ),
]


@hospital.command()
def backup(
    file: Target,
    home: HomeOption = None,
    patients: Patients = True,
    keep: Keep = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Write this home into one file, while its node runs or not. It holds private keys.

    Given a folder, the file there is named by date. Keep it on another disk,
    encrypted. Heads that are to show later what was lost are kept apart from it,
    and anew each day: `laennec hospital budget` and `journal` print them.
    """
    from client import backup as backups

    place = opened(home)
    out = target(file, "hospital", keep)
    made = backups.save(place, out, _somebody(by), patients=patients)
    finish(place.name, out, made, keep, json=json)


@hospital.command()
def restore(
    file: File,
    home: Annotated[Path, typer.Argument(help="The folder to make.", show_default=False)],
    by: By = None,
    json: Json = False,
) -> None:
    """Make a home from a backup. It answers nobody until `reopen` says what is missing.

    The backup is older than what was lost: studies may have spent epsilon since,
    and people may have taken approvals back.
    """
    from client import backup as backups

    made = backups.restore(file, home, _somebody(by))
    if json:
        screen.print_json({"home": str(home), "made": made.made, "closed": True})
        return
    say(f"{home} is {made.name} as it was at {made.made}. It is closed: it answers nobody.")
    say(f"Next: laennec hospital reopen --home {home}   with the last heads that were kept, if any were")


@hospital.command()
def reopen(
    home: HomeOption = None,
    ledger_head: LedgerHead = None,
    journal_head: JournalHead = None,
    ran: Ran = None,
    never_ran: NeverRan = None,
    budget_is_spent: Spent = False,
    by: By = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Say what is missing since the backup, and let the home answer again.

    Whatever was approved when the backup was made is booked as if it had run to
    its end, and no approval counts any longer, unless the last heads say that
    nothing is missing. With --json and without --yes it is shown and not done.
    """
    from client import backup as backups
    from client.backup.loss import head_from
    from tasks.study import load

    place = opened(home)
    evidence = backups.Evidence(
        ledger=None if ledger_head is None else head_from(ledger_head),
        journal=None if journal_head is None else head_from(journal_head),
        ran=tuple(load(each) for each in ran or ()),
        never_ran=tuple(never_ran or ()),
        budget_is_spent=budget_is_spent,
    )
    loss = backups.assess(place, evidence)
    if json:
        if yes:
            backups.reopen(place, whoever(by), evidence)
        screen.print_json(_values(loss) | {"open": yes})
        return
    _show(loss)
    if not (yes or typer.confirm(f"Let {place.name} answer again, with that booked?")):
        say("It stays closed.")
        raise typer.Exit(1)
    backups.reopen(place, whoever(by), evidence)
    say("It is open. See `laennec hospital approve --list` and `budget`, and keep the new heads.")


def _show(loss: Loss) -> None:
    if loss.nothing:
        say("By the heads that you give nothing is missing. If they are older than the loss, what came")
        say("after them is forgotten: then give none.")
    else:
        for count, what in (
            (loss.entries, "entries of the epsilon book"),
            (loss.lines, "lines of the journal"),
        ):
            say(f"Missing {what}: {'nobody can tell' if count is None else count}")
    for study in loss.studies:
        say(f"  booked as if it had run to its end: {study.name}, {study.digest[:8]}")
    if loss.to_budget is not None:
        say("  booked: all that the budget allowed")
    for digest in loss.revoked:
        say(f"  approval taken back, to be given anew: {digest[:8]}")
    say(
        f"ε spent: {_shown(loss.before)} in the backup, {_shown(loss.after)} from now on, at δ {loss.delta:g}"
    )


def _values(loss: Loss) -> dict[str, Any]:
    return {
        "missing_entries": loss.entries,
        "missing_lines": loss.lines,
        "booked": [{"digest": each.digest, "name": each.name} for each in loss.studies],
        "budget_is_spent": loss.to_budget is not None,
        "revoked": list(loss.revoked),
        "before": loss.before if math.isfinite(loss.before) else None,
        "after": loss.after if math.isfinite(loss.after) else None,
        "delta": loss.delta,
    }


def _shown(epsilon: float) -> str:
    from client.ledger import up

    return up(epsilon)


def _somebody(by: str | None) -> str:
    """Who does it; a timer in a container may have a number and no name, and decides nothing."""
    try:
        return whoever(by)
    except UsageError:
        return f"user {os.getuid()}"
