"""Words of 32 bits for long vectors: their box, what it costs a patient's bound (nothing), and its limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from federation import federation
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ground.arrays import Array
from ground.errors import PrivacyError
from privacy.plan import PrivacyPlan
from privacy.randomness import Stream
from privacy.secagg.encoding import (
    DEVIATIONS,
    EVEN_PATIENTS,
    EVEN_STEPS,
    LEAST_EVEN_STEPS,
    PATIENTS,
    ROUNDED_STEPS,
    SMALL,
    WEIGHT,
    Encoding,
    allowed,
    slack,
)
from privacy.secagg.graph import fewest_in_a_sum

KEY = bytes(32)
SIZES = (3, 4, 6, 10, 20, 50, 60, 100, 200, 500, 1000)
VALUES = (2 * SMALL, 10_000, 1_000_000, 31_000_000)
# Of 50 rounds at δ = 10⁻⁵, as `PrivacyPlan.design` has them: it takes seconds.
MULTIPLIERS = {0.1: 220.98, 1.0: 26.80, 8.0: 4.31}
NARROW = [(0.1, 10_000), (0.1, 1_000_000), *((e, values) for e in (1.0, 8.0) for values in VALUES)]
Confine = Callable[[Array, float], Array]


@cache
def plan(epsilon: float, clip: float = 1.0) -> PrivacyPlan:
    return PrivacyPlan(epsilon, 1e-5, clip, 1.0, 50, "distributed", MULTIPLIERS[epsilon], 100.0)


def chosen(epsilon: float, hospitals: int, values: int, clip: float = 1.0) -> Encoding:
    return Encoding.for_gradients(plan(epsilon, clip), hospitals, fewest_in_a_sum(hospitals, 3), values)


@pytest.mark.parametrize("hospitals", SIZES)
@pytest.mark.parametrize(("epsilon", "values"), NARROW)
def test_long_vectors_get_32_bits_up_to_1000_hospitals(epsilon: float, values: int, hospitals: int) -> None:
    encoding, fewest = chosen(epsilon, hospitals, values), fewest_in_a_sum(hospitals, 3)
    deviation = MULTIPLIERS[epsilon] / math.sqrt(fewest)
    assert encoding.bits == 32
    assert slack(plan(epsilon), encoding, deviation, fewest, values) <= allowed(plan(epsilon))
    assert encoding.step <= 1.0 / (EVEN_STEPS * math.sqrt(values))
    assert encoding.box * math.sqrt(values) >= EVEN_PATIENTS


@pytest.mark.parametrize("hospitals", [50, 60, 100, 200, 500])
def test_where_noise_nearly_fills_32_bits_steps_are_coarser_and_words_no_wider(hospitals: int) -> None:
    encoding, fewest = chosen(0.1, hospitals, 31_000_000), fewest_in_a_sum(hospitals, 3)
    deviation = MULTIPLIERS[0.1] / math.sqrt(fewest)
    assert encoding.bits == 32
    assert slack(plan(0.1), encoding, deviation, fewest, 31_000_000) <= allowed(plan(0.1))
    assert LEAST_EVEN_STEPS <= 1.0 / (encoding.step * math.sqrt(31_000_000)) < EVEN_STEPS
    assert encoding.box * math.sqrt(31_000_000) >= EVEN_PATIENTS


def test_where_64_bits_remain() -> None:
    """Where noise alone nearly fills 32 bits: a very small epsilon over very many hospitals and values."""
    assert chosen(0.1, 1000, 31_000_000).bits == 64
    assert chosen(0.1, 10, 31_000_000).bits == chosen(0.1, 1000, 1_000_000).bits == 32
    assert chosen(8.0, 1000, SMALL).bits == 64  # as many bytes more as a few shares take


@pytest.mark.parametrize("epsilon", MULTIPLIERS)
@pytest.mark.parametrize("values", [SMALL + 1, 2048, 4096])
def test_beyond_the_shortest_vectors_words_have_32_bits(epsilon: float, values: int) -> None:
    for hospitals in SIZES[:-1]:
        encoding, fewest = chosen(epsilon, hospitals, values), fewest_in_a_sum(hospitals, 3)
        deviation = MULTIPLIERS[epsilon] / math.sqrt(fewest)
        assert encoding.bits == 32
        assert slack(plan(epsilon), encoding, deviation, fewest, values) <= allowed(plan(epsilon))
        assert encoding.step <= 1.0 / (EVEN_STEPS * math.sqrt(values))
        assert encoding.box * math.sqrt(values) >= EVEN_PATIENTS


def test_of_the_shortest_vectors_no_words_would_keep_to_four_and_a_half_bytes_a_value() -> None:
    """Keys and shares alone take the half byte, in the smallest federation that there is."""
    three = federation(3)
    prepared = three.prepare(1)
    opening = three.open(1)
    for name in three.names:
        three.mask(name, opening)
    three.collect(three.names)
    request = three.close()
    for name in three.names:
        said = len(prepared[name].to_text()) + len(three.unmask(name, request).to_text())
        assert said > 0.5 * SMALL


@pytest.mark.parametrize("epsilon", MULTIPLIERS)
@pytest.mark.parametrize("hospitals", SIZES)
@pytest.mark.parametrize("values", [1, 14, SMALL])
def test_short_vectors_are_as_they_were_and_hold_100_000_patients(
    epsilon: float, hospitals: int, values: int
) -> None:
    deviation = MULTIPLIERS[epsilon] / math.sqrt(fewest_in_a_sum(hospitals, 3))
    encoding = chosen(epsilon, hospitals, values)
    assert encoding == Encoding.for_noise(1.0, deviation, hospitals)
    assert encoding.box >= PATIENTS


@pytest.mark.parametrize("clip", [0.1, 3.7])
def test_the_words_do_not_depend_on_the_unit_of_the_clip(clip: float) -> None:
    for hospitals in SIZES:
        one, other = chosen(8.0, hospitals, 1_000_000), chosen(8.0, hospitals, 1_000_000, clip)
        assert one.bits == other.bits
        assert one.step * clip / 2 <= other.step <= one.step * clip * 2


@pytest.mark.parametrize("hospitals", SIZES)
@pytest.mark.parametrize("epsilon", [1.0, 8.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_all_hospitals_at_the_wall_with_the_most_noise_decode_exactly(
    hospitals: int, epsilon: float, sign: float
) -> None:
    encoding = chosen(epsilon, hospitals, 1_000_000)
    far, outside = encoding.confine(np.full(3, sign * 1e9))
    assert outside == 3
    np.testing.assert_array_equal(far, sign * encoding.box)
    most = math.floor(DEVIATIONS * encoding.deviation / encoding.step) * encoding.step
    words = encoding.encode(far + sign * most)
    total = (words.astype(np.uint64) * np.uint64(hospitals)).astype(words.dtype)
    np.testing.assert_array_equal(encoding.decode(total), hospitals * sign * (encoding.box + most))
    with pytest.raises(PrivacyError, match="nothing was sent"):
        encoding.encode(far + sign * (encoding.bound - encoding.box + encoding.step))


def projected(values: Array, box: float) -> Array:
    words = Encoding(32, 1.0, 1000)
    return replace(words, deviation=(words.most - box) / DEVIATIONS).confine(values)[0]


def emptied(values: Array, box: float) -> Array:
    """Not a projection: what is outside becomes nothing."""
    return np.where(np.abs(values) > box, 0.0, values)


def wrapped(values: Array, box: float) -> Array:
    """Not a projection: what is outside comes in again on the other side."""
    return (values + box) % (2 * box) - box


PATIENT = arrays.arrays(np.float64, 5, elements=st.floats(-4.0, 4.0))
OTHERS = arrays.arrays(np.int64, (6, 5), elements=st.integers(-40, 40))


def moved(confine: Confine, patient: Array, others: Array, taken: list[bool]) -> tuple[float, float]:
    """How far a patient moves the confined sum of whole steps, and its own length, whoever else is taken."""
    whole = np.trunc(patient)
    rest = others[np.array(taken)].sum(axis=0).astype(np.float64)
    change = confine(rest + whole, 50.0) - confine(rest, 50.0)
    return float(np.linalg.norm(change)), float(np.linalg.norm(patient))


@given(PATIENT, OTHERS, st.lists(st.booleans(), min_size=6, max_size=6))
@settings(deadline=None, max_examples=200)
def test_a_patient_moves_the_confined_sum_by_no_more_than_its_own_length(
    patient: Array, others: Array, taken: list[bool]
) -> None:
    change, length = moved(projected, patient, others, taken)
    assert change <= length * (1 + 1e-12)


@pytest.mark.parametrize("confine", [emptied, wrapped])
def test_other_ways_to_make_it_fit_would_break_the_bound(confine: Confine) -> None:
    others = np.full((6, 5), 8, dtype=np.int64)
    change, length = moved(confine, np.full(5, 4.0), others, [True] * 6)
    assert change > 10 * length


def test_confining_the_noisy_sum_would_take_the_noise_out_and_confining_before_does_not() -> None:
    encoding = chosen(8.0, 1000, 1_000_000)
    noise = Stream(KEY, "noise").normal(20_000) * encoding.deviation
    far = np.full(20_000, 10 * encoding.box)
    before = encoding.confine(far)[0] + noise
    assert before.std() == pytest.approx(encoding.deviation, rel=0.02)
    assert np.clip(far + noise, -encoding.box, encoding.box).std() == 0.0
    with pytest.raises(PrivacyError, match="nothing was sent"):
        encoding.encode(far + noise)
    encoding.encode(before)


def test_what_is_inside_is_neither_changed_nor_copied() -> None:
    encoding = chosen(8.0, 4, 10_000)
    inside = np.linspace(-encoding.box, encoding.box, 9)
    confined, outside = encoding.confine(inside)
    assert confined is inside
    assert outside == 0


REACH = st.floats(1e-4, 1e3)


@given(REACH, st.floats(1e-4, 1e3), st.sampled_from(SIZES))
@settings(deadline=None)
def test_vectors_that_are_private_already_get_32_bits_and_hardly_any_more_noise(
    reach: float, deviation: float, hospitals: int
) -> None:
    encoding = Encoding.for_released(reach, deviation, hospitals)
    assert encoding.bits == 32
    steps = deviation / encoding.step
    assert steps >= ROUNDED_STEPS
    assert 1 / (12 * steps**2) < 4e-4
    assert encoding.box >= PATIENTS * reach or steps < 2 * ROUNDED_STEPS


@pytest.mark.parametrize("hospitals", SIZES)
def test_a_weight_has_words_of_its_own_and_survives_however_small_the_step(hospitals: int) -> None:
    encoding = Encoding.for_released(1e-4, 1e-3, hospitals)
    vector = np.array([0.25, -0.125, 0.0, 99_999.0])
    words = encoding.encode(encoding.confine(vector)[0])
    total = (words.astype(np.uint64) * np.uint64(hospitals)).astype(words.dtype)
    decoded = encoding.decode(total) / hospitals
    np.testing.assert_allclose(decoded[:-1], vector[:-1], atol=encoding.step / 2)
    assert decoded[-1] == pytest.approx(99_999.0, abs=encoding.for_weights().step / 2)
    assert encoding.for_weights().bound >= WEIGHT


def test_a_hospital_with_more_patients_than_a_weight_holds_counts_as_so_many() -> None:
    encoding = Encoding.for_released(1.0, 1.0, 4)
    confined, outside = encoding.confine(np.array([8.0, -4.0, 4 * WEIGHT]))
    assert outside == 0
    assert confined.tolist() == [2.0, -1.0, WEIGHT]
    assert confined[0] / confined[-1] == 8.0 / (4 * WEIGHT)  # the mean that it stands for is the same


def test_what_is_beyond_the_words_of_a_private_vector_is_cut_and_counted() -> None:
    encoding = Encoding.for_released(1e-3, 1e-3, 1000)
    vector = np.array([10 * encoding.box, 0.0, -10 * encoding.box, 100.0], dtype=np.float32)
    confined, outside = encoding.confine(vector)
    assert outside == 2
    np.testing.assert_allclose(confined, [encoding.box, 0.0, -encoding.box, 100.0], rtol=1e-6)
    encoding.encode(confined)  # a float32 next to the wall is within it
    assert vector[0] > encoding.box  # the vector itself is as it was


def test_finer_words_come_with_more_values_and_coarser_ones_never() -> None:
    for hospitals in SIZES:
        steps = [chosen(8.0, hospitals, values).step for values in VALUES]
        assert all(one >= other for one, other in pairwise(steps))
