"""What the hospital calls: reserve before training, settle after, and refuse what does not fit."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from client.ledger.account import Account, Releases, accountant_of
from client.ledger.book import Book, no_fault
from client.ledger.budget import Quote, check_round, check_study, quote_study
from client.ledger.entries import Budget, Entry, checked_event
from ground.errors import BudgetError, PrivacyError, UsageError
from ground.heads import Head
from privacy.accountant import Accountant, Event


class Ledger:
    """The ε book at `path`, opened and verified, made where there is none (readable by its owner alone).

    Close it, or use it in a `with`. Threads may share one; processes open one each. `now` is the clock in
    seconds since 1970; `fault` is called with a name at each point between two writes, for tests only.

    Every method raises StateError where the book is damaged, locked, or cannot be written. A method that
    returns has booked durably; one that raises has booked nothing, or has booked what counts as spent.
    """

    def __init__(
        self, path: Path, *, now: Callable[[], float] = time.time, fault: Callable[[str], None] = no_fault
    ) -> None:
        self._book = Book(path, now, fault)
        self._accounts: dict[str, Account] = {}
        self._counted = 0
        self._closed: Entry | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; the ledger is of no use afterwards."""
        self._book.close()

    def set_budget(self, account: str, epsilon: float, delta: float) -> None:
        """The most that this account may spend from now on: ε over all its studies, at δ. An entry too.

        It may be lower than what was spent: then nothing more fits. Raises UsageError unless 0 < ε < ∞ and
        0 < δ ≤ 0.01, or where the account's name is not a short printable one.
        """
        budget = Budget(float(epsilon), float(delta))
        with self._book.appending() as append:
            append(_named(account), "budget", None, None, budget)

    def budget(self, account: str) -> Budget | None:
        """The budget set last; None where no limit was set and everything is booked only."""
        return self._read(account).budget

    def check(self, account: str, study: str, cost: Accountant, *, rounds: int, per_round: Event) -> None:
        """At enrolment, before a patient is read: does the whole study fit?

        `cost` holds all releases of the study, `per_round` those of each of its `rounds` (part of `cost`).
        What this study has reserved and not settled is not counted twice; what it has settled was an earlier
        run, and counts. Raises PrivacyError with the ε asked (what
        the study alone costs at the budget's δ), the ε left, and how many of its rounds would fit.
        """
        state = self._read(account)
        self._check_open()
        check_study(state, _named(account), _digest(study), cost, rounds, per_round)

    def quote(
        self, account: str, study: str, cost: Accountant, *, rounds: int, per_round: Event
    ) -> Quote | None:
        """The same question, answered in numbers; None where the account has no budget."""
        return quote_study(self._read(account), _digest(study), cost, rounds, per_round)

    def reserve(self, account: str, study: str, round: int, event: Event) -> None:
        """Book `event` before training; from here on it is spent, whatever happens.

        An open reservation of the same event in the same round is used again and spends nothing: its reply
        never left. A settled one means that the stored reply was lost: a new attempt, booked again. Raises
        PrivacyError where the account would overrun its budget.
        """
        place, wanted = (_digest(study), _round(round)), checked_event(event)
        with self._book.appending() as append:
            state = self._state(_named(account))
            self._check_open()
            if wanted not in state.open.get(place, ()):
                check_round(state, account, study, round, wanted)
                append(account, "reserve", *place, wanted)

    def settle(self, account: str, study: str, round: int) -> None:
        """The round's reply is stored: its reservation will not be used again. Twice is once.

        Raises PrivacyError where the round was never reserved: its release is in no account.
        """
        place = (_digest(study), _round(round))
        with self._book.appending() as append:
            state = self._state(_named(account))
            if place not in state.reserved:
                raise PrivacyError(
                    f"{account}: round {round} of study {study[:12]} was never reserved: its reply stays here"
                )
            if place in state.open:
                append(account, "settle", *place, None)

    def disclose(self, account: str, study: str, round: int, what: str) -> None:
        """An exact count or metric that leaves in the clear, outside any ε; `what` is its name alone.

        The same one of the same round is one entry, however often it is named.
        """
        place = (_digest(study), _round(round))
        if not (0 < len(what) <= 200 and what.isprintable()):
            raise ValueError("what is disclosed needs a short printable name")
        with self._book.appending() as append:
            if (*place, what) not in self._state(_named(account)).disclosed:
                append(account, "disclose", *place, what)

    def close_book(self, account: str, why: str) -> None:
        """From here on nothing is spent from any account, until `open_book`; `why` is one short line.

        For a book that was put back from a backup: what was booked after the backup is not in it.
        Reservations that were open in it are not used again, since their replies may have left. Closed twice
        is once.
        """
        with self._book.appending() as append:
            self._count()
            if self._closed is None:
                append(_named(account), "close", None, None, _line(why))

    def lose(self, account: str, study: str | None, event: Event) -> None:
        """Book what may have been released after the backup, whatever the budget says."""
        name, number = (None, None) if study is None else (_digest(study), 0)
        with self._book.appending() as append:
            append(_named(account), "lost", name, number, checked_event(event))

    def open_book(self, account: str, how: str) -> None:
        """A person has said what was lost: from here on the book spends again. An open one stays as it is."""
        with self._book.appending() as append:
            self._count()
            if self._closed is not None:
                append(_named(account), "open", None, None, _line(how))

    def closed(self) -> Entry | None:
        """The entry that closed the book; None of one that is open."""
        with self._book.reading():
            self._count()
            return self._closed

    def booked(self, account: str, study: str) -> Releases:
        """All releases of that study so far, those that may be lost included."""
        return Releases(self._read(account).booked.get(_digest(study), {}))

    def spent(self, account: str) -> Accountant:
        """All reserved and settled events, like ones merged and sorted: equal histories cost equal ε."""
        return accountant_of(self._read(account).spent())

    def accounts(self) -> list[str]:
        """The names of all accounts with an entry, sorted."""
        with self._book.reading():
            self._count()
            return sorted(self._accounts)

    def history(self, account: str | None = None) -> list[Entry]:
        """All entries, or those of one account, oldest first."""
        with self._book.reading():
            return [entry for entry in self._book.entries if account in (None, entry.account)]

    def head(self) -> Head:
        """How many entries, and the digest of the last: a copy kept elsewhere shows whether all are there."""
        with self._book.reading():
            return self._book.head()

    def verify(self) -> int:
        """Read the whole chain again; the number of entries. Raises StateError naming the entry at fault."""
        return self._book.verify()

    def _read(self, account: str) -> Account:
        with self._book.reading():
            return self._state(_named(account))

    def _state(self, account: str) -> Account:
        """The account as the book has it now; an empty one where it has none."""
        self._count()
        return self._accounts.get(account, Account())

    def _count(self) -> None:
        """Add to the accounts the entries that were read since."""
        for entry in self._book.entries[self._counted :]:
            self._accounts.setdefault(entry.account, Account()).add(entry)
            if entry.kind in ("close", "open"):
                self._closed = entry if entry.kind == "close" else None
                for account in self._accounts.values():
                    account.forget_open()
        self._counted = len(self._book.entries)

    def _check_open(self) -> None:
        """Raises BudgetError while the book is closed."""
        if self._closed is not None:
            raise BudgetError(
                f"the epsilon book is closed ({self._closed.content}): what was spent since is not in it; a "
                "person at the hospital says what may be lost: `laennec hospital reopen`"
            )


def _line(text: str) -> str:
    """The text; raises ValueError unless it is one short printable line."""
    if not (0 < len(text) <= 500 and text.isprintable()):
        raise ValueError("one printable line of at most 500 characters")
    return text


def _named(account: str) -> str:
    """The name; raises UsageError unless it is printable, of 1 to 64 characters, without space around it."""
    if not (0 < len(account) <= 64 and account.isprintable() and account == account.strip()):
        raise UsageError("an account's name has 1 to 64 printable characters: give the cohort's name")
    return account


def _digest(study: str) -> str:
    """The digest; raises ValueError where it is not one."""
    if not re.fullmatch("[0-9a-f]{1,128}", study):
        raise ValueError("a study is named by its hex digest")
    return study


def _round(number: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError(f"a round is an integer from 0, got {number}")
    return number
