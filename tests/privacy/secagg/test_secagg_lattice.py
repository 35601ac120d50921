"""What rounding the shares of the noise to whole steps costs: computed exactly, against the stated bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from ground.arrays import Array
from privacy.plan import PrivacyPlan
from privacy.secagg.encoding import Encoding, slack

HOSPITALS = (2, 4, 10)
STEPS = (2.0, 3.0, 4.0, 6.0, 8.0)


def rounded_gaussian(deviation: float, reach: int) -> Array:
    """Probability of each whole number from −reach to reach: of a Gaussian rounded to the nearest."""
    away = np.abs(np.arange(-reach, reach + 1))
    chance = norm.sf((away - 0.5) / deviation) - norm.sf((away + 0.5) / deviation)
    return np.asarray(chance)


def variation(hospitals: int, steps: float) -> float:
    """Total variation between n rounded shares' sum and one rounded Gaussian of the same variance."""
    share = rounded_gaussian(steps, math.ceil(12 * steps))
    total = share
    for _ in range(hospitals - 1):
        total = np.convolve(total, share)
    deviation = math.sqrt(hospitals * steps**2 + (hospitals - 1) / 12)
    whole = rounded_gaussian(deviation, len(total) // 2)
    return float(np.abs(total - whole).sum() / 2)


@pytest.mark.parametrize("hospitals", HOSPITALS)
@pytest.mark.parametrize("steps", STEPS)
def test_the_stated_bound_holds_and_is_not_far_from_the_truth(hospitals: int, steps: float) -> None:
    bound = 1e-3 / (hospitals * steps**4)
    assert bound / 10 < variation(hospitals, steps) <= bound


@pytest.mark.parametrize("hospitals", HOSPITALS)
def test_the_variation_is_that_of_the_fourth_derivative(hospitals: int) -> None:
    z = np.linspace(-12.0, 12.0, 200_001)
    hermite = np.trapezoid(np.abs(z**4 - 6 * z**2 + 3) * norm.pdf(z), z)
    leading = hermite / 5760 * (hospitals - 1) / (hospitals**2 * 8.0**4)
    assert variation(hospitals, 8.0) == pytest.approx(leading, rel=0.01)


def test_at_half_a_step_of_noise_the_bound_would_be_wrong_so_few_steps_are_refused() -> None:
    assert variation(2, 0.3) > 0.1
    assert Encoding.for_noise(1.0, 1.0, 4).step <= 2.0**-12


def test_the_slack_counts_every_value_of_every_release_and_both_sides_of_the_neighbourhood() -> None:
    plan = PrivacyPlan(1.5, 1e-4, 1.0, 1.0, 19, "distributed", 2.0, 10.0)
    encoding = Encoding(64, 0.25, 5)
    one = 1e-3 / (4 * 8.0**4)
    assert slack(plan, encoding, 2.0, 4, 300) == pytest.approx((1 + math.exp(1.5)) * 20 * 300 * one)
