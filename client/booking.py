"""What a round costs, entered in the hospital's ε book; nothing where it has no home to keep one in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from client.hospital import Settings
from client.ledger import BOOK, Ledger
from client.ledger.account import accountant_of
from ground.errors import BudgetError
from privacy.accountant import Accountant, Event
from privacy.plan import PrivacyPlan
from tasks.messages import Reply
from tasks.study import Study


@dataclass(frozen=True)
class Booking:
    """One hospital's account, open while an instruction is answered."""

    ledger: Ledger | None
    account: str

    def check(self, study: Study, plan: PrivacyPlan | None) -> None:
        """Raises BudgetError where the whole study does not fit the hospital's budget.

        A study without privacy fits none. A budget under another name than this hospital's is a mistake that
        would let everything pass: it is refused too.
        """
        if self.ledger is None:
            return
        if self.ledger.budget(self.account) is None:
            budgeted = [name for name in self.ledger.accounts() if self.ledger.budget(name) is not None]
            if budgeted:
                raise BudgetError(
                    f"the book has a budget for {', '.join(budgeted)} and none for {self.account}, whose "
                    f"patients are asked for: set one with --account {self.account}"
                )
        cost, per_round = terms_of(study, plan)
        self.ledger.check(self.account, study.digest, cost, rounds=study.rounds, per_round=per_round)

    def spent_on(self, study: Study) -> Accountant | None:
        """What that study alone has cost so far; None where no book is kept."""
        if self.ledger is None:
            return None
        return accountant_of(self.ledger.booked(self.account, study.digest))

    def reserve(self, study: Study, number: int, event: Event | None) -> None:
        """Before a patient is read: spent from here on."""
        if self.ledger is not None and event is not None:
            self.ledger.reserve(self.account, study.digest, number, event)

    def settle(self, study: Study, number: int, event: Event | None) -> None:
        """After the reply was stored."""
        if self.ledger is not None and event is not None:
            self.ledger.settle(self.account, study.digest, number)

    def disclose(self, study: Study, number: int, reply: Reply) -> None:
        """Exact numbers that the reply carries in the clear."""
        if self.ledger is None:
            return
        if reply.patients is not None and reply.phase == "enrol":
            self.ledger.disclose(self.account, study.digest, number, "number of patients")
        if reply.metrics:
            self.ledger.disclose(self.account, study.digest, number, "metrics on test patients")


def terms_of(study: Study, plan: PrivacyPlan | None) -> tuple[Accountant, Event]:
    """All releases of the study run to its end, and those of each of its rounds among them."""
    per_round = Event(1.0, 0.0) if plan is None else plan.step_event(plan.steps // study.rounds)
    releases = study.rounds + int(study.fills)  # the count of strata is one more
    return Accountant((replace(per_round, times=releases),)) if plan is None else plan.cost(), per_round


@contextmanager
def open_book(settings: Settings) -> Iterator[Booking]:
    """The hospital's account in the book of its home."""
    if settings.home is None:
        yield Booking(None, "")
        return
    with Ledger(settings.home / BOOK) as ledger:
        yield Booking(ledger, settings.account)
