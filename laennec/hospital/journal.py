"""`laennec hospital journal`: who did what, and whether every line is as it was written."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from laennec import screen
from laennec.hospital.app import HomeOption, Json, hospital, opened
from laennec.hospital.approve import plain_table

Verify = Annotated[
    bool,
    typer.Option(
        "--verify", help="Check every line, every signature and the head; exit status 1 where one is wrong."
    ),
]
Last = Annotated[int, typer.Option(min=0, metavar="N", help="The last N lines; 0 for all.")]


@hospital.command()
def journal(home: HomeOption = None, verify: Verify = False, last: Last = 25, json: Json = False) -> None:
    """Who did what with which study, and when. Works without a network.

    Each line vouches for the one before it and is signed: a removed, edited
    or reordered line is named. Keep a copy of the head elsewhere: it shows
    even a journal that was replaced whole.
    """
    from client.journal import Journal

    kept = Journal(opened(home).path)
    seen: dict[str, Any] = {"verified": kept.verify()} if verify else {}
    lines, head = kept.lines(), kept.head()
    seen |= {"head": head.digest, "number": head.number}
    seen["lines"] = [asdict(line) for line in (lines[-last:] if last else lines)]
    if json:
        screen.print_json(seen)
        return
    if not verify:
        _show(seen["lines"])
    else:
        lines_ = "The one line" if seen["verified"] == 1 else f"Each of {seen['verified']} lines"
        screen.out.print(f"{lines_} is as it was written and where it was written.")
        for line in lines:
            if line.what == "clock":
                screen.out.print(f"Mind: before line {line.number + 1} {line.detail}.", style="yellow")
    screen.out.print(f"Head: {head.number} {head.digest}", soft_wrap=True, highlight=False)
    if not verify:
        screen.out.print("Keep a copy of it elsewhere: it shows even a journal that was replaced whole.")


def _show(lines: list[dict[str, Any]]) -> None:
    table = plain_table("", "", "when", "who", "what", "study", "detail")
    for each in lines:
        when = f"{datetime.fromtimestamp(each['time']).astimezone():%Y-%m-%d %H:%M:%S}"
        study = "–" if each["digest"] is None else each["digest"][:8]
        cells = (str(each["number"]), when, each["who"], each["what"], study, each["detail"])
        table.add_row(*map(Text, cells))
    screen.out.print(table)
