from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paper
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.learners.contract import State, add_up
from tasks.learners.statistics import Statistics, count_of_patients
from tasks.patients import TablePatients

EVERYBODY = paper.patients(seed=3, count=30)
# The sum of the measurements; nobody's row is longer than this bound.
SUMS = Statistics("sums", lambda patients: everyone(patients), bound=100.0)
WIDE = 4000


def everyone(patients) -> torch.Tensor:
    return patients.batch(np.arange(len(patients)), torch.Generator())[0]


def split(cuts: Sequence[int]) -> list[TablePatients]:
    return [EVERYBODY.subset(part) for part in np.split(np.arange(30), sorted(cuts))]


@given(st.sets(st.integers(1, 29), max_size=5))
@settings(deadline=None, max_examples=40)
def test_without_noise_the_contributions_of_hospitals_add_up_to_the_pooled_sum(cuts: set[int]) -> None:
    vectors = [SUMS.contribute(paper.visit(group, {}))[0].vector for group in split(tuple(cuts))]
    state = SUMS.combine(SUMS.begin(), add_up(vectors))
    exact = EVERYBODY.inputs.double().sum(dim=0).numpy()
    np.testing.assert_allclose(state.slots["sums"], exact, atol=1e-9)


def test_without_noise_a_count_is_exact() -> None:
    contribution, kept = count_of_patients().contribute(paper.visit(EVERYBODY, {}))
    assert contribution.vector == [30.0]
    assert contribution.noise == 0.0
    assert kept["patients"] == [30.0]


@pytest.mark.parametrize("bound", [0.5, 2.0])
@pytest.mark.parametrize(("noise", "hospitals", "shares"), [("local", 4, 1), ("distributed", 4, 4)])
def test_noise_is_unbiased_and_has_the_variance_that_it_says(
    bound: float, noise: paper.Noise, hospitals: int, shares: int
) -> None:
    truth = bound / np.sqrt(WIDE) * 0.5
    statistic = Statistics("wide", lambda patients: torch.full((len(patients), WIDE), truth), bound)
    plan = paper.plan(noise, count_noise_multiplier=2.0)
    contribution, kept = statistic.contribute(paper.visit(EVERYBODY, {}, hospitals=hospitals, plan=plan))
    error = contribution.vector - 30 * truth
    deviation = 2.0 * bound / np.sqrt(shares)
    assert contribution.noise == pytest.approx(deviation)
    assert abs(error.mean()) < 5 * deviation / np.sqrt(WIDE)
    assert error.std() == pytest.approx(deviation, rel=0.06)
    assert (contribution.bound, contribution.releases) == (bound, 1)
    np.testing.assert_array_equal(kept["wide"], contribution.vector)


def test_a_hospital_keeps_its_noisy_count_and_never_the_true_one() -> None:
    _, kept = count_of_patients().contribute(paper.visit(EVERYBODY, {}, plan=paper.plan()))
    assert list(kept) == ["patients"]
    assert kept["patients"][0] != 30.0


@given(st.integers(0, 29), st.floats(-1e12, 1e12))
@settings(deadline=None, max_examples=40)
def test_no_patient_moves_a_sum_by_more_than_the_bound(who: int, value: float) -> None:
    statistic = Statistics("sums", SUMS.statistic, bound=1.0)
    inputs = EVERYBODY.inputs.clone()
    inputs[who] = value
    her, others = (
        TablePatients(values, EVERYBODY.targets[: len(values)])
        for values in (inputs, torch.cat([inputs[:who], inputs[who + 1 :]]))
    )
    moved = (
        statistic.contribute(paper.visit(her, {}))[0].vector
        - statistic.contribute(paper.visit(others, {}))[0].vector
    )
    assert np.linalg.norm(moved) <= 1 + 1e-9


def test_combining_keeps_the_model_and_the_other_slots() -> None:
    state = State(np.ones(2, np.float32), {"other": np.ones(1)})
    after = count_of_patients().combine(state, add_up([np.array([30.0]), np.array([12.5])]))
    assert after.slots["patients"] == [42.5]
    assert after.slots["other"] == [1.0]
    np.testing.assert_array_equal(after.model, state.model)
    assert "patients" not in state.slots


def test_there_is_nothing_to_send_and_no_model() -> None:
    count = count_of_patients()
    assert count.publish(count.begin()) == {}
    assert count.begin().model.size == count.model_at_hospital({}, {}).size == 0


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 100))
def test_a_total_is_the_sum_to_within_rounding(sizes: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = [random.normal(size=40_000).astype(np.float32) for _ in sizes]
    before = [vector.copy() for vector in vectors]
    total = add_up(vectors)
    assert total.hospitals == len(vectors)
    np.testing.assert_allclose(total.vector, np.sum(vectors, axis=0, dtype=np.float64), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(vectors, before)
