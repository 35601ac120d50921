from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from ground.arrays import Array, all_finite, flatten, size, unflatten

FLOATS = arrays_of.arrays(
    dtype=st.sampled_from([np.float32, np.float64]),
    shape=arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    elements=st.floats(-(2.0**100), 2.0**100, width=32),
)
NAMED = st.dictionaries(st.text(max_size=4), FLOATS, max_size=5)


@given(NAMED)
@settings(deadline=None)
def test_unflatten_is_the_inverse_of_flatten(arrays: dict[str, Array]) -> None:
    back = unflatten(flatten(arrays), arrays)
    assert list(back) == list(arrays)
    for name, value in arrays.items():
        assert back[name].dtype == value.dtype
        assert back[name].shape == value.shape
        np.testing.assert_array_equal(back[name], value)


@given(NAMED)
@settings(deadline=None)
def test_flatten_is_the_inverse_of_unflatten(arrays: dict[str, Array]) -> None:
    vector = np.arange(size(arrays), dtype=np.float64)
    np.testing.assert_array_equal(flatten(unflatten(vector, arrays)), vector)


@given(NAMED)
@settings(deadline=None)
def test_the_size_is_that_of_the_flat_vector(arrays: dict[str, Array]) -> None:
    assert flatten(arrays).shape == (size(arrays),)


def test_values_follow_the_order_of_the_mapping() -> None:
    arrays = {"weight": np.array([[1.0, 2.0], [3.0, 4.0]]), "bias": np.array([5.0])}
    np.testing.assert_array_equal(flatten(arrays), [1.0, 2.0, 3.0, 4.0, 5.0])
    np.testing.assert_array_equal(flatten(dict(reversed(arrays.items()))), [5.0, 1.0, 2.0, 3.0, 4.0])


def test_a_transposed_array_is_read_in_its_own_order() -> None:
    value = np.arange(6.0).reshape(2, 3).T
    np.testing.assert_array_equal(unflatten(flatten({"a": value}), {"a": value})["a"], value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_value_that_is_not_finite_is_found(bad: float) -> None:
    vector = np.ones(1000, dtype=np.float32)
    assert all_finite(vector)
    vector[617] = bad
    assert not all_finite(vector)


def test_values_whose_sum_overflows_are_finite_all_the_same() -> None:
    assert all_finite(np.full(1000, 3e38, dtype=np.float32))
    assert all_finite(np.zeros(0))


@pytest.mark.parametrize("shape", [(3,), (5,), (4, 1), (0,)])
def test_a_vector_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"where \(4,\) was expected"):
        unflatten(np.zeros(shape), {"a": np.zeros((2, 2))})
