"""`laennec hospital budget`: the ε book."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from ground.errors import UsageError
from laennec import screen
from laennec.hospital.app import By, HomeOption, hospital, whoever

if TYPE_CHECKING:
    from client.home import Home
    from client.ledger import Ledger

AccountName = Annotated[
    str | None,
    typer.Option(
        "--account", help="One cohort. Default for --set: the hospital of this home, else the only account."
    ),
]
SetEpsilon = Annotated[
    float | None,
    typer.Option(
        "--set",
        metavar="EPSILON",
        help="Allow the cohort's patients so much ε over all studies together. A study beyond it is refused "
        "before the first patient is read. Where there is no book yet, one is begun.",
        show_default=False,
    ),
]
Delta = Annotated[
    float | None,
    typer.Option(
        help="With --set: the probability with which the promise may fail; well below one over the number of "
        "patients. Default: the account's present one, else 1e-5.",
        show_default=False,
    ),
]
Show = Annotated[bool, typer.Option("--show", help="The accounts and the head. What happens by default.")]
History = Annotated[bool, typer.Option("--history", help="Every entry, oldest first.")]
Verify = Annotated[
    bool,
    typer.Option("--verify", help="Read the whole chain of digests again; exit status 1 where it is broken."),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print JSON; an ε of null is ∞, a budget of null no limit.")
]


@hospital.command()
def budget(
    home: HomeOption = None,
    account: AccountName = None,
    epsilon: SetEpsilon = None,
    delta: Delta = None,
    show: Show = False,
    history: History = False,
    by: By = None,
    verify: Verify = False,
    json: Json = False,
) -> None:
    """What studies have cost the patients so far (ε), and what they may still cost.

    Every release is booked before training, and composed over all studies.
    Each entry vouches for the one before it: an edited, truncated or older
    book is refused. Keep a copy of the head (the last digest) elsewhere: it
    shows even a book that was replaced whole.
    """
    from client.ledger import BOOK, DEFAULT_DELTA, Budget, Ledger

    if epsilon is None and delta is not None:
        raise UsageError("--delta belongs to a budget: give --set EPSILON too")
    if epsilon is not None:
        Budget(epsilon, DEFAULT_DELTA if delta is None else delta)  # refused before a book is begun
    # A book is begun on purpose: in a hospital's home, or where --home says so.
    dwelling = _dwelling(home or Path())
    if dwelling is not None and epsilon is not None and account is None:
        account = dwelling.name
    begin = epsilon is not None and account is not None and (home is not None or dwelling is not None)
    home = home or Path()
    with Ledger(_book_in(home, begin=begin)) as ledger:
        if epsilon is not None:
            limit = _set(ledger, account, epsilon, delta)
            if dwelling is not None:
                _note(dwelling, limit, whoever(by))
        elif account is not None and account not in ledger.accounts():
            raise UsageError(f"{account}: no such account: there {_listed(ledger)}")
        head = ledger.head()
        seen: dict[str, Any] = {"book": str(home / BOOK), "entries": head.number, "head": head.digest}
        if verify:
            seen["verified"] = ledger.verify()
        if show or not (history or verify):
            names = ledger.accounts() if account is None else [account]
            seen["accounts"] = [_statement(ledger, name) for name in names]
        if history:
            seen["history"] = [asdict(entry) for entry in ledger.history(account)]
    if json:
        screen.print_json(seen)
    else:
        _print(seen)


def _dwelling(home: Path) -> Home | None:
    """The hospital whose home it is; None for a folder of a run on one machine, which has a book too."""
    from client.home import FILE, Home

    return Home.open(home) if (home / FILE).exists() else None


def _note(home: Home, limit: str, by: str) -> None:
    from client.journal import Journal

    Journal(home.path).write("person", "budget", detail=f"{limit}, by {by}")


def _book_in(home: Path, *, begin: bool) -> Path:
    """The book of that home; raises UsageError where there is none, unless one may be begun."""
    from client.ledger import BOOK, head_of

    book = home / BOOK
    if home.exists() and not home.is_dir():
        raise UsageError(f"{home}: is a file: give a folder with --home")
    # A head without its book is not for a beginner: opening it says what is wrong.
    if not (begin or book.exists() or head_of(book).exists()):
        raise UsageError(
            f"{book}: no epsilon book there: give --home HOME; begin one with --account NAME --set EPSILON"
        )
    return book


def _set(ledger: Ledger, account: str | None, epsilon: float, delta: float | None) -> str:
    """Set the budget of that account, or of the only one; δ stays as it was where none is given.

    What was set, in words.
    """
    from client.ledger import DEFAULT_DELTA

    if account is None:
        names = ledger.accounts()
        if len(names) != 1:
            raise UsageError(f"--set needs --account NAME: there {_listed(ledger)}")
        account = names[0]
    before = ledger.budget(account)
    if delta is None:
        delta = DEFAULT_DELTA if before is None else before.delta
    ledger.set_budget(account, epsilon, delta)
    return f"{account}: ε {epsilon:g} at δ {delta:g}"


def _listed(ledger: Ledger) -> str:
    names = ledger.accounts()
    return f"are {', '.join(names)}" if names else "is none yet"


def _statement(ledger: Ledger, account: str) -> dict[str, Any]:
    """What one account has spent and may still spend; null for ∞ and for no limit."""
    from client.ledger import DEFAULT_DELTA

    limit = ledger.budget(account)
    delta = DEFAULT_DELTA if limit is None else limit.delta
    spent = ledger.spent(account).epsilon(delta)
    entries = ledger.history(account)
    return {
        "account": account,
        "spent": spent if math.isfinite(spent) else None,
        "delta": delta,
        "budget": None if limit is None else limit.epsilon,
        "left": None if limit is None else max(0.0, limit.epsilon - spent),
        "studies": sorted({entry.study for entry in entries if entry.study is not None}),
        "disclosures": sum(entry.kind == "disclose" for entry in entries),
    }


def _print(seen: Mapping[str, Any]) -> None:
    """The same for a person: accounts, entries, and the head to copy."""
    if "accounts" in seen:
        screen.out.print(_accounts_table(seen["accounts"]))
    if "history" in seen:
        screen.out.print(_history_table(seen["history"]))
    if "verified" in seen:
        screen.out.print(f"{seen['verified']} entries, each as it was written and where it was written.")
    screen.out.print(f"Head: {seen['entries']} {seen['head']}", soft_wrap=True, highlight=False)
    if "accounts" in seen:
        screen.out.print("Keep a copy of it elsewhere: it shows even a book that was replaced whole.")


def _accounts_table(accounts: Sequence[Mapping[str, Any]]) -> Table:
    from client.ledger import down, up

    table = _plain("What studies have cost the patients, and what they may still cost")
    table.add_column("account", overflow="fold")
    for heading in ("ε spent", "at δ", "budget", "left", "studies", "outside any ε"):
        table.add_column(heading, justify="right")
    for each in accounts:
        table.add_row(
            escape(each["account"]),
            up(math.inf if each["spent"] is None else each["spent"]),
            f"{each['delta']:g}",
            "no limit" if each["budget"] is None else f"{each['budget']:g}",
            "–" if each["left"] is None else down(each["left"]),
            str(len(each["studies"])),
            str(each["disclosures"]),
        )
    return table


def _history_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    table = _plain("Every entry")
    for heading in ("", "when (UTC)", "account", "entry", "study", "round", "what"):
        table.add_column(heading, overflow="fold")
    for each in entries:
        study, number = each["study"] or "–", "–" if each["round"] is None else str(each["round"])
        what = escape(_content(each["content"]))
        table.add_row(
            str(each["number"]),
            _when(each["time"]),
            escape(each["account"]),
            each["kind"],
            study[:8],
            number,
            what,
        )
    return table


def _content(content: Mapping[str, Any] | str | None) -> str:
    """A budget, the releases of a reservation, or what was disclosed."""
    if content is None or isinstance(content, str):
        return content or ""
    if "epsilon" in content:
        return f"ε {content['epsilon']:g} at δ {content['delta']:g}"
    times = "" if content["times"] == 1 else f" × {content['times']}"
    rate = "" if content["sampling_rate"] == 1 else f", rate {content['sampling_rate']:g}"
    return f"σ {content['noise_multiplier']:.4g}{times}{rate}"


def _plain(title: str) -> Table:
    """Without lines between columns, so that it fits eighty of them."""
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))


def _when(seconds: float) -> str:
    """Date and time; the bare number where a wrong clock wrote one that no calendar has."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f} s"
