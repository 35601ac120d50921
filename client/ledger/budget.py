"""Does it fit? What a study or a round asks of an account, against what the hospital allows."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

from client.ledger.account import Account, Releases, accountant_of, releases_of
from client.ledger.entries import Budget
from ground.errors import BudgetError
from privacy.accountant import Accountant, Event

# ε by PLD wobbles by rounding in its order of summation: so much beyond the budget, relative to it, is equal.
TOLERANCE = 1e-6


def up(epsilon: float) -> str:
    """What was spent or asked, to three decimals and never less than it is."""
    return "∞" if math.isinf(epsilon) else f"{math.ceil(epsilon * 1000 * (1 - TOLERANCE)) / 1000:.3f}"


def down(epsilon: float) -> str:
    """What is left, to three decimals and never more than it is."""
    return f"{math.floor(max(0.0, epsilon) * 1000 * (1 + TOLERANCE)) / 1000:.3f}"


def cost(releases: Releases, budget: Budget) -> float:
    """ε of these releases together, at the budget's δ, by PLD."""
    return accountant_of(releases).epsilon(budget.delta)


def left(spent: Releases, budget: Budget) -> float:
    """The ε between what was spent and the budget; 0 where it is used up."""
    return max(0.0, budget.epsilon - cost(spent, budget))


@dataclass(frozen=True)
class Quote:
    """What a study would cost an account, all at the budget's δ.

    Attributes:
        asked: ε of the study alone.
        left: ε between what others have spent and the budget.
        together: ε of others and the study; less than their sum, since ε composes.
        fits: how many of its rounds fit the budget.
        budget: the account's.

    """

    asked: float
    left: float
    together: float
    fits: int
    budget: Budget


def quote_study(
    account: Account, study: str, terms: Accountant, rounds: int, per_round: Event
) -> Quote | None:
    """What the study run to its end would cost; None where the account has no budget.

    `terms` are all its releases, `per_round` those of each of its `rounds`. What it has reserved and not
    settled is part of them, since it will be used again; what it has settled was an earlier run.
    """
    budget = account.budget
    if budget is None:
        return None
    asked, each = releases_of(*terms.events), releases_of(per_round)
    reserved = account.open_of(study)
    others = account.spent() - reserved

    def together(number: int) -> Releases:
        skipped = Releases({kind: times * (rounds - number) for kind, times in each.items()})
        return others + (reserved | (asked - skipped))

    fits = rounds
    if not _fits(together(rounds), budget):
        # The more rounds, the more ε: the first number of rounds that does not fit, and one less does.
        first = bisect_left(range(rounds), True, key=lambda number: not _fits(together(number), budget))
        fits = max(0, first - 1)
    return Quote(cost(asked, budget), left(others, budget), cost(together(rounds), budget), fits, budget)


def check_study(
    account: Account, name: str, study: str, terms: Accountant, rounds: int, per_round: Event
) -> None:
    """Raises BudgetError where the study run to its end would overrun the budget of account `name`."""
    quote = quote_study(account, study, terms, rounds, per_round)
    if quote is None or quote.fits == rounds:
        return
    raise _refusal(
        f"{name}: study {study[:12]}",
        asked=quote.asked,
        left=quote.left,
        together=quote.together,
        fits=f"{quote.fits or 'none'} of its {rounds} rounds",
        budget=quote.budget,
        account=name,
    )


def check_round(account: Account, name: str, study: str, number: int, event: Event) -> None:
    """Raises BudgetError where this one event more would overrun the budget of account `name`."""
    budget = account.budget
    if budget is None:
        return
    together = account.spent() + releases_of(event)
    if not _fits(together, budget):
        raise _refusal(
            f"{name}: round {number} of study {study[:12]}",
            asked=cost(releases_of(event), budget),
            left=left(account.spent(), budget),
            together=cost(together, budget),
            fits="no further round",
            budget=budget,
            account=name,
        )


def _fits(releases: Releases, budget: Budget) -> bool:
    return cost(releases, budget) <= budget.epsilon * (1.0 + TOLERANCE)


def _refusal(
    who: str, *, asked: float, left: float, together: float, fits: str, budget: Budget, account: str
) -> BudgetError:
    """The one line that a refused study gets. ε composes, so `together` is less than the sum of its parts."""
    return BudgetError(
        f"{who} asks for epsilon {up(asked)} and {down(left)} is left of the budget of {budget.epsilon:g} at "
        f"delta {budget.delta:g} (together {up(together)}): {fits} would fit: ask for fewer rounds or more "
        f"noise, or raise it with `laennec hospital budget --home HOME --account {account} --set EPSILON`"
    )
