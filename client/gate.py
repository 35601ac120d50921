"""The one gate: nothing leaves the hospital but a `Reply` that passed here.

It checks what a mistake elsewhere would break: that a private study's vector carries its noise, that every
value is finite, that no count or metric leaves unless this hospital discloses them, that an error carries
our own words and nothing else.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from client.hospital import Settings
from ground.arrays import all_finite
from ground.errors import (
    BudgetError,
    DataError,
    FederationError,
    LaennecError,
    PrivacyError,
    StateError,
)
from privacy.plan import PrivacyPlan
from tasks.learners.contract import Contribution
from tasks.messages import Instruction, Reply

# Errors whose words are the hospital's own, and what others are told instead.
ITS_OWN: dict[type[LaennecError], str] = {
    DataError: "its data does not fit the task",
    BudgetError: "its epsilon book refuses the study",
    StateError: "its saved state cannot be used",
}
COUNTING = ("enrol", "count")


def least_noise(plan: PrivacyPlan, instruction: Instruction, shares: int) -> float:
    """The standard deviation that a value of this hospital's vector must carry, at the least.

    `shares` is how many shares of distributed noise are sure to be in the sum.
    """
    shares = shares if plan.noise == "distributed" else 1
    if instruction.phase in COUNTING:
        return float(plan.count_noise_multiplier / np.sqrt(shares))
    return float(plan.noise_multiplier * plan.clip / np.sqrt(shares))


def check(
    contribution: Contribution, plan: PrivacyPlan | None, instruction: Instruction, shares: int
) -> None:
    """Raises PrivacyError where a private vector lacks its noise or a bound, FederationError on NaN or ∞."""
    if not all_finite(contribution.vector):
        raise FederationError(
            f"round {instruction.round}: training left the finite numbers: lower the learning rate"
        )
    if plan is None:
        return
    if not np.isfinite(contribution.bound) or contribution.releases < 1:
        raise PrivacyError("a private study's update has no bound: it stays here")
    unit = 1.0 if instruction.phase in COUNTING else plan.clip
    least = least_noise(plan, instruction, shares) * max(1.0, contribution.bound / unit)
    if not contribution.noise >= least * (1 - 1e-9):  # so written, NaN is refused too
        raise PrivacyError("a private study's update lacks its noise: it stays here")


def let_out(reply: Reply, settings: Settings) -> Reply:
    """The reply without what this hospital does not disclose."""
    if settings.discloses:
        return reply
    return replace(reply, metrics={}, patients=None, quarantined=None)


def refusal(error: Exception, instruction: Instruction, settings: Settings) -> Reply:
    """A reply that says why not: our own errors in their words, any other only by its kind.

    A foreign exception's text may quote a cell of a table, so it is written nowhere but in the local log.
    What is wrong with the data, and with how many patients, is said only where the hospital discloses it.
    """
    kind = type(error).__name__ if isinstance(error, LaennecError) else "FederationError"
    private = (
        None if settings.discloses else next((w for k, w in ITS_OWN.items() if isinstance(error, k)), None)
    )
    if private is not None:
        text = f"{private}: {_log_of(settings)}"
    elif isinstance(error, LaennecError):
        text = str(error)
    else:
        text = f"it failed with {type(error).__name__}: {_log_of(settings)}"
    return Reply(settings.name, instruction.phase, instruction.digest, instruction.round, error=(kind, text))


def _log_of(settings: Settings) -> str:
    """Where a person finds more; the path only where the reader is the machine's owner."""
    if settings.home is None or not settings.discloses:
        return "its own log has the details"
    return f"see {settings.home / 'log'}"
