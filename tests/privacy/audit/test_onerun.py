from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.audit.onerun import epsilon_lower_bound, p_value

DELTA = 1e-5


@pytest.mark.parametrize(("canaries", "published"), [(20, 1.8), (50, 2.8), (100, 3.5), (1000, 5.8)])
def test_perfect_guesses_certify_what_the_paper_says(canaries: int, published: float) -> None:
    bound = epsilon_lower_bound(canaries, canaries, canaries, DELTA)
    assert bound == pytest.approx(published, abs=0.05)


def test_perfect_guesses_without_delta_solve_the_equation_by_hand() -> None:
    # (e^ε/(1+e^ε))^r = 0.05
    rate = 0.05 ** (1 / 100)
    assert epsilon_lower_bound(100, 100, 100, 0.0) == pytest.approx(math.log(rate / (1 - rate)), abs=1e-3)


@given(st.integers(1, 300), st.data())
@settings(deadline=None)
def test_one_more_right_guess_never_lowers_the_bound(guesses: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, guesses - 1))
    bounds = [epsilon_lower_bound(300, guesses, correct + more, DELTA) for more in (0, 1)]
    assert bounds[0] <= bounds[1]


@given(st.integers(1, 300), st.data())
@settings(deadline=None)
def test_guesses_right_half_of_the_time_certify_nothing(guesses: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, guesses // 2))
    assert epsilon_lower_bound(300, guesses, correct, DELTA) == 0.0


@given(st.integers(1, 300), st.floats(0.0, 0.01), st.data())
@settings(deadline=None)
def test_a_larger_delta_or_more_confidence_never_raises_the_bound(
    guesses: int, delta: float, data: st.DataObject
) -> None:
    correct = data.draw(st.integers(0, guesses))
    bound = epsilon_lower_bound(300, guesses, correct, delta)
    assert epsilon_lower_bound(300, guesses, correct, 2 * delta) <= bound
    assert epsilon_lower_bound(300, guesses, correct, delta, confidence=0.99) <= bound


@given(st.integers(1, 40), st.floats(0.0, 4.0), st.sampled_from([0.0, 1e-5, 1e-3]), st.data())
@settings(deadline=None)
def test_the_p_value_is_the_theorem_written_out(
    guesses: int, epsilon: float, delta: float, data: st.DataObject
) -> None:
    correct = data.draw(st.integers(1, guesses))
    rate = math.exp(epsilon) / (1 + math.exp(epsilon))

    def chance(low: int, high: int) -> float:
        """Probability that the number of right guesses is at least `low` and below `high`."""
        return sum(
            math.comb(guesses, n) * rate**n * (1 - rate) ** (guesses - n) for n in range(max(0, low), high)
        )

    alpha = max(chance(correct - i, correct) / i for i in range(1, correct + 1))
    expected = min(1.0, chance(correct, guesses + 1) + 2 * 40 * delta * alpha)
    assert p_value(40, guesses, correct, epsilon, delta) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 4.0])
def test_a_mechanism_at_exactly_epsilon_is_accused_in_at_most_five_percent_of_runs(epsilon: float) -> None:
    # Randomised response: each coin is told truly with probability e^ε/(1+e^ε), the most that ε allows.
    rate = 1 / (1 + math.exp(-epsilon))
    correct = np.random.default_rng(5).binomial(200, rate, size=4000)
    accused = {
        int(n): epsilon_lower_bound(200, 200, int(n), 0.0) > epsilon + 1e-3 for n in np.unique(correct)
    }
    share = np.mean([accused[int(n)] for n in correct])
    assert 0.0 < share <= 0.05 + 2 * (0.05 * 0.95 / 4000) ** 0.5
