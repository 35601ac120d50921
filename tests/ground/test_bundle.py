from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from safetensors.numpy import save

from ground.arrays import Array
from ground.bundle import pack, unpack
from ground.errors import StateError

WHERE = "home/coordinator"
DAMAGED = f"^{WHERE}: damaged: "
NAMED = st.dictionaries(
    st.text(max_size=6),
    arrays_of.arrays(
        dtype=st.sampled_from([np.float32, np.float64]),
        shape=arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    ),
    max_size=4,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
HEADERS = st.dictionaries(st.text(max_size=6), JSON, max_size=4)

ARRAYS = {"weight": np.arange(6.0, dtype=np.float32).reshape(2, 3), "step": np.array(7.0)}
HEADER = {"round": 3, "accountant": "[]"}
WHOLE = pack(ARRAYS, HEADER)


def assert_same(arrays: dict[str, Array], expected: dict[str, Array]) -> None:
    assert set(arrays) == set(expected)
    for name, value in expected.items():
        assert arrays[name].dtype == value.dtype
        assert arrays[name].shape == value.shape
        np.testing.assert_array_equal(arrays[name], value)


@given(NAMED, HEADERS)
@settings(deadline=None)
def test_what_is_packed_is_unpacked(arrays: dict[str, Array], header: dict[str, Any]) -> None:
    back, header_back = unpack(pack(arrays, header), WHERE)
    assert_same(back, arrays)
    assert header_back == header


def test_equal_state_gives_equal_bytes() -> None:
    assert pack(dict(reversed(ARRAYS.items())), dict(reversed(HEADER.items()))) == WHOLE


def test_a_single_number_keeps_its_empty_shape() -> None:
    assert unpack(WHOLE, WHERE)[0]["step"].shape == ()


def test_a_transposed_array_keeps_its_values() -> None:
    value = np.arange(6.0).reshape(2, 3).T
    np.testing.assert_array_equal(unpack(pack({"a": value}, {}), WHERE)[0]["a"], value)


@given(st.integers(0, len(WHOLE) - 1))
@settings(deadline=None)
def test_a_truncated_bundle_is_refused_by_the_name_of_its_place(length: int) -> None:
    with pytest.raises(StateError, match=DAMAGED):
        unpack(WHOLE[:length], WHERE)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=500)
def test_a_corrupted_byte_never_passes_for_other_state(place: int, flip: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] ^= flip
    try:
        arrays, header = unpack(bytes(damaged), WHERE)
    except StateError:
        return
    # White space between the parts is all that may change unnoticed.
    assert_same(arrays, ARRAYS)
    assert header == HEADER


@pytest.mark.parametrize("place", [len(WHOLE) - 1, WHOLE.index(b"accountant"), WHOLE.index(b"weight")])
def test_a_flipped_bit_in_a_value_or_the_header_or_a_name_is_refused(place: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[place] ^= 1
    with pytest.raises(StateError, match=DAMAGED):
        unpack(bytes(damaged), WHERE)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    assume(data != WHOLE)
    with pytest.raises(StateError, match=DAMAGED):
        unpack(data, WHERE)


@pytest.mark.parametrize("metadata", [None, {}, {"header": "{}"}, {"format": "pt"}])
def test_a_safetensors_file_of_another_program_is_refused(metadata: dict[str, str] | None) -> None:
    with pytest.raises(StateError, match=DAMAGED):
        unpack(save(ARRAYS, metadata=metadata), WHERE)
