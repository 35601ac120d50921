from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.audit.canaries import Evidence, guesses_right

CANARIES, VALUES, ROUNDS = 60, 14, 20


def seen(seed: int, noise: float, canaries: int = CANARIES) -> tuple[Evidence, np.ndarray, np.ndarray]:
    """Evidence, coins, and the scores of an attacker who lets canaries get into each other's way."""
    random = np.random.default_rng(seed)
    present = random.random(canaries) < 0.5
    evidence = Evidence.none(canaries)
    for _ in range(ROUNDS):
        gradients = random.standard_normal((canaries, VALUES))
        gradients /= np.linalg.norm(gradients, axis=1, keepdims=True)
        observed = present @ gradients + noise * random.standard_normal(VALUES)
        evidence = evidence.add(observed, gradients)
    return evidence, present, evidence.matched - evidence.gram.sum(axis=1) / 2


@pytest.mark.parametrize("seed", range(3))
def test_without_noise_every_canary_is_told_as_long_as_there_are_more_values_than_canaries(seed: int) -> None:
    evidence, present, _ = seen(seed, 0.0, canaries=ROUNDS * VALUES - 30)
    scores = evidence.scores(0.0)
    np.testing.assert_allclose(scores, present - 0.5, atol=1e-3)


def test_canaries_are_kept_apart_where_matching_alone_confuses_them() -> None:
    right = {"apart": 0, "matched": 0}
    for seed in range(20):
        evidence, present, matched = seen(seed, 0.3, canaries=150)
        right["apart"] += guesses_right(evidence.scores(0.3), present)[1]
        right["matched"] += guesses_right(matched, present)[1]
    assert right["apart"] == 20 * 100
    assert right["matched"] < 20 * 99


def test_noise_beyond_all_signal_leaves_a_coin() -> None:
    guesses, right = np.sum(
        [guesses_right((s := seen(seed, 1e4))[0].scores(1e4), s[1]) for seed in range(40)], axis=0
    )
    assert abs(right / guesses - 0.5) < 4 * 0.5 / guesses**0.5


def test_canaries_that_took_part_in_half_of_the_rounds_are_still_told() -> None:
    random = np.random.default_rng(1)
    present, evidence = random.random(CANARIES) < 0.5, Evidence.none(CANARIES)
    for _ in range(200):
        gradients = random.standard_normal((CANARIES, VALUES))
        sampled = present & (random.random(CANARIES) < 0.5)
        evidence = evidence.add(sampled @ gradients, gradients)
    guesses, right = guesses_right(evidence.scores(4.0, sampling_rate=0.5), present)
    assert right == guesses


@given(st.integers(0, 50), st.data())
@settings(deadline=None)
def test_as_many_are_called_present_as_absent_and_the_middle_is_left_out(
    canaries: int, data: st.DataObject
) -> None:
    present = np.asarray(data.draw(st.lists(st.booleans(), min_size=canaries, max_size=canaries)), dtype=bool)
    guesses, right = guesses_right(present.astype(float), present)
    assert guesses == 2 * (canaries // 3)
    assert right >= guesses - max(0, canaries // 3 - int(present.sum())) - max(
        0, canaries // 3 - int((~present).sum())
    )


def test_scores_turned_round_are_wrong_throughout() -> None:
    present = np.arange(30) < 15
    assert guesses_right(-present.astype(float), present) == (20, 0)
