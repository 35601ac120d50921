from __future__ import annotations

import numpy as np
import paper
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.arrays import Array
from tasks.learners.contract import State, add_up
from tasks.learners.strategies import STRATEGIES
from tasks.study import StrategyName, Training

GROUPS = [paper.patients(seed=4, count=30, shift=-1.0), paper.patients(seed=5, count=12, shift=2.0, tilt=2.0)]
MODEL = np.array([0.3, -0.2, 0.5, 0.1], dtype=np.float32)
CHANGES = np.random.default_rng(6).normal(0, 0.1, (3, 4)).astype(np.float32)


def models(strategy: StrategyName, rounds: int = 3, **training: float) -> list[Array]:
    terms = {"learning_rate": 0.3, "local_steps": 6, **training}
    federation = paper.Federation(paper.learner(strategy, **terms), GROUPS)
    return [federation.go(1).state.model for _ in range(rounds)]


def test_every_strategy_that_a_study_can_name_is_there() -> None:
    assert set(STRATEGIES) == set(StrategyName.__args__)


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(0, 1000)), min_size=1, max_size=5),
    st.sampled_from([None, 1.0, 0.3]),
)
@settings(deadline=None)
def test_fedavg_moves_by_the_mean_of_the_changes_weighted_by_patients(
    hospitals: list[tuple[int, int]], rate: float | None
) -> None:
    weights = np.array([weight for weight, _ in hospitals], dtype=np.float64)
    changes = np.stack([np.random.default_rng(seed).normal(size=4) for _, seed in hospitals])
    vectors = [np.append(change * weight, weight) for change, weight in zip(changes, weights, strict=True)]
    learner = paper.learner(server_learning_rate=rate)
    after = learner.combine(State(MODEL), add_up(vectors)).model
    expected = MODEL + (rate or 1.0) * np.average(changes, axis=0, weights=weights)
    np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-6)
    assert after.dtype == np.float32


def test_fedprox_of_strength_zero_is_fedavg() -> None:
    np.testing.assert_array_equal(models("fedprox", proximal_strength=0.0), models("fedavg"))


def test_fedprox_descends_on_the_loss_and_its_proximal_term() -> None:
    federation = paper.Federation(
        paper.learner("fedprox", learning_rate=0.3, local_steps=6, proximal_strength=0.8), GROUPS[:1]
    )
    federation.state = State(MODEL)
    here = MODEL.astype(float)
    for _ in range(6):
        here = here - 0.3 * (paper.gradients(here, GROUPS[0]).mean(axis=0) + 0.8 * (here - MODEL))
    np.testing.assert_allclose(federation.go(1).state.model, here, atol=1e-5)


def test_a_stronger_fedprox_stays_nearer_the_shared_model() -> None:
    lengths = [
        float(np.linalg.norm(models("fedprox", 1, proximal_strength=strength)[0]))
        for strength in (0.0, 0.5, 3.0)
    ]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[2] < 0.7 * lengths[0]


def adam(x: Array, changes: Array, rate: float) -> list[Array]:
    """Flower's FedAdam, written again: its bias correction counts one round more than have been."""
    m = v = np.zeros_like(x)
    after = []
    for t, delta in enumerate(changes, 1):
        m = 0.9 * m + 0.1 * delta
        v = 0.99 * v + 0.01 * delta**2
        x = x + rate * np.sqrt(1 - 0.99 ** (t + 1)) / (1 - 0.9 ** (t + 1)) * m / (np.sqrt(v) + 1e-3)
        after.append(x)
    return after


def yogi(x: Array, changes: Array, rate: float) -> list[Array]:
    """Flower's FedYogi, written again: without a bias correction."""
    m = v = np.zeros_like(x)
    after = []
    for delta in changes:
        m = 0.9 * m + 0.1 * delta
        v = v - 0.01 * delta**2 * np.sign(v - delta**2)
        x = x + rate * m / (np.sqrt(v) + 1e-3)
        after.append(x)
    return after


@pytest.mark.parametrize(("name", "by_hand"), [("fedadam", adam), ("fedyogi", yogi)])
@pytest.mark.parametrize("rate", [None, 0.02])
def test_adaptive_strategies_do_flower_s_arithmetic(name: StrategyName, by_hand, rate: float | None) -> None:
    strategy = STRATEGIES[name]
    state = State(MODEL, strategy.slots(MODEL))
    training = Training(strategy=name, server_learning_rate=rate)
    for change, expected in zip(CHANGES, by_hand(MODEL.astype(float), CHANGES, rate or 0.1), strict=True):
        state = strategy.update(state, change, training)
        np.testing.assert_allclose(state.model, expected, rtol=1e-4, atol=1e-5)
        assert state.model.dtype == np.float32


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_an_update_leaves_what_it_was_given_and_remembers_nothing(name: StrategyName) -> None:
    strategy = STRATEGIES[name]
    state = State(MODEL.copy(), strategy.slots(MODEL))
    state = strategy.update(state, CHANGES[0].copy(), Training())
    before = {key: value.copy() for key, value in {"model": state.model, **state.slots}.items()}
    change = CHANGES[1].copy()
    first, second = (strategy.update(state, change, Training()) for _ in range(2))
    np.testing.assert_array_equal(change, CHANGES[1])
    for key, value in before.items():
        np.testing.assert_array_equal({"model": state.model, **state.slots}[key], value)
    np.testing.assert_array_equal(first.model, second.model)
    assert set(first.slots) == set(state.slots)
    for key in first.slots:
        np.testing.assert_array_equal(first.slots[key], second.slots[key])


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_learns_from_hospitals_that_differ(name: StrategyName) -> None:
    everybody = paper.together(GROUPS)

    def loss(model: Array) -> float:
        margin = paper.rows(everybody) @ model * (1 - 2 * everybody.targets.numpy())
        return float(np.logaddexp(0, margin).mean())

    path = models(name, rounds=10, local_steps=2)
    assert loss(path[-1]) < 0.9 * loss(np.zeros(4))


def test_a_state_keeps_its_other_slots_when_one_is_set() -> None:
    state = State(MODEL, {"first": MODEL, "seen": np.zeros(1)})
    after = state.with_slots(seen=np.ones(1))
    assert after.slots["first"] is MODEL
    assert after.slots["seen"] == 1
    assert state.slots["seen"] == 0
