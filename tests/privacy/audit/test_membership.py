from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from privacy.audit.membership import areas, attack, confidence_scores, largest_auc, likelihood_ratios

MODELS, PATIENTS = 40, 200


def pool(gap: float, seed: int = 1, hardness: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores and who was inside: members score `gap` higher, and patients differ by `hardness` themselves."""
    random = np.random.default_rng(seed)
    inside = random.random((MODELS, PATIENTS)) < 0.5
    own = hardness * random.standard_normal(PATIENTS)
    return own + gap * inside + random.standard_normal(inside.shape), inside


def ratios(scores: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return np.stack([likelihood_ratios(scores, inside, target) for target in range(len(scores))])


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
@settings(deadline=None, max_examples=30)
def test_the_area_is_that_of_scikit_learn_ties_and_all(seed: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.integers(0, levels, (3, 40)).astype(float)
    inside = random.random((3, 40)) < 0.4
    inside[:, 0], inside[:, 1] = True, False
    expected = [roc_auc_score(row, score) for row, score in zip(inside, scores, strict=True)]
    np.testing.assert_allclose(areas(scores, inside), expected)


def test_a_known_gap_is_told_as_well_as_two_gaussians_can_be() -> None:
    scores, inside = pool(gap=1.0)
    found = attack(ratios(scores, inside), inside)
    assert found.auc == pytest.approx(norm.cdf(1.0 / math.sqrt(2.0)), abs=0.02)
    assert found.low < found.auc < found.high


def test_where_members_score_like_others_there_is_nothing_to_tell() -> None:
    found = [attack(ratios(*(pooled := pool(0.0, seed))), pooled[1]) for seed in range(5)]
    assert all(each.low < 0.5 < each.high for each in found)
    assert np.mean([each.auc for each in found]) == pytest.approx(0.5, abs=0.01)
    assert np.mean([each.true_positives for each in found]) == pytest.approx(0.01, abs=0.005)


def test_shadows_tell_what_a_threshold_on_the_score_cannot() -> None:
    scores, inside = pool(gap=1.0)
    assert areas(scores, inside).mean() < 0.65
    assert attack(ratios(scores, inside), inside).auc > 0.74


def test_an_attack_that_is_told_the_wrong_members_finds_nobody() -> None:
    scores, inside = pool(gap=2.0)
    wrong = np.random.default_rng(9).permuted(inside, axis=1)
    assert attack(ratios(scores, wrong), wrong).high < 0.55


def test_few_false_alarms_still_find_members_where_the_gap_is_wide() -> None:
    scores, inside = pool(gap=4.0)
    found = attack(ratios(scores, inside), inside)
    assert found.false_positives == 0.01
    assert found.true_positives > 0.8


def test_a_patient_whom_all_shadows_saw_or_only_one_did_not_is_not_guessed() -> None:
    scores, inside = pool(gap=2.0)
    inside[:, 0] = True
    inside[:, 1] = True
    inside[5, 1] = False
    found = likelihood_ratios(scores, inside, 0)
    assert (found[0], found[1]) == (0.0, 0.0)
    assert np.isfinite(found).all()


def test_the_attacked_model_is_not_among_its_own_shadows() -> None:
    scores, inside = pool(gap=1.0)
    before = likelihood_ratios(scores, inside, 3)
    turned = inside.copy()
    turned[3] = ~turned[3]
    np.testing.assert_array_equal(likelihood_ratios(scores, turned, 3), before)


def test_equal_scores_everywhere_give_no_infinite_ratio() -> None:
    _, inside = pool(gap=0.0)
    assert (ratios(np.ones(inside.shape), inside) == 0.0).all()


@pytest.mark.parametrize("everybody", [True, False])
def test_a_model_that_saw_all_or_none_cannot_be_attacked(everybody: bool) -> None:
    scores, inside = pool(gap=0.0)
    inside[0] = everybody
    with pytest.raises(ValueError, match="patients whom it saw and patients whom it did not"):
        attack(scores, inside)


@given(st.lists(st.floats(0.0, 800.0), min_size=2, max_size=20))
def test_confidence_falls_as_the_loss_grows_and_stays_finite(losses: list[float]) -> None:
    scores = confidence_scores(np.sort(np.asarray(losses)))
    assert np.isfinite(scores).all()
    assert (np.diff(scores) <= 0).all()


def test_confidence_is_the_logit_of_the_probability() -> None:
    probabilities = np.asarray([0.01, 0.3, 0.5, 0.9])
    expected = np.log(probabilities / (1 - probabilities))
    np.testing.assert_allclose(confidence_scores(-np.log(probabilities)), expected)


def test_a_loss_that_may_be_negative_is_turned_round() -> None:
    np.testing.assert_array_equal(confidence_scores(np.asarray([-1.0, 2.0])), [1.0, -2.0])


@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 0.0), (1.0, 1e-4), (3.0, 0.05)])
def test_the_largest_area_is_that_below_the_trade_off_curve(epsilon: float, delta: float) -> None:
    false = np.linspace(0.0, 1.0, 200_001)
    missed = np.maximum(
        0.0, np.maximum(1 - delta - np.exp(epsilon) * false, np.exp(-epsilon) * (1 - delta - false))
    )
    assert largest_auc(epsilon, delta) == pytest.approx(1.0 - np.trapezoid(missed, false), abs=1e-6)


def test_randomised_response_reaches_the_largest_area() -> None:
    rate = math.e / (1 + math.e)
    assert largest_auc(1.0, 0.0) == pytest.approx(rate)
