"""Digital patients in a step: like real ones without privacy, a constant beside the clipped sum with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import paper
import pytest
import torch
from torch import nn

from ground.arrays import Array
from privacy.gradients import ClippedSum
from privacy.plan import PrivacyPlan
from tasks.contract import Task
from tasks.learners import gradient_sum, mixing
from tasks.learners.contract import Filling, State, Total, Visit
from tasks.learners.gradient_sum import GradientSum
from tasks.learners.local_training import LocalTraining
from tasks.learners.mixing import DIGITAL, MOST, mixed, share_of
from tasks.learners.strategies import STRATEGIES
from tasks.patients import TablePatients
from tasks.study import Privacy, Study, Training

REAL, DIGITAL_ONES = paper.patients(seed=1, count=30, shift=0.5), paper.patients(seed=2, count=20, shift=-1.0)
MODEL = np.array([0.4, -1.1, 0.3, 0.2], dtype=np.float32)
RATE = 0.7
QUIET = paper.plan(sampling_rate=0.5, noise_multiplier=0.0, count_noise_multiplier=0.0)
NOISY = paper.plan(sampling_rate=0.5)


def study(noise: paper.Noise = "distributed", steps: int = 1) -> Study:
    privacy = Privacy(epsilon=20.0, delta=1e-3, sampling_rate=0.5, noise=noise)
    training = Training(learning_rate=RATE, local_steps=steps)
    return Study(name="paper", task="toy", rounds=2, training=training, privacy=privacy)


def summing(task: Task = paper.TOY) -> GradientSum:
    return GradientSum(task, study(), STRATEGIES["fedavg"])


def local(steps: int = 1) -> LocalTraining:
    return LocalTraining(paper.TOY, study("local", steps), STRATEGIES["fedavg"])


def visit(
    real: TablePatients, plan: PrivacyPlan | None, digital: TablePatients | None = DIGITAL_ONES, **more: Any
) -> Visit:
    memory = {"patients": np.array([30.0])}
    came = paper.visit(real, {"model": MODEL}, memory, plan=plan)
    return replace(came, digital=None if digital is None else Filling(digital, 5), **more)


def clipped(group: TablePatients, clip: float = 1.0) -> Array:
    rows = paper.gradients(MODEL, group)
    return rows * np.minimum(1.0, clip / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.fixture(autouse=True)
def no_noise_is_searched_for(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(PrivacyPlan, "design", lambda **_: QUIET)
    return


def test_without_privacy_they_are_patients_like_others() -> None:
    both = paper.together([REAL, DIGITAL_ONES])
    for steps in (1, 3):
        free = paper.learner(local_steps=steps, learning_rate=RATE)
        filled, _ = free.contribute(visit(REAL, None))
        pooled, _ = free.contribute(visit(both, None, None))
        np.testing.assert_allclose(filled.vector, pooled.vector, rtol=1e-5, atol=1e-5)
        assert filled.vector[-1] == 50.0
    assert len(mixed(visit(REAL, None))) == 50


def test_a_private_sum_gets_what_poisson_sampling_of_them_would_give_on_average() -> None:
    without, _ = summing().contribute(visit(REAL, QUIET, None))
    filled, _ = summing().contribute(visit(REAL, QUIET))
    added = filled.vector - without.vector
    np.testing.assert_allclose(added, 0.5 * clipped(DIGITAL_ONES).sum(axis=0), rtol=1e-4, atol=1e-5)


def test_of_many_some_are_drawn_anew_in_every_round_and_stand_for_all() -> None:
    many = paper.patients(seed=3, count=500)
    without, _ = summing().contribute(visit(REAL, QUIET, None))

    def added(seed: int) -> Array:
        asked = replace(visit(REAL, QUIET), digital=Filling(many, seed))
        return summing().contribute(asked)[0].vector - without.vector

    draws = np.stack([added(seed) for seed in range(60)])
    np.testing.assert_array_equal(added(0), draws[0])
    rows = clipped(many)
    spread = rows.std(axis=0) * 250 / np.sqrt(MOST)
    assert (abs(draws.mean(axis=0) - 0.5 * rows.sum(axis=0)) < 5 * spread / np.sqrt(60)).all()
    assert (draws.std(axis=0) > 0.5 * spread).all()


def test_the_step_is_the_mean_over_real_and_digital_patients() -> None:
    """With everybody sampled: the sum over both, over the noisy count and those of the hospitals in it."""
    summed = Total(np.full(4, 84.0), 3)
    slots = {"patients": np.array([30.0]), DIGITAL: np.array([0.0, 4.0, 0.0])}
    after = summing().combine(State(MODEL, slots), summed)
    np.testing.assert_allclose(after.model, MODEL - RATE * 84.0 / (0.5 * (30 + 3 * 4)), rtol=1e-5)
    assert share_of({}) == 0.0


def test_a_share_is_published_with_the_model_and_outlives_a_round() -> None:
    slots = {"patients": np.array([30.0]), DIGITAL: np.array([1.0, 2.0])}
    state = State(MODEL, slots)
    assert set(summing().publish(state)) == {"model", DIGITAL}
    following = summing().combine(state, Total(np.zeros(4), 3))
    np.testing.assert_array_equal(summing().publish(following)[DIGITAL], [1.0, 2.0])
    assert set(summing().publish(State(MODEL))) == {"model"}


def test_local_noise_counts_them_in_its_weight_and_in_every_step() -> None:
    sampled = replace(QUIET, sampling_rate=1.0)
    filled, _ = local().contribute(visit(REAL, sampled))
    mean = (clipped(REAL).sum(axis=0) + clipped(DIGITAL_ONES).sum(axis=0)) / 50
    np.testing.assert_allclose(filled.vector[:-1] / 50, -RATE * mean, rtol=1e-4, atol=1e-6)
    assert filled.vector[-1] == 50.0
    twice, _ = local(2).contribute(visit(REAL, sampled))
    assert not np.allclose(twice.vector[:-1], 2 * filled.vector[:-1], rtol=1e-3)


@pytest.mark.parametrize("learner", [summing(), local()], ids=["distributed", "local"])
def test_noise_and_bound_are_those_of_the_real_patients_alone(learner: Any) -> None:
    noise: paper.Noise = "distributed" if isinstance(learner, GradientSum) else "local"
    plan = replace(NOISY, noise=noise)
    filled, _ = learner.contribute(visit(REAL, plan))
    alone, _ = learner.contribute(visit(REAL, plan, None))
    assert (filled.bound, filled.noise, filled.releases) == (alone.bound, alone.noise, alone.releases)
    assert filled.bound == plan.clip


class Moody(nn.Module):
    """A model whose gradient depends on chance, as with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.dropout = nn.Linear(3, 1), nn.Dropout(0.5)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layer(self.dropout(inputs))


def jittered(
    inputs: torch.Tensor, targets: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    return inputs + torch.randn(inputs.shape, generator=generator), targets


# Draws for every real patient, of the generator and of torch's own: neighbours draw differently often.
LUCK = replace(paper.TOY, model=Moody, augment=jittered)


def what_is_added(real: TablePatients) -> Array:
    """To the sum over these real patients, by a hospital that draws at random."""
    plan = replace(QUIET, sampling_rate=1.0)
    filled, _ = summing(LUCK).contribute(visit(real, plan))
    alone, _ = summing(LUCK).contribute(visit(real, plan, None))
    return filled.vector - alone.vector


NEIGHBOURS = [REAL.subset(np.delete(np.arange(30), who)) for who in (0, 17, 29)]


def test_what_they_add_is_the_same_whoever_the_real_patients_are() -> None:
    """So a patient more or less moves the sum by what she moves it without them: the clip."""
    added = what_is_added(REAL)
    assert np.linalg.norm(added) > 0.1
    for neighbour in [*NEIGHBOURS, paper.patients(seed=9, count=3)]:
        np.testing.assert_allclose(what_is_added(neighbour), added, atol=2e-6)


def test_draws_that_follow_those_of_real_patients_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken on purpose: digital patients draw from where the real ones left the generator."""

    def careless(total: ClippedSum, _: Task, gradients: Any, asked: Visit, plan: PrivacyPlan) -> ClippedSum:
        if asked.digital is None:
            return total
        inputs, targets = asked.digital.patients.batch(np.arange(20), torch.Generator())
        noisy = inputs + torch.randn(inputs.shape)  # torch's own generator, which dropout has used
        added = gradients.clipped_sum(noisy, targets, plan.clip).vector
        return replace(total, vector=total.vector + added)

    monkeypatch.setattr(gradient_sum, "with_digital", careless)
    added = what_is_added(REAL)
    assert any(np.abs(what_is_added(each) - added).max() > 1e-2 for each in NEIGHBOURS)


def test_neighbours_differ_by_no_more_than_the_clip_where_nothing_is_drawn() -> None:
    plan = replace(QUIET, sampling_rate=1.0, clip=0.2)
    whole, _ = summing().contribute(visit(REAL, plan))
    for neighbour in NEIGHBOURS:
        less, _ = summing().contribute(visit(neighbour, plan))
        assert np.linalg.norm(whole.vector - less.vector) <= 0.2 * (1 + 1e-5)


def test_each_digital_patient_is_clipped_like_a_real_one_and_whole_steps_stay_whole() -> None:
    step = 2.0**-10
    plan = replace(QUIET, clip=0.05)
    filled, _ = summing().contribute(visit(REAL, plan, step=step))
    np.testing.assert_array_equal(filled.vector, np.rint(filled.vector / step) * step)
    alone, _ = summing().contribute(visit(REAL, plan, None, step=step))
    assert np.linalg.norm(filled.vector - alone.vector) <= 0.5 * 20 * 0.05 + 2 * step


def test_the_box_holds_real_and_digital_patients_together() -> None:
    """They are added before the projection, so the noisy sum still fits the words."""
    box = 0.25
    filled, _ = summing().contribute(visit(REAL, replace(QUIET, sampling_rate=1.0), box=box))
    assert np.abs(filled.vector).max() <= box
    assert filled.confined > 0


def test_no_more_than_a_few_are_looked_at_in_one_step() -> None:
    seen: list[int] = []

    class Watched(TablePatients):
        def batch(self, chosen: Any, generator: torch.Generator) -> Any:
            seen.append(len(chosen))
            return super().batch(chosen, generator)

    many = paper.patients(seed=3, count=500)
    asked = visit(REAL, QUIET, Watched(many.inputs, many.targets))
    summing().contribute(asked)
    assert seen == [mixing.MOST]
