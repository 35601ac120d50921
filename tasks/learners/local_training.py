"""Local steps at every hospital, then the weighted mean of what changed.

Without privacy this is FedAvg (McMahan et al. 2017) with full-batch steps, and the family built on it. With
noise = "local" every step is one of DP-SGD (Abadi et al. 2016; per-patient gradients by Opacus): the hospital
adds the whole noise itself, so its update is private whoever reads it. What is done with the noisy gradient
afterwards (proximal terms, control variates, averaging) is post-processing and costs nothing.

The vector that leaves is (weight · payload, weight), so that a sum over hospitals gives the weighted mean;
the weight is the number of training patients, or under privacy the noisy count that was paid for, and in
both cases the number of digital ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ground.arrays import Array, flatten, unflatten
from privacy.gradients import PatientGradients, add_noise
from privacy.plan import PrivacyPlan
from tasks.learners.contract import Contribution, State, Total, Visit
from tasks.learners.gradient import GradientLearner
from tasks.learners.mixing import mixed, with_digital
from tasks.learners.model import (
    generator_from,
    learning_batch,
    mean_gradient,
    model_from,
    moving,
    places,
    seed_from,
    torch_seed,
    vector_of,
)
from tasks.learners.optimisers import optimiser_for


@dataclass(frozen=True)
class LocalTraining(GradientLearner):
    """The learner of a study without privacy, or with noise added at each hospital."""

    def contribute(self, visit: Visit) -> tuple[Contribution, dict[str, Array]]:
        """Weighted change of the model after this hospital's steps, with the strategy's own payload."""
        training = self.study.training
        weight = self._weight(visit)
        with torch_seed(seed_from(visit.stream)):
            end, moments = self._descend(visit, weight)
        payload, kept = self.strategy.settle(training, visit, end)
        personal = self.strategy.personalise(self.task, training, visit)
        vector = np.append(flatten(payload) * np.float32(weight), np.float32(weight))
        plan = visit.plan
        if plan is None:
            return Contribution(vector), {**kept, **personal, **moments}
        releases = training.local_steps
        noise = plan.noise_multiplier * plan.clip
        return Contribution(vector, noise, plan.clip, releases), {**kept, **personal}

    def combine(self, state: State, total: Total) -> State:
        """The strategy's update on the weighted mean of the payloads, in the memory of their sum."""
        weight = float(total.vector[-1])
        payloads = total.vector[:-1]
        mean = unflatten(np.divide(payloads, weight, out=payloads), self.strategy.payload_like(state))
        change = mean.pop("model")
        state = self.strategy.absorb(state, mean)
        return self.strategy.update(state, change, self.study.training, spare=True)

    def _weight(self, visit: Visit) -> float:
        """How many patients this hospital counts as, its digital ones among them."""
        digital = 0 if visit.digital is None else len(visit.digital.patients)
        if visit.plan is None:
            return float(len(visit.patients) + digital)
        return max(1.0, float(visit.memory["patients"][0])) + digital

    def _descend(self, visit: Visit, weight: float) -> tuple[Array, dict[str, Array]]:
        """Where this hospital's steps lead from the published model, flat, shape (parameter,); moments."""
        study = self.study
        model = model_from(self.task, visit.published["model"]).train()
        generator = generator_from(visit.stream)
        patients = mixed(visit)
        everyone = np.arange(len(patients), dtype=np.int64)
        free = visit.plan is None
        optimiser = optimiser_for(study.training.optimiser if free else "sgd", model, visit.memory)
        for number in range(study.training.local_steps):
            if visit.plan is None:
                batch = learning_batch(self.task, patients, everyone, generator)
                gradient = mean_gradient(self.task, model, *batch).numpy()
            else:
                gradient = self._private_gradient(model, visit, visit.plan, weight, generator, number)
            gradient = gradient + self._correction(vector_of(model), visit)
            done = visit.done + number / (study.rounds * study.training.local_steps)
            optimiser.step(gradient, study.falling(done))
        return vector_of(model), optimiser.memory()

    def _correction(self, here: Array, visit: Visit) -> Array | float:
        """What is added to each gradient at the parameters `here`."""
        return self.strategy.correction(self.study.training, here, visit)

    def _private_gradient(
        self,
        model: torch.nn.Module,
        visit: Visit,
        plan: PrivacyPlan,
        weight: float,
        generator: torch.Generator,
        number: int,
    ) -> Array:
        """The noisy mean gradient of one step: all of the noise is this hospital's own."""
        chosen = visit.stream.chosen(len(visit.patients), plan.sampling_rate)
        rows = np.repeat(chosen, self.study.views)
        batch = learning_batch(self.task, visit.patients, rows, generator)
        with moving(model, self.study.trains), PatientGradients(model, self.task.loss) as gradients:
            total = gradients.clipped_sum(*batch, plan.clip, views=self.study.views)
            total = with_digital(total, self.task, gradients, visit, plan, number)
        noisy = add_noise(total, plan.noise_multiplier, 1, visit.stream, in_place=True)
        gradient = np.zeros(visit.published["model"].shape)
        gradient[places(self.task, self.study.trains)] = noisy.vector / (plan.sampling_rate * weight)
        return gradient
