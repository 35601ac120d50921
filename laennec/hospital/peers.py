"""`laennec hospital peers`: the other hospitals, and whom a person here accepted."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ground.errors import UsageError
from laennec import screen
from laennec.hospital.app import By, HomeOption, Json, hospital, opened, whoever
from laennec.hospital.approve import plain_table

if TYPE_CHECKING:
    from client.joining.peers import Introduction

WORDS = {
    "new": "not accepted",
    "accepted": "accepted",
    "changed": "ANOTHER identity than you accepted: ask that hospital why",
    "gone": "accepted; the coordinator names it no more",
}


@hospital.command()
def peers(
    home: HomeOption = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Sum with this hospital from now on. Repeatable.", show_default=False
        ),
    ] = None,
    remove: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Sum with it no more. Repeatable.", show_default=False),
    ] = None,
    identity: Annotated[
        str | None,
        typer.Option(
            help="What the hospital itself told you, in place of the question: must be the same.",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="You compared the identities: do not ask.")] = False,
    by: By = None,
    json: Json = False,
) -> None:
    """The other hospitals, as the coordinator names them; accept those with whom this one sums.

    Ask each hospital, by telephone or in person, for the identity that its own
    `laennec hospital status` shows, and compare: the coordinator is not
    trusted with this. Secure sums with anybody not accepted are refused.
    """
    from client.joining import peers as joined

    dwelling = opened(home)
    if identity is not None and len(accept or []) != 1:
        raise UsageError("--identity is of one hospital: give one --accept NAME with it")
    for name in remove or []:
        joined.remove(dwelling, name, whoever(by))
    seen = {each.name: each for each in joined.introductions(opened(home))}
    for name in accept or []:
        each = _named(seen, name)
        _compare(each, identity, yes=yes)
        joined.accept(dwelling, each, whoever(by))
    if accept:
        seen = {each.name: each for each in joined.introductions(opened(home))}
    if json:
        screen.print_json({"peers": [asdict(each) | {"state": each.state} for each in seen.values()]})
        return
    _show(list(seen.values()))


def _named(seen: dict[str, Introduction], name: str) -> Introduction:
    if name not in seen:
        raise UsageError(
            f"{name}: the coordinator names no such hospital: there are {', '.join(seen) or 'none'}"
        )
    return seen[name]


def _compare(each: Introduction, told: str | None, *, yes: bool) -> None:
    """A person says that the identity is that hospital's; raises UsageError where it is not."""
    from ground.membership.invitation import spaced

    if told is not None:
        if "".join(told.split()).lower() != each.identity:
            raise UsageError(
                f"{each.name}: the coordinator names another identity than the hospital told you: accept "
                "nothing, and find out which of the two is wrong"
            )
        return
    if yes:
        return
    screen.err.print(f"The coordinator says of {each.name}:", highlight=False, markup=False)
    screen.err.print(f"  {spaced(each.identity)}", highlight=False, markup=False, soft_wrap=True)
    if each.state == "changed":
        screen.err.print(f"and you accepted\n  {spaced(each.accepted)}", highlight=False, soft_wrap=True)
    if not typer.confirm(f"Did {each.name} itself tell you the same, on a way of its own?", err=True):
        screen.err.print("Not accepted.")
        raise typer.Exit(1)


def _show(seen: list[Introduction]) -> None:
    from ground.membership.invitation import spaced

    if not seen:
        screen.out.print("The coordinator names no other hospital yet.")
        return
    table = plain_table("", "hospital", "is", "identity")
    for each in seen:
        table.add_row(Text(each.name), Text(WORDS[each.state]), spaced(each.identity or each.accepted))
    screen.out.print(table)
