"""One clipped gradient sum a round, with the noise distributed over the hospitals.

Every hospital sums its patients' clipped gradients at the incoming model and adds its share of the noise;
only the sum over hospitals carries all of it (distributed DP; Kairouz, Liu and Steinke, ICML 2021, with a
plain Gaussian). The coordinator takes one step: DP-SGD (Abadi et al. 2016) over the union of the patients,
as if they were in one place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ground.arrays import Array
from ground.errors import PrivacyError
from privacy.gradients import PatientGradients, add_noise
from tasks.learners.contract import Contribution, State, Total, Visit
from tasks.learners.gradient import GradientLearner
from tasks.learners.mixing import share_of, with_digital
from tasks.learners.model import (
    generator_from,
    learning_batch,
    model_from,
    moving,
    places,
    seed_from,
    torch_seed,
)


@dataclass(frozen=True)
class GradientSum(GradientLearner):
    """The learner of a private study with distributed noise."""

    def contribute(self, visit: Visit) -> tuple[Contribution, dict[str, Array]]:
        """The noisy sum of clipped gradients of those patients whom Poisson sampling takes."""
        plan = visit.plan
        if plan is None:
            raise PrivacyError("a clipped gradient sum needs a privacy plan: use local training without one")
        model = model_from(self.task, visit.published["model"]).train()
        chosen = visit.stream.chosen(len(visit.patients), plan.sampling_rate)
        with torch_seed(seed_from(visit.stream)), moving(model, self.study.trains):
            rows = np.repeat(chosen, self.study.views)
            batch = learning_batch(self.task, visit.patients, rows, generator_from(visit.stream))
            with PatientGradients(model, self.task.loss) as gradients:
                total = gradients.clipped_sum(*batch, plan.clip, step=visit.step, views=self.study.views)
                total = with_digital(total, self.task, gradients, visit, plan)
        total, confined = total.within(visit.box)
        noisy = add_noise(total, plan.noise_multiplier, visit.shares, visit.stream, in_place=True)
        kept = self.strategy.personalise(self.task, self.study.training, visit)
        # Whole steps need the bits that float32 lacks.
        vector = noisy.vector if visit.step else noisy.vector.astype(np.float32)
        return Contribution(vector, noisy.noise, noisy.bound, releases=1, confined=confined), kept

    def combine(self, state: State, total: Total) -> State:
        """One step against the mean gradient: the sum over q times the noisy count of patients.

        Digital patients are counted too, exactly: those of the hospitals that are in the sum.
        """
        plan = self.study.plan()
        if plan is None:
            raise PrivacyError("a clipped gradient sum needs a privacy plan")
        chosen = places(self.task, self.study.trains)
        if total.vector.shape != (chosen.sum(),):
            raise ValueError(f"a sum of shape {total.vector.shape} for {chosen.sum()} parameters")
        patients = max(1.0, float(state.slots["patients"][0])) + total.hospitals * share_of(state.slots)
        divisor = plan.sampling_rate * patients
        moved = np.multiply(total.vector, -self.study.learning_rate, out=total.vector)
        np.divide(moved, divisor, out=moved)
        if chosen.all():
            return self.strategy.update(state, moved, self.study.training, spare=True)
        step = np.zeros(chosen.shape, dtype=moved.dtype)
        step[chosen] = moved
        return self.strategy.update(state, step, self.study.training, spare=True)
