from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import paper
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ground.errors import FederationError
from tasks.learners.contract import State
from tasks.learners.local_training import LocalTraining
from tasks.learners.strategies import STRATEGIES
from tasks.patients import TablePatients

EVERYBODY = paper.patients(seed=2, count=50, shift=0.3)
MODEL = np.array([-0.4, 0.1, 0.9, -0.2], dtype=np.float32)
RATE = 0.6


def split(cuts: Sequence[int]) -> list[TablePatients]:
    return [EVERYBODY.subset(part) for part in np.split(np.arange(50), sorted(cuts))]


def descend(model: paper.Array, group: TablePatients, steps: int) -> paper.Floats:
    here = model.astype(float)
    for _ in range(steps):
        here = here - RATE * paper.gradients(here, group).mean(axis=0)
    return here


@given(st.sets(st.integers(1, 49), max_size=6))
@settings(deadline=None, max_examples=40)
def test_one_step_at_every_hospital_is_one_step_on_all_patients_together(cuts: set[int]) -> None:
    federation = paper.Federation(paper.learner(learning_rate=RATE), split(tuple(cuts)))
    federation.state = State(MODEL)
    np.testing.assert_allclose(federation.go(1).state.model, descend(MODEL, EVERYBODY, 1), atol=1e-5)


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_one_hospital_takes_so_many_full_steps(steps: int) -> None:
    federation = paper.Federation(paper.learner(learning_rate=RATE, local_steps=steps), [EVERYBODY])
    federation.state = State(MODEL)
    np.testing.assert_allclose(federation.go(1).state.model, descend(MODEL, EVERYBODY, steps), atol=1e-5)


def test_hospitals_are_weighted_by_their_patients() -> None:
    small, large = split([10])
    federation = paper.Federation(paper.learner(learning_rate=RATE, local_steps=5), [small, large])
    federation.state = State(MODEL)
    expected = (10 * descend(MODEL, small, 5) + 40 * descend(MODEL, large, 5)) / 50
    np.testing.assert_allclose(federation.go(1).state.model, expected, atol=1e-5)


def test_without_privacy_there_is_no_noise_no_bound_and_no_release() -> None:
    contribution, kept = paper.learner().contribute(paper.visit(EVERYBODY, {"model": MODEL}))
    assert (contribution.noise, contribution.bound, contribution.releases) == (0.0, float("inf"), 0)
    assert contribution.vector[-1] == 50
    assert kept == {}


@pytest.mark.parametrize("steps", [1, 4])
def test_a_private_contribution_carries_the_whole_noise_of_its_plan_and_a_release_a_step(steps: int) -> None:
    plan = paper.plan("local", clip=0.5, noise_multiplier=3.0)
    learner, memory = paper.learner(local_steps=steps), {"patients": np.array([47.0])}
    visit = paper.visit(EVERYBODY, {"model": MODEL}, memory, hospitals=9, plan=plan)
    contribution, _ = learner.contribute(visit)
    assert (contribution.noise, contribution.bound, contribution.releases) == (1.5, 0.5, steps)


def test_the_noise_of_a_local_step_is_the_hospital_s_own_and_whole() -> None:
    wide = replace(paper.TOY, model=lambda: nn.Linear(4000, 1))
    learner = LocalTraining(wide, paper.study(learning_rate=RATE), STRATEGIES["fedavg"])
    nobody = TablePatients(torch.zeros(0, 4000), torch.zeros(0))
    plan = paper.plan("local", clip=0.5, noise_multiplier=3.0, sampling_rate=0.5)
    visit = paper.visit(
        nobody, {"model": np.zeros(4001, np.float32)}, {"patients": np.array([20.0])}, hospitals=4, plan=plan
    )
    vector = learner.contribute(visit)[0].vector
    assert vector[-1] == 20.0
    # σ·C over q·n in the mean gradient; times the rate, and times n, in the weighted change.
    assert vector[:-1].std() == pytest.approx(RATE * 3.0 * 0.5 / 0.5, rel=0.06)


def test_every_local_step_draws_noise_of_its_own() -> None:
    nobody = TablePatients(torch.zeros(0, 3), torch.zeros(0))
    ends = []
    for steps in (1, 2):
        learner = paper.learner(learning_rate=RATE, local_steps=steps)
        visit = paper.visit(
            nobody, {"model": MODEL}, {"patients": np.array([20.0])}, plan=paper.plan("local")
        )
        ends.append(learner.contribute(visit)[0].vector[:-1])
    assert not np.allclose(ends[1], 2 * ends[0], rtol=1e-3)


def test_the_true_number_of_patients_is_not_in_a_private_vector() -> None:
    quiet = replace(paper.plan("local"), noise_multiplier=0.0)
    groups = [EVERYBODY, EVERYBODY.subset(np.arange(49))]
    weights = [
        paper.learner()
        .contribute(paper.visit(group, {"model": MODEL}, {"patients": np.array([47.5])}, plan=quiet))[0]
        .vector[-1]
        for group in groups
    ]
    assert weights == [47.5, 47.5]


def test_a_noisy_count_below_one_counts_as_one() -> None:
    visit = paper.visit(EVERYBODY, {"model": MODEL}, {"patients": np.array([-8.0])}, plan=paper.plan("local"))
    assert paper.learner().contribute(visit)[0].vector[-1] == 1.0


def test_clipping_is_per_patient_in_every_private_step() -> None:
    quiet = replace(paper.plan("local", clip=0.1), noise_multiplier=0.0)
    visit = paper.visit(EVERYBODY, {"model": MODEL}, {"patients": np.array([50.0])}, plan=quiet)
    vector = paper.learner(learning_rate=RATE).contribute(visit)[0].vector
    rows = paper.gradients(MODEL, EVERYBODY)
    clipped = rows * np.minimum(1.0, 0.1 / np.linalg.norm(rows, axis=1, keepdims=True))
    np.testing.assert_allclose(vector[:-1], -RATE * clipped.sum(axis=0), atol=1e-5)


def test_the_same_visit_gives_the_same_contribution() -> None:
    visits = [
        paper.visit(EVERYBODY, {"model": MODEL}, {"patients": np.array([50.0])}, plan=paper.plan("local"))
        for _ in range(2)
    ]
    first, second = (paper.learner(local_steps=3).contribute(visit)[0].vector for visit in visits)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("parameters", [3, 5])
def test_a_model_of_another_size_is_refused(parameters: int) -> None:
    with pytest.raises(FederationError, match=f"received {parameters} parameters for a model of 4"):
        paper.learner().contribute(paper.visit(EVERYBODY, {"model": np.zeros(parameters, np.float32)}))


def test_a_server_learning_rate_scales_the_mean_change() -> None:
    ends = []
    for rate in (1.0, 0.25):
        federation = paper.Federation(
            paper.learner(learning_rate=RATE, server_learning_rate=rate), split([20])
        )
        federation.state = State(MODEL)
        ends.append(federation.go(1).state.model - MODEL)
    np.testing.assert_allclose(ends[1], 0.25 * ends[0], atol=1e-6)
