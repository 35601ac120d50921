"""The second half of `privacy.gradients`: what bounds a row, and what adds the noise."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from scipy.stats import kstest

from ground.arrays import Array
from privacy.gradients import STRETCH, ClippedSum, add_noise, clip_rows
from privacy.plan import UNIT
from privacy.randomness import Stream

KEY = bytes(range(32))
COUNT = 200_000
CLIPS = st.floats(1e-3, 1e3)
ROWS = arrays_of.arrays(np.float64, (3, 4), elements=st.floats(-1e30, 1e30))


def noisy_shares(hospitals: int, noise_multiplier: float, bound: float) -> list[Array]:
    """Each hospital's share of the noise alone: that on a sum of zeros."""
    zeros = ClippedSum(np.zeros(COUNT), bound)
    return [
        add_noise(zeros, noise_multiplier, hospitals, Stream(KEY, "hospital", i)).vector
        for i in range(hospitals)
    ]


@given(ROWS, CLIPS)
@settings(deadline=None)
def test_no_row_is_longer_than_the_clip(rows: Array, clip: float) -> None:
    norms = np.linalg.norm(clip_rows(torch.from_numpy(rows), clip).numpy(), axis=1)
    assert (norms <= clip * (1 + 1e-12)).all()


@given(ROWS, CLIPS)
@settings(deadline=None)
def test_a_row_keeps_its_direction(rows: Array, clip: float) -> None:
    clipped = clip_rows(torch.from_numpy(rows), clip).numpy()
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    expected = np.where(norms > clip, rows * (clip / np.maximum(norms, clip)), rows)
    np.testing.assert_allclose(clipped, expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("value", [1e30, 1e38, 3e-39, 1e-12])
def test_the_bound_holds_in_single_precision_at_its_limits(value: float) -> None:
    rows = torch.full((1, 10_000), value, dtype=torch.float32)
    assert clip_rows(rows, 1.0).double().norm() <= 1.0 + 1e-6


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_row_that_is_not_finite_becomes_zero_and_the_others_stay(value: float) -> None:
    rows = torch.tensor([[0.3, 0.4], [value, 1.0], [3.0, 4.0]])
    expected = torch.tensor([[0.3, 0.4], [0.0, 0.0], [0.6, 0.8]])
    torch.testing.assert_close(clip_rows(rows, 1.0), expected)


def test_a_row_of_zeros_stays_zero() -> None:
    torch.testing.assert_close(clip_rows(torch.zeros(1, 3), 1.0), torch.zeros(1, 3))


def test_a_clipped_sum_counts_in_patients() -> None:
    assert ClippedSum(np.zeros(1), 1.0).unit == UNIT == "patient"


@pytest.mark.parametrize("value", [np.zeros(3), torch.zeros(3), [0.0], 0.0, None])
def test_noise_is_added_to_a_clipped_sum_and_to_nothing_else(value: object) -> None:
    with pytest.raises(TypeError, match="ClippedSum"):
        add_noise(value, 1.0, 1, Stream(KEY))  # type: ignore[arg-type]


def test_a_sum_that_is_noisy_already_is_refused() -> None:
    noisy = add_noise(ClippedSum(np.zeros(3), 1.0), 1.0, 1, Stream(KEY))
    with pytest.raises(TypeError, match="ClippedSum"):
        add_noise(noisy, 1.0, 1, Stream(KEY))  # type: ignore[arg-type]


@given(arrays_of.arrays(np.float64, 5, elements=st.floats(-1e6, 1e6)), CLIPS, st.integers(1, 9))
@settings(deadline=None)
def test_no_noise_leaves_the_sum_as_it_was(vector: Array, bound: float, shares: int) -> None:
    released = add_noise(ClippedSum(vector, bound), 0.0, shares, Stream(KEY))
    np.testing.assert_array_equal(released.vector, vector)
    assert (released.bound, released.noise) == (bound, 0.0)


def test_noise_comes_on_top_of_the_sum() -> None:
    vector = np.array([10.0, -20.0, 30.0])
    released = add_noise(ClippedSum(vector, 2.0), 1.5, 4, Stream(KEY))
    np.testing.assert_allclose(released.vector - vector, Stream(KEY).normal(3) * 1.5)
    assert (released.bound, released.noise) == (2.0, 1.5)


LONG = np.random.default_rng(1).normal(0, 100, 2 * STRETCH + 5)


@pytest.mark.parametrize("step", [0.0, 2.0**-10])
def test_noise_in_the_sum_s_own_memory_is_the_same_noise(step: float) -> None:
    vector = np.rint(LONG / step) * step if step else LONG
    apart, own = ClippedSum(vector.copy(), 1.0, step=step), ClippedSum(vector.copy(), 1.0, step=step)
    noise = Stream(KEY).normal(LONG.size) * 1.5
    expected = vector + (np.rint(noise / step) * step if step else noise)
    np.testing.assert_array_equal(add_noise(apart, 1.5, 1, Stream(KEY)).vector, expected)
    released = add_noise(own, 1.5, 1, Stream(KEY), in_place=True).vector
    np.testing.assert_array_equal(released, expected)
    np.testing.assert_array_equal(apart.vector, vector)  # as it was
    assert np.shares_memory(released, own.vector)


def test_noise_in_place_takes_no_memory_that_grows_with_the_sum() -> None:
    peaks = []
    for in_place in (True, False):
        total = ClippedSum(np.zeros(40 * STRETCH), 1.0, step=2.0**-10)
        tracemalloc.start()
        add_noise(total, 1.0, 1, Stream(KEY), in_place=in_place)
        peaks.append(tracemalloc.get_traced_memory()[1] / total.vector.nbytes)
        tracemalloc.stop()
    assert peaks[0] < 0.3 < 1.0 < peaks[1]


def test_two_releases_from_one_stream_carry_different_noise() -> None:
    stream, total = Stream(KEY), ClippedSum(np.zeros(3), 1.0)
    assert (add_noise(total, 1.0, 1, stream).vector != add_noise(total, 1.0, 1, stream).vector).all()


@pytest.mark.parametrize("hospitals", [1, 4, 7])
def test_shares_of_noise_add_up_to_the_whole(hospitals: int) -> None:
    whole = np.sum(noisy_shares(hospitals, 3.0, 0.5), axis=0) / (3.0 * 0.5)
    assert kstest(whole, "norm").pvalue > 1e-3
    assert abs(whole.var() - 1.0) < 4 * (2 / COUNT) ** 0.5


def test_one_share_fewer_leaves_the_variance_that_a_participant_sees() -> None:
    rest = np.sum(noisy_shares(4, 3.0, 0.5)[1:], axis=0) / (3.0 * 0.5)
    assert abs(rest.var() / 0.75 - 1.0) < 4 * (2 / COUNT) ** 0.5


@given(st.floats(0.01, 100.0), CLIPS, st.integers(1, 50))
@settings(deadline=None)
def test_the_deviations_that_are_stated_add_up_to_the_whole(
    noise_multiplier: float, bound: float, hospitals: int
) -> None:
    total = ClippedSum(np.zeros(1), bound)
    stated = [add_noise(total, noise_multiplier, hospitals, Stream(KEY)).noise for _ in range(hospitals)]
    assert np.sqrt(np.sum(np.square(stated))) == pytest.approx(noise_multiplier * bound)
