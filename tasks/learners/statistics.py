"""Sums of statistics: how many patients there are, means, histograms of strata, cross-products.

Each patient gives a vector of L2 norm at most `bound`; a hospital gives the sum over its patients with
Gaussian noise; the coordinator keeps the sum of the sums in a slot of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ground.arrays import Array, Arrays
from privacy.gradients import ClippedSum, add_noise, clip_rows, whole_rows
from tasks.learners.contract import Contribution, State, Total, Visit
from tasks.patients import Patients


@dataclass(frozen=True)
class Statistics:
    """One sum over all patients.

    Attributes:
        slot: the name under which the coordinator keeps the sum.
        statistic: patients -> shape (patient, value).
        bound: L2 norm to which each patient's row is clipped.
        derived: what else is known once the sum is, by slot: shape (value,) each. It is post-processing.

    """

    slot: str
    statistic: Callable[[Patients], Tensor]
    bound: float
    derived: Callable[[Array], dict[str, Array]] = lambda _: {}

    def begin(self, watch: Callable[[int, int], None] | None = None) -> State:  # noqa: ARG002
        """Nothing is known yet."""
        return State(np.zeros(0, dtype=np.float32))

    def publish(self, state: State) -> dict[str, Array]:  # noqa: ARG002
        """Nothing needs to be sent."""
        return {}

    def contribute(self, visit: Visit) -> tuple[Contribution, dict[str, Array]]:
        """The noisy sum; a hospital keeps its own, which its local training divides by."""
        rows = clip_rows(self.statistic(visit.patients).to(torch.float64), self.bound)
        exact = ClippedSum(whole_rows(rows, visit.step).sum(dim=0).numpy(), self.bound, step=visit.step)
        plan = visit.plan
        if plan is None:
            return Contribution(exact.vector), self._kept(exact.vector)
        shares = visit.shares if plan.noise == "distributed" else 1
        exact, confined = exact.within(visit.box)
        noisy = add_noise(exact, plan.count_noise_multiplier, shares, visit.stream)
        given = Contribution(noisy.vector, noisy.noise, noisy.bound, releases=1, confined=confined)
        return given, self._kept(noisy.vector)

    def combine(self, state: State, total: Total) -> State:
        """The total in its slot."""
        return state.with_slots(**self._kept(total.vector))

    def _kept(self, vector: Array) -> dict[str, Array]:
        """A copy, since a vector that leaves may be overwritten by its masked words."""
        values = np.array(vector, dtype=np.float64)
        return {self.slot: values, **self.derived(values)}

    def model_at_hospital(self, published: Mapping[str, Array], memory: Arrays) -> Array:  # noqa: ARG002
        """There is no model: an empty vector."""
        return np.zeros(0, dtype=np.float32)


def count_of_patients() -> Statistics:
    """How many patients there are: the public divisor of a private study, itself released with noise."""
    return Statistics("patients", lambda patients: torch.ones(len(patients), 1), bound=1.0)
