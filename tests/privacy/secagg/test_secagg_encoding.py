"""Numbers as words: the sum cannot overflow, and nothing is cut off in silence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.arrays import Array, Words
from ground.errors import PrivacyError
from privacy.randomness import Stream
from privacy.secagg.encoding import DEVIATIONS, FEWEST_STEPS, METRIC, MOST_STEPS, STRETCH, Bits, Encoding

BITS = st.sampled_from([32, 64])
STEPS = st.integers(-30, 10).map(lambda power: 2.0**power)
KEY = bytes(32)


def summed(words: list[Words]) -> Words:
    total = words[0].copy()
    for each in words[1:]:
        total += each
    return total


@given(BITS, STEPS, st.integers(1, 200), st.data())
@settings(deadline=None, max_examples=60)
def test_the_sum_of_any_encodings_within_the_bounds_is_exact(
    bits: Bits, step: float, hospitals: int, data: st.DataObject
) -> None:
    encoding = Encoding(bits, step, hospitals)
    extreme = st.sampled_from([-encoding.most, encoding.most])
    steps = data.draw(st.lists(extreme | st.integers(-(1 << 20), 1 << 20), min_size=1, max_size=hospitals))
    total = summed([encoding.encode(np.array([each * step])) for each in steps])
    assert total.dtype == np.dtype(f"<u{bits // 8}")
    assert encoding.decode(total)[0] == sum(steps) * step


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("hospitals", [*range(1, 13), 50, 64, 100, 127, 128, 199, 200])
def test_all_hospitals_at_the_bound_do_not_overflow_and_one_step_beyond_it_is_refused(
    bits: Bits, hospitals: int
) -> None:
    encoding = Encoding(bits, 2.0**-10, hospitals)
    for sign in (1.0, -1.0):
        at_bound = np.array([sign * encoding.bound])
        assert encoding.decode(encoding.encode(at_bound)) == at_bound
        total = summed([encoding.encode(at_bound)] * hospitals)
        assert encoding.decode(total)[0] == sign * hospitals * encoding.most * encoding.step
        beyond = [np.nextafter(at_bound, sign * np.inf)] if bits == 64 else []
        for each in [*beyond, at_bound + sign * encoding.step]:
            if each != at_bound:  # beyond 2^53 steps, adding one changes nothing
                with pytest.raises(PrivacyError, match="nothing was sent"):
                    encoding.encode(each)


@given(BITS, st.integers(1, 200))
@settings(deadline=None)
def test_the_bound_times_the_hospitals_fits_the_word_and_a_float_holds_it(bits: Bits, hospitals: int) -> None:
    most = Encoding(bits, 1.0, hospitals).most
    assert most * hospitals <= 2 ** (bits - 1) - 1
    assert int(float(most)) == most
    assert most + 1 + 2 ** (bits - 53) > (2 ** (bits - 1) - 1) // hospitals


@pytest.mark.parametrize("value", [8.1, -8.1, 100.0, 1e30, 1e308])
def test_a_value_beyond_the_bound_is_refused_and_never_saturates(value: float) -> None:
    encoding = Encoding(32, 2.0**-25, 8)  # ±8, as Flower has it
    assert 7.9 < encoding.bound < 8.0
    with pytest.raises(PrivacyError, match="a value is beyond ±8, the most that one of 8 hospitals"):
        encoding.encode(np.array([0.0, value]))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("stream", [None, Stream(KEY)])
@pytest.mark.parametrize("bits", [32, 64])
def test_what_is_not_a_finite_number_is_refused(value: float, stream: Stream | None, bits: Bits) -> None:
    with pytest.raises(PrivacyError, match="nothing was sent"):
        Encoding(bits, 1.0, 3).encode(np.array([0.0, value]), stream)


def test_a_weight_is_carried_exactly_or_refused() -> None:
    encoding = Encoding.for_values(1000.0, 2.0**-10, 4)
    assert encoding.decode(encoding.encode(np.array([3.0, 1000.0]))).tolist() == [3.0, 1000.0]
    with pytest.raises(PrivacyError):
        encoding.encode(np.array([1.0e9]))


def test_the_last_of_many_values_is_checked_too() -> None:
    values = np.zeros(2 * STRETCH + 5)
    values[-1] = 1e12
    with pytest.raises(PrivacyError):
        Encoding(32, 1.0, 3).encode(values)


def test_many_values_keep_their_places() -> None:
    values = np.arange(2 * STRETCH + 5, dtype=np.float32)
    encoding = Encoding(32, 0.5, 3)
    np.testing.assert_array_equal(encoding.decode(encoding.encode(values)), values)


@given(st.floats(-1e6, 1e6), STEPS)
@settings(deadline=None)
def test_a_value_is_rounded_to_the_nearest_step(value: float, step: float) -> None:
    encoding = Encoding(64, step, 3)
    assert abs(encoding.decode(encoding.encode(np.array([value])))[0] - value) <= step / 2


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("whole", [-3, 0, 7])
def test_random_rounding_is_unbiased_and_goes_to_a_neighbouring_step(whole: int, fraction: float) -> None:
    count = 200_000
    encoding = Encoding(32, 1.0, 3)
    values: Array = np.full(count, whole + fraction)
    rounded = encoding.decode(encoding.encode(values, Stream(KEY, "rounding")))
    assert set(np.unique(rounded)) <= {whole, whole + 1}
    assert abs(rounded.mean() - values[0]) <= 4 * math.sqrt(fraction * (1 - fraction) / count) + 1e-12


def test_rounding_to_the_nearest_is_biased_where_random_rounding_is_not() -> None:
    values = np.full(10_000, 0.25)
    assert Encoding(32, 1.0, 3).decode(Encoding(32, 1.0, 3).encode(values)).mean() == 0.0


@given(st.floats(1e-3, 1e6), st.floats(1e-6, 1.0), st.integers(3, 200))
@settings(deadline=None)
def test_words_for_values_are_the_narrowest_that_hold_them(
    bound: float, precision: float, hospitals: int
) -> None:
    encoding = Encoding.for_values(bound, precision, hospitals)
    assert precision / 2 < encoding.step <= precision
    assert encoding.bound >= bound
    assert encoding.bits == 32 or Encoding(32, encoding.step, hospitals).bound < bound
    assert encoding.decode(encoding.encode(np.array([bound])))[0] == pytest.approx(bound, abs=precision)


VALUES = np.random.default_rng(5).normal(0, 100, 2 * STRETCH + 77)


@pytest.mark.parametrize(("kind", "bits"), [("f8", 32), ("f8", 64), ("f4", 32)])
@pytest.mark.parametrize("released", [False, True])
def test_words_that_overwrite_their_values_are_the_same_words(kind: str, bits: Bits, released: bool) -> None:
    encoding, values = Encoding(bits, 2.0**-10, 5, released=released), np.abs(VALUES).astype(kind)
    expected, own = encoding.encode(values), values.copy()
    room = encoding.room_in(own, own.size)
    assert room is not None
    assert np.shares_memory(room, own)
    np.testing.assert_array_equal(encoding.encode(own, into=room), expected)


def test_words_written_before_their_values_are_read_are_no_words_of_theirs() -> None:
    """What the test above would notice: the last words first, which lie where other values are still read."""
    encoding, own = Encoding(32, 2.0**-10, 5), VALUES.copy()
    room, half = encoding.room_in(own, own.size), own.size // 2
    assert room is not None
    encoding.encode(own[half:], into=room[half:])
    with pytest.raises(PrivacyError, match="a value is beyond"):
        encoding.encode(own[:half], into=room[:half])


def test_values_have_no_room_for_wider_or_more_words_or_where_they_are_another_s() -> None:
    single, double = np.zeros(8, dtype=np.float32), np.zeros(8)
    fixed = np.zeros(8)
    fixed.flags.writeable = False
    assert Encoding(64, 1.0, 3).room_in(single, 8) is None
    assert Encoding(32, 1.0, 3).room_in(single, 9) is None
    assert Encoding(32, 1.0, 3).room_in(double, 17) is None
    assert Encoding(32, 1.0, 3).room_in(fixed, 8) is None
    assert Encoding(32, 1.0, 3).room_in(double[::2], 4) is None
    room = Encoding(32, 1.0, 3).room_in(double, 16)
    assert room is not None
    assert room.size == 16


def test_values_that_no_word_holds_are_refused() -> None:
    with pytest.raises(PrivacyError, match="no word holds 3 values up to 1e"):
        Encoding.for_values(1e20, 1e-6, 3)


@given(
    st.floats(1e-3, 1e3), st.floats(1e-2, 1e3), st.integers(3, 200), st.sampled_from([100, 10_000, 100_000])
)
@settings(deadline=None)
def test_words_for_noise_hold_all_patients_and_the_most_noise_in_fine_enough_steps(
    clip: float, multiplier: float, hospitals: int, patients: int
) -> None:
    deviation = clip * multiplier
    encoding = Encoding.for_noise(clip, deviation, hospitals, patients)
    assert math.log2(encoding.step).is_integer()
    assert encoding.bound >= patients * clip + DEVIATIONS * deviation + encoding.step / 2
    assert FEWEST_STEPS <= deviation / encoding.step <= MOST_STEPS


def test_few_patients_get_32_bits_and_many_get_64() -> None:
    assert Encoding.for_noise(1.0, 1.0, 4, patients=1_000).bits == 32
    assert Encoding.for_noise(1.0, 1.0, 200, patients=100_000).bits == 64


@given(BITS, st.integers(3, 200))
@settings(deadline=None)
def test_words_for_metrics_hold_the_largest_as_precisely_as_they_can(bits: Bits, hospitals: int) -> None:
    encoding = Encoding(bits, 1.0, hospitals).for_metrics()
    assert METRIC <= encoding.bound < 2 * METRIC
    assert encoding.bits == bits
