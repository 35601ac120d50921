from __future__ import annotations

import numpy as np
import paper
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.arrays import Array
from privacy.plan import PrivacyPlan
from tasks.learners.gradient_sum import GradientSum
from tasks.learners.strategies import STRATEGIES
from tasks.study import Privacy, Study, Training

# Two hospitals that differ in who comes to them and in what makes them ill.
UNLIKE = [paper.patients(seed=8, count=60, shift=-1.0), paper.patients(seed=9, count=24, shift=1.5, tilt=3.0)]
ALIKE = [UNLIKE[0]] * 3


def optimum(groups: list[paper.TablePatients]) -> paper.Floats:
    """Of the mean loss over all patients, by Newton's method in double precision."""
    everybody = paper.together(groups)
    x, rows = np.zeros(4), paper.rows(everybody)
    for _ in range(30):
        p = 1 / (1 + np.exp(-rows @ x))
        x = x - np.linalg.solve(
            rows.T @ (rows * (p * (1 - p))[:, None]), paper.gradients(x, everybody).sum(axis=0)
        )
    return x


def after(
    strategy: str, groups: list[paper.TablePatients], rounds: int, **training: float
) -> paper.Federation:
    return paper.Federation(paper.learner(strategy, **training), groups).go(rounds)


def test_scaffold_is_fedavg_where_all_hospitals_are_alike() -> None:
    terms = {"learning_rate": 0.3, "local_steps": 8}
    scaffold, fedavg = (after(name, ALIKE, 6, **terms).state.model for name in ("scaffold", "fedavg"))
    np.testing.assert_allclose(scaffold, fedavg, atol=1e-5)


@given(st.lists(st.integers(5, 40), min_size=1, max_size=4), st.integers(1, 5), st.integers(1, 4))
@settings(deadline=None, max_examples=25)
def test_the_control_variate_is_the_weighted_mean_of_the_hospitals_own(
    sizes: list[int], steps: int, rounds: int
) -> None:
    groups = [paper.patients(seed=n, count=size, shift=n - 1.0) for n, size in enumerate(sizes)]
    federation = after("scaffold", groups, rounds, learning_rate=0.2, local_steps=steps)
    own = np.stack([memory["control"] for memory in federation.memories])
    expected = np.average(own, axis=0, weights=sizes)
    np.testing.assert_allclose(federation.state.slots["control"], expected, atol=1e-5)
    assert np.abs(expected).max() > 1e-4


def test_a_hospital_s_own_control_variate_is_its_mean_gradient_on_the_way() -> None:
    federation = after("scaffold", UNLIKE, 1, learning_rate=0.2, local_steps=1)
    for group, memory in zip(UNLIKE, federation.memories, strict=True):
        start = paper.gradients(np.zeros(4), group).mean(axis=0)
        np.testing.assert_allclose(memory["control"], start, atol=1e-5)


def test_scaffold_ends_nearer_the_pooled_optimum_than_fedavg() -> None:
    best = optimum(UNLIKE)
    far = {
        name: np.linalg.norm(after(name, UNLIKE, 40, learning_rate=0.5, local_steps=15).state.model - best)
        for name in ("scaffold", "fedavg")
    }
    assert far["fedavg"] > 0.05
    assert far["scaffold"] < 0.2 * far["fedavg"]


def test_ditto_s_shared_model_and_vectors_are_those_of_fedavg() -> None:
    terms = {"learning_rate": 0.3, "local_steps": 4}
    np.testing.assert_array_equal(
        after("ditto", UNLIKE, 5, **terms).state.model, after("fedavg", UNLIKE, 5, **terms).state.model
    )
    published, memory = {"model": np.ones(4, np.float32)}, {"personal": np.full(4, -3.0, np.float32)}
    ditto, kept = paper.learner("ditto", **terms).contribute(paper.visit(UNLIKE[0], published, memory))
    fedavg, _ = paper.learner("fedavg", **terms).contribute(paper.visit(UNLIKE[0], published))
    np.testing.assert_array_equal(ditto.vector, fedavg.vector)
    assert list(kept) == ["personal"]


def test_a_personal_model_never_leaves_with_a_private_gradient_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PrivacyPlan, "design", lambda **_: paper.plan())
    terms = {"name": "paper", "task": "toy", "rounds": 2, "privacy": Privacy(epsilon=1.0)}
    vectors = {}
    for name in ("ditto", "fedavg"):
        learner = GradientSum(paper.TOY, Study(training=Training(strategy=name), **terms), STRATEGIES[name])
        memory = {"personal": np.full(4, 5.0, np.float32)}
        visit = paper.visit(UNLIKE[0], {"model": np.zeros(4, np.float32)}, memory, plan=paper.plan())
        contribution, kept = learner.contribute(visit)
        vectors[name] = contribution.vector
        assert list(kept) == (["personal"] if name == "ditto" else [])
    np.testing.assert_array_equal(vectors["ditto"], vectors["fedavg"])


def personal(strength: float, **training: float) -> tuple[Array, list[Array]]:
    terms = {"learning_rate": 0.02, "local_steps": 8, **training}
    federation = after("ditto", UNLIKE, 10, proximal_strength=strength, **terms)
    return federation.state.model, [memory["personal"] for memory in federation.memories]


def test_a_huge_strength_keeps_personal_models_near_the_shared_one() -> None:
    shared, weak = personal(0.01)
    _, strong = personal(45.0)
    for near, far in zip(strong, weak, strict=True):
        # The shared model moves on after a hospital has last seen it, hence not nearer than its last step.
        assert np.linalg.norm(near - shared) < 0.15 * np.linalg.norm(far - shared)


def test_a_strength_of_zero_is_the_hospital_s_own_training() -> None:
    _, models = personal(0.0, learning_rate=0.3)
    for group, model in zip(UNLIKE, models, strict=True):
        own = after("fedavg", [group], 10, learning_rate=0.3, local_steps=8).state.model
        np.testing.assert_allclose(model, own, atol=1e-5)


def test_a_personal_model_descends_on_equation_one_of_its_paper() -> None:
    shared, memory = np.full(4, 0.5, np.float32), {"personal": np.full(4, -0.5, np.float32)}
    learner = paper.learner("ditto", learning_rate=0.2, local_steps=3, proximal_strength=0.7)
    _, kept = learner.contribute(paper.visit(UNLIKE[0], {"model": shared}, memory))
    here = np.full(4, -0.5)
    for _ in range(3):
        here = here - 0.2 * (paper.gradients(here, UNLIKE[0]).mean(axis=0) + 0.7 * (here - shared))
    np.testing.assert_allclose(kept["personal"], here, atol=1e-5)


def test_a_hospital_uses_its_personal_model_and_the_shared_one_before_it_has_any() -> None:
    learner, published = paper.learner("ditto"), {"model": np.zeros(4, np.float32)}
    own = {"personal": np.ones(4, np.float32)}
    np.testing.assert_array_equal(learner.model_at_hospital(published, own), own["personal"])
    np.testing.assert_array_equal(learner.model_at_hospital(published, {}), published["model"])
