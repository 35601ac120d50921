"""A clipped sum in its box: the same bound, all of the noise, whole steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.gradients import ClippedSum, add_noise
from privacy.randomness import Stream

KEY = bytes(32)
VALUES = st.lists(st.integers(-40, 40), min_size=4, max_size=4)


@given(VALUES, VALUES)
def test_two_sums_are_no_further_apart_in_the_box(one: list[int], other: list[int]) -> None:
    here, there = (
        ClippedSum(np.array(each, dtype=float), 1.0).within(10.0)[0].vector for each in (one, other)
    )
    apart = np.linalg.norm(np.subtract(one, other))
    assert np.linalg.norm(here - there) <= apart * (1 + 1e-12)


def test_the_box_is_applied_before_the_noise_and_counts_what_it_cut() -> None:
    total, outside = ClippedSum(np.full(20_000, 99.0), 1.0, step=2.0**-10).within(8.0)
    noisy = add_noise(total, 2.0, 1, Stream(KEY, "noise")).vector
    assert outside == 20_000
    assert (noisy.mean(), noisy.std()) == (pytest.approx(8.0, abs=0.1), pytest.approx(2.0, rel=0.03))
    assert np.all(noisy * 2.0**10 == np.rint(noisy * 2.0**10))


def test_without_a_box_nothing_changes() -> None:
    total = ClippedSum(np.array([1e9]), 1.0)
    assert total.within(float("inf")) == (total, 0)
