"""What a restored home may be missing, reckoned from the safe side."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from client.ledger.account import Releases, accountant_of, releases_of
from client.ledger.entries import Budget
from ground.errors import StateError, UsageError
from ground.heads import Head
from privacy.accountant import Event
from tasks.study import Study

# What one sum may leave in the book: reserved and settled. A study has two sums that are not rounds.
ENTRIES_A_SUM, OTHER_SUMS = 2, 2
FEWEST_DIGITS = 16


@dataclass(frozen=True)
class Evidence:
    """What a person knows about the time after the backup.

    Attributes:
        ledger: the newest head of the ε book, kept elsewhere; None where nobody kept one.
        journal: the same of the journal.
        ran: studies that may have run here and that the backup knows nothing of.
        never_ran: beginnings of digests of studies that were approved and certainly did not run since.
        budget_is_spent: that what was spent cannot be told, and the whole budget is to count as spent.

    """

    ledger: Head | None = None
    journal: Head | None = None
    ran: tuple[Study, ...] = ()
    never_ran: tuple[str, ...] = ()
    budget_is_spent: bool = False


@dataclass(frozen=True)
class Possible:
    """A study that may have gone on after the backup, and its releases that are not in the book."""

    digest: str
    name: str
    releases: Releases
    rounds: int


@dataclass(frozen=True)
class Loss:
    """What is booked and taken back when the home opens again.

    Attributes:
        entries: how many entries of the book are missing; None where nobody can tell.
        lines: the same of the journal.
        studies: what may have run, whose missing releases are booked.
        to_budget: one Gaussian release that brings the account to its budget; None unless asked for.
        revoked: digests whose approvals count no longer.
        before: ε in the book at its δ.
        after: ε once the loss is booked.
        delta: that δ.

    """

    entries: int | None
    lines: int | None
    studies: tuple[Possible, ...]
    to_budget: Event | None
    revoked: tuple[str, ...]
    before: float
    after: float
    delta: float

    @property
    def nothing(self) -> bool:
        """Whether heads say that neither book nor journal lacks anything."""
        return self.entries == 0 and self.lines == 0


def head_from(text: str) -> Head:
    """NUMBER DIGEST as `budget` and `journal` print it, at least 16 digits of it; raises UsageError."""
    found = re.fullmatch(rf"(0|[1-9][0-9]{{0,17}})\s+([0-9a-f]{{{FEWEST_DIGITS},64}})…?", text.strip())
    if found is None:
        raise UsageError(f'a head is a number and a digest, as in "12 0a1b…", {FEWEST_DIGITS} digits or more')
    return Head(int(found[1]), found[2])


def missing(kept: Head | None, digests: Sequence[str], last: int, what: str) -> int | None:
    """How many entries come after entry `last` of a chain with these digests, by the head that was kept.

    None where the head tells nothing: there is none, or it is older than the backup. Raises StateError where
    it is of another chain, UsageError where it is of what was written after the home was put back.
    """
    if kept is None:
        return None
    if kept.number <= len(digests) and kept.number > 0:
        same = digests[kept.number - 1].startswith(kept.digest)
        if same and kept.number > last:
            raise UsageError(
                f"this head of the {what} was written after the home was put back and says nothing about "
                "what came before: give the last one that was kept before the loss"
            )
        if not same and kept.number <= last:
            raise StateError(
                f"entry {kept.number} of the {what} is not the one of that head: this is not a copy of the "
                f"{what} whose head you kept: find out where it comes from before you let it answer"
            )
    return kept.number - last if kept.number >= last else None


def possible(study: Study, cost: Sequence[Event], booked: Releases) -> Possible:
    """That study as if it had run to its end once: its releases that are not in the book yet."""
    return Possible(study.digest, study.name, releases_of(*cost) - booked, study.rounds)


def check_explained(entries: int | None, studies: Sequence[Possible]) -> None:
    """Raises UsageError where more is missing than these studies can have written."""
    most = sum(ENTRIES_A_SUM * (each.rounds + OTHER_SUMS) for each in studies)
    if entries is not None and entries > most:
        known = ", ".join(f"{each.name} ({each.digest[:8]})" for each in studies) or "none"
        raise UsageError(
            f"{entries} entries of the book are missing, and the studies that may have run explain {most} "
            f"({known}): name the others with --ran STUDY.toml, or give --budget-is-spent"
        )


def up_to(budget: Budget | None, spent: Releases) -> Event | None:
    """One Gaussian release after which the account has spent its budget; of no budget, everything.

    The book never let more than the budget be spent, so this is the most that can be lost at the budget's δ.
    """
    if budget is None:
        return Event(1.0, 0.0)
    if accountant_of(spent).epsilon(budget.delta) >= budget.epsilon:
        return None

    def epsilon(noise: float) -> float:
        together = Releases(spent)
        together[1.0, noise] += 1
        return accountant_of(together).epsilon(budget.delta)

    above = 1000.0
    while epsilon(above) < budget.epsilon:  # ε grows as the noise shrinks
        above /= 2.0
    below = above * 2.0
    while below / above > 1.0 + 1e-4:
        middle = math.sqrt(above * below)
        above, below = (middle, below) if epsilon(middle) >= budget.epsilon else (above, middle)
    return Event(1.0, above)
