"""ComBat's shared parameters as a statistics learner: one round, one sum.

The sum holds second moments within hospitals, and a private study bounds what a patient does to them: her
row r = (x, z)/√(columns), in units of a published reference, is clipped to norm 1. One patient more changes
(n, Σr) by at most √2, and the moments by n/(n+1)·ddT with d her row less the others' mean, so by ‖d‖² ≤ 4:
together by √18.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ground.arrays import Array, Arrays
from ground.errors import PrivacyError
from privacy.gradients import ClippedSum, add_noise
from tasks.harmonisation.combat import Floats, Shared, shared, sums
from tasks.learners.contract import Contribution, State, Total, Visit
from tasks.patients import Patients, PooledPatients

SENSITIVITY = 18.0**0.5


@dataclass(frozen=True)
class Combat:
    """The learner: one round.

    Attributes:
        measurements: how many.
        covariates: how many.
        tables: patients of one hospital -> (measurements, covariates), (patient, column) each. Sensitive.
        unit: in a private study what the clip stands for; 0 without privacy.

    """

    measurements: int
    covariates: int
    tables: Callable[[Patients], tuple[Floats, Floats]] = field(repr=False)
    unit: float = 0.0

    def begin(self, watch: Callable[[int, int], None] = lambda *_: None) -> State:  # noqa: ARG002
        """Nothing is known yet."""
        return State(np.zeros(0, dtype=np.float32))

    def publish(self, state: State) -> dict[str, Array]:
        """What is known: α, β flat, σ; nothing before the first round."""
        return {
            name: values for name, values in state.slots.items() if name in ("mean", "slopes", "deviation")
        }

    def model_at_hospital(self, published: Mapping[str, Array], memory: Arrays) -> Array:  # noqa: ARG002
        """There is no model: an empty vector."""
        return np.zeros(0, dtype=np.float32)

    def contribute(self, visit: Visit) -> tuple[Contribution, dict[str, Array]]:
        """This hospital's sums, noisy in a private study; raises PrivacyError in a secure sum."""
        hospitals = visit.patients.groups if isinstance(visit.patients, PooledPatients) else (visit.patients,)
        plan = visit.plan
        if plan is None:
            return Contribution(np.sum([sums(*self.tables(each)) for each in hospitals], axis=0)), {}
        if visit.step or plan.sampling_rate != 1.0 or len(hospitals) != 1:
            raise PrivacyError(
                "harmonisation sums moments within a hospital, which are no sum of patients' parts: "
                "with privacy set secure-aggregation = false and sampling-rate = 1"
            )
        values, covariates = self.tables(visit.patients)
        rows = np.nan_to_num(np.hstack([values, covariates])) / np.sqrt(self.measurements + self.covariates)
        rows /= np.maximum(1.0, np.linalg.norm(rows, axis=1, keepdims=True))
        size = plan.clip / SENSITIVITY
        exact = ClippedSum(size * sums(rows[:, : self.measurements], rows[:, self.measurements :]), plan.clip)
        exact, confined = exact.within(visit.box)
        shares = visit.shares if plan.noise == "distributed" else 1
        noisy = add_noise(exact, plan.noise_multiplier, shares, visit.stream)
        return Contribution(noisy.vector, noisy.noise, noisy.bound, releases=1, confined=confined), {}

    def combine(self, state: State, total: Total) -> State:
        """α, β and σ of the sum."""
        vector = total.vector
        columns = self.measurements + self.covariates
        if self.unit:
            vector = vector * (SENSITIVITY / self.unit)
            vector[1 : 1 + columns] *= np.sqrt(columns)
            vector[1 + columns :] *= columns
        found = shared(vector, self.measurements, self.covariates)
        return state.with_slots(mean=found.mean, slopes=found.slopes.reshape(-1), deviation=found.deviation)

    def known(self, published: Mapping[str, Array]) -> Shared:
        """What was published, as a hospital uses it."""
        slopes = np.asarray(published["slopes"], dtype=np.float64).reshape(self.covariates, -1)
        return Shared(np.asarray(published["mean"]), slopes, np.asarray(published["deviation"]))
