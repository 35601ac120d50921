"""Learning a model of blocks of which not every hospital can train each: missing channels first-class.

A block is a set of parameters that some patients train and others cannot: the encoder and decoder of a
channel are trained by those who have that channel. What a hospital sends of a block is weighted by its
patients who trained it, and these weights stand in the same vector, one a block, so that the sum, masked or
not, gives each block's mean over those who really trained it. Of a block that nobody at a hospital can train
it sends zeros of weight zero.

In a private study each patient's clipped vector holds her gradient and the indicator of the blocks that she
trains, together of norm C: one noisy sum of both, accounted as one release. The coordinator takes one step
against the mean gradient of each block, over the noisy number of those who have it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ground.arrays import Array, flatten, unflatten
from ground.errors import StudyError
from privacy.gradients import ClippedSum, PatientGradients, add_noise, whole_rows
from privacy.plan import PrivacyPlan
from tasks.contract import Task
from tasks.learners.contract import Contribution, Learner, State, Total, Visit
from tasks.learners.gradient import GradientLearner
from tasks.learners.local_training import LocalTraining
from tasks.learners.model import (
    generator_from,
    learning_batch,
    model_from,
    moving,
    places,
    seed_from,
    torch_seed,
)
from tasks.learners.strategies import STRATEGIES
from tasks.patients import Patients
from tasks.study import Study

# The part of a patient's norm that says which blocks she trains; the rest is left for her gradient.
INDICATOR = 0.2
# Published: how many patients train each block, as far as the noisy sums tell.
BLOCKS = "blocks"

Trains = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Which parameters belong together, and who trains them.

    Attributes:
        names: of the blocks.
        of: the block of each trainable parameter's value, shape (parameter,).
        trains: (inputs, targets) -> which blocks each patient trains, shape (patient, block), 0 or 1.
        shrinks: strength of the L2 penalty on each value, shape (parameter,); 0 where there is none. Of
            studies without privacy alone: beside clipped gradients it would outweigh them.

    """

    names: tuple[str, ...]
    of: npt.NDArray[np.int64]
    trains: Trains
    shrinks: Array

    def count(self, patients: Patients) -> Array:
        """How many of these patients train each block, shape (block,), float32."""
        everyone = np.arange(len(patients), dtype=np.int64)
        batch = patients.batch(everyone, torch.Generator().manual_seed(0))
        return self.trains(*batch).sum(dim=0).numpy().astype(np.float32)


def block_learner(task: Task, study: Study, blocks: Blocks) -> Learner:
    """Local steps without privacy, one noisy sum a round with it; raises StudyError for any other study."""
    strategy = STRATEGIES[study.training.strategy]
    if study.privacy is None:
        return BlockTraining(task, study, strategy, blocks)
    if study.privacy.noise != "distributed":
        raise StudyError(f'task {study.task} learns privately with noise = "distributed" alone: set it')
    return BlockSum(task, study, strategy, blocks)


@dataclass(frozen=True)
class BlockTraining(LocalTraining):
    """Local steps, then each block's mean over those who trained it. Sends (Σ_b w_b·payload, w)."""

    blocks: Blocks

    def contribute(self, visit: Visit) -> tuple[Contribution, dict[str, Array]]:
        """The change after this hospital's steps, each block weighted by its patients who trained it."""
        training, weights = self.study.training, self.blocks.count(visit.patients)
        with torch_seed(seed_from(visit.stream)):
            end, moments = self._descend(visit, float(len(visit.patients)))
        untrained = weights[self.blocks.of] == 0
        end = np.where(untrained, visit.published["model"], end)  # whatever a penalty did there
        payload, kept = self.strategy.settle(training, visit, end)
        personal = self.strategy.personalise(self.task, training, visit)
        each = np.tile(weights[self.blocks.of], len(payload))
        vector = np.concatenate([flatten(payload) * each, weights]).astype(np.float32)
        return Contribution(vector), {**kept, **personal, **moments}

    def _correction(self, here: Array, visit: Visit) -> Array | float:
        """The penalty's gradient, which no patient's data is part of."""
        return super()._correction(here, visit) + self.blocks.shrinks * here

    def combine(self, state: State, total: Total) -> State:
        """The strategy's update on each block's weighted mean; a block that nobody trained stays."""
        like, count = self.strategy.payload_like(state), len(self.blocks.names)
        if total.vector.shape != (sum(each.size for each in like.values()) + count,):
            raise ValueError(f"a sum of {total.vector.size} values for {state.model.size} parameters")
        weights = total.vector[-count:]
        each = np.tile(weights[self.blocks.of], len(like))
        mean = unflatten(
            np.divide(total.vector[:-count], each, out=np.zeros_like(total.vector[:-count]), where=each > 0),
            like,
        )
        change = mean.pop("model")
        state = self.strategy.absorb(state, mean)
        return self.strategy.update(state, change, self.study.training)


@dataclass(frozen=True)
class BlockSum(GradientLearner):
    """One noisy sum of clipped gradients and indicators a round. Sends (Σ_i gradient_i, Σ_i indicator_i)."""

    blocks: Blocks

    def begin(self, watch: Callable[[int, int], None] = lambda *_: None) -> State:
        """The seed's model, and no block counted yet."""
        state = super().begin(watch)
        return state.with_slots(**{BLOCKS: np.zeros(len(self.blocks.names) + 1)})

    def publish(self, state: State) -> dict[str, Array]:
        """Beside the model how often each block was trained so far: as many values as the sum has more."""
        return {**super().publish(state), BLOCKS: np.asarray(state.slots[BLOCKS][1:], dtype=np.float32)}

    def contribute(self, visit: Visit) -> tuple[Contribution, dict[str, Array]]:
        """The noisy sum over those patients whom Poisson sampling takes."""
        plan = _plan(self.study)
        model = model_from(self.task, visit.published["model"]).train()
        chosen = visit.stream.chosen(len(visit.patients), plan.sampling_rate)
        with torch_seed(seed_from(visit.stream)), moving(model, self.study.trains):
            rows = np.repeat(chosen, self.study.views)
            batch = learning_batch(self.task, visit.patients, rows, generator_from(visit.stream))
            with PatientGradients(model, self.task.loss) as gradients:
                room = plan.clip * np.sqrt(1.0 - INDICATOR**2)
                total = gradients.clipped_sum(*batch, room, step=visit.step, views=self.study.views)
        who = visit.patients.batch(chosen, torch.Generator().manual_seed(0))
        marks = self.blocks.trains(*who).to(torch.float64) * self._mark(plan)
        counted = whole_rows(marks, visit.step).sum(dim=0).numpy()
        whole = ClippedSum(np.concatenate([total.vector, counted]), plan.clip, step=visit.step)
        whole, confined = whole.within(visit.box)
        noisy = add_noise(whole, plan.noise_multiplier, visit.shares, visit.stream, in_place=True)
        kept = self.strategy.personalise(self.task, self.study.training, visit)
        vector = noisy.vector if visit.step else noisy.vector.astype(np.float32)
        return Contribution(vector, noisy.noise, noisy.bound, releases=1, confined=confined), kept

    def combine(self, state: State, total: Total) -> State:
        """One step against the mean gradient of each block, over those who train it."""
        plan, count = _plan(self.study), len(self.blocks.names)
        moved = places(self.task, self.study.trains)
        if total.vector.shape != (moved.sum() + count,):
            raise ValueError(f"a sum of shape {total.vector.shape} for {moved.sum()} parameters")
        seen = state.slots[BLOCKS] + np.append(1.0, total.vector[-count:] / self._mark(plan))
        patients = self._patients(state, plan, seen)
        step = np.zeros(moved.shape)
        divisor = plan.sampling_rate * patients[self.blocks.of[moved]]
        step[moved] = -self.study.learning_rate * total.vector[:-count] / divisor
        state = state.with_slots(**{BLOCKS: seen})
        return self.strategy.update(state, step, self.study.training)

    def _mark(self, plan: PrivacyPlan) -> float:
        """What a patient who trains a block adds to its indicator: all of them together have norm 0.2·C."""
        return float(INDICATOR * plan.clip / np.sqrt(len(self.blocks.names)))

    def _patients(self, state: State, plan: PrivacyPlan, seen: Array) -> Array:
        """How many train each block: the mean of what was counted, drawn towards all where noise is large.

        `seen` is (rounds, the sum of their noisy counts). Before anything is counted a block's number is that
        of all, N ± N/2, and a round's count has a known deviation. It is taken to be at least N/10: divided
        by less, a block's noise would be a step of its own.
        """
        everybody = max(1.0, float(state.slots["patients"][0]))
        rounds, counted = seen[0], seen[1:] / plan.sampling_rate
        noise = plan.noise_multiplier * plan.clip / (self._mark(plan) * plan.sampling_rate)
        precision, before = rounds / max(noise, 1e-9) ** 2, 1.0 / (everybody / 2.0) ** 2
        mean = (precision * (counted / rounds) + before * everybody) / (precision + before)
        clipped: Array = np.clip(mean, max(1.0, everybody / 10.0), everybody)
        return clipped


def _plan(study: Study) -> PrivacyPlan:
    plan = study.plan()
    if plan is None:
        raise StudyError(f"study {study.name} has no [privacy] table: a private sum needs one")
    return plan
