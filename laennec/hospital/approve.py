"""`laennec hospital approve`: a study in plain words, and the decision about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ground.errors import UsageError
from laennec import screen
from laennec.hospital.app import By, HomeOption, Json, hospital, opened, whoever

if TYPE_CHECKING:
    from client.approval import PlainWords
    from client.home import Home

Which = Annotated[
    str | None,
    typer.Argument(
        metavar="[STUDY]",
        help="A study's .toml file, or the first digits (6 or more) of the digest of one that waits here.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Approve without asking, once it was shown.")]
Days = Annotated[
    int | None,
    typer.Option(metavar="N", help="Let the approval expire after so many days.", show_default=False),
]
Revoke = Annotated[bool, typer.Option("--revoke", help="Take the approval of this study back.")]
Decline = Annotated[bool, typer.Option("--decline", help="Take this study from those that wait.")]
List = Annotated[bool, typer.Option("--list", help="Studies that wait, and every decision so far.")]


@hospital.command()
def approve(
    study: Which = None,
    home: HomeOption = None,
    yes: Yes = False,
    by: By = None,
    days: Days = None,
    revoke: Revoke = False,
    decline: Decline = False,
    list_: List = False,
    json: Json = False,
) -> None:
    """Show a study in plain words, then approve it or not. Nothing runs that was not approved.

    What is approved is the study's digest: changed by one character it is
    another study. With --json and without --yes it is shown and not decided.
    """
    from client import approval

    place = opened(home)
    if list_ or study is None:
        if study is not None or revoke or decline:
            raise UsageError("--list shows all: leave the other arguments out")
        _list(place, json=json)
        return
    approval.check_terms("nobody" if by is None else by, days)
    if revoke and decline:
        raise UsageError("--revoke takes an approval back, --decline a study that waits: give one of them")
    terms = approval.find_study(place, study)
    if revoke:
        approval.revoke(place, terms.digest, whoever(by))
        _done(
            {"revoked": terms.digest},
            f"{terms.name} is revoked: no further round of it runs here.",
            json=json,
        )
        return
    if decline:
        approval.decline(place, terms.digest, whoever(by))
        _done({"declined": terms.digest}, f"{terms.name} is declined.", json=json)
        return
    words = approval.plain_words(place, terms)
    if json:
        decided = asdict(approval.approve(place, terms, whoever(by), days)) if yes else None
        screen.print_json(asdict(words) | {"approval": decided})
        return
    show(words)
    over = approval.overrun(place, terms)
    if not (yes or typer.confirm(f"{_sentence(over)}Let {terms.name} run here on these patients?")):
        screen.out.print("Not approved: it does not run here.")
        raise typer.Exit(1)
    paper = approval.approve(place, terms, whoever(by), days)
    until = "until it is revoked" if paper.until is None else f"until {paper.until}"
    screen.out.print(f"Approved by {paper.by}, {until}.", highlight=False, markup=False)
    if over:
        said = "it will be refused at its start until you raise it: `laennec hospital budget --set EPSILON`"
        screen.out.print(f"Mind: {over}; {said}.", style="yellow", highlight=False, markup=False)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}. " if text else ""


def show(words: PlainWords) -> None:
    """The study, heading by heading."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 1, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for heading, sentences in words.rows():
        table.add_row(heading, Text("\n".join(sentences)))
    screen.out.print(table)


def _list(home: Home, *, json: bool) -> None:
    from client.status import decisions, waiting

    seen = {"waiting": waiting(home), "approvals": decisions(home)}
    if json:
        screen.print_json(seen)
    else:
        show_lists(seen["waiting"], seen["approvals"])


def show_lists(waiting: list[dict[str, object]], decided: list[dict[str, object]]) -> None:
    """Studies that wait, and decisions."""
    if waiting:
        table = plain_table(
            "Waiting for a decision: `laennec hospital approve DIGEST`", "digest", "study", "task", "rounds"
        )
        for each in waiting:
            table.add_row(*(Text(str(each[key])) for key in ("short", "name", "task", "rounds")))
        screen.out.print(table)
    else:
        screen.out.print("No study waits for a decision.")
    if decided:
        table = plain_table("Decisions", "digest", "study", "is", "by", "since (UTC)", "until (UTC)")
        for column in table.columns:  # names give way to what cannot be read in pieces
            column.no_wrap = column.header not in ("study", "by")
        for each in decided:
            cells = [
                *(each[key] for key in ("short", "name", "state", "by")),
                _minute(each["at"]),
                _minute(each["until"]),
            ]
            table.add_row(*(Text("–" if cell is None else str(cell)) for cell in cells))
        screen.out.print(table)


def _minute(text: object) -> str | None:
    """A moment of ISO 8601, to the minute."""
    return None if text is None else str(text)[:16].replace("T", " ")


def plain_table(title: str, *headings: str) -> Table:
    """Without lines between columns, so that it fits eighty of them."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _done(values: dict[str, object], said: str, *, json: bool) -> None:
    if json:
        screen.print_json(values)
    else:
        screen.out.print(said, highlight=False, markup=False)
