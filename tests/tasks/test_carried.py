"""Arrays travel without a copy in one process, and as plain bytes out of it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from flwr.app import Array as FlowerArray
from flwr.app import RecordDict

from tasks.carried import KINDS, RAW, CarriedArray, pack_arrays, unpack_array

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_in_one_process_no_number_is_copied() -> None:
    record = RecordDict({"arrays": pack_arrays({"model": VALUES})})
    arrived = unpack_array(record.array_records["arrays"]["model"])
    assert np.shares_memory(arrived, VALUES)


def test_what_arrives_cannot_be_written_into_and_what_was_sent_still_can() -> None:
    values = VALUES.copy()
    arrived = unpack_array(CarriedArray(values))
    with pytest.raises(ValueError, match="read-only"):
        arrived[0, 0] = 7.0
    values[0, 0] = 7.0


@pytest.mark.parametrize("kind", KINDS)
def test_pickled_it_is_flowers_own_array_of_raw_bytes(kind: str) -> None:
    values = np.arange(5).astype(kind)
    arrived = pickle.loads(pickle.dumps(CarriedArray(values)))  # noqa: S301
    assert type(arrived) is FlowerArray
    assert (arrived.dtype, arrived.shape, arrived.stype, arrived.data) == (kind, (5,), RAW, values.tobytes())
    np.testing.assert_array_equal(unpack_array(arrived), values)


def test_big_endian_and_strided_numbers_arrive_as_they_are() -> None:
    for values in (VALUES.astype(">f8"), VALUES[:, ::2], VALUES.T):
        np.testing.assert_array_equal(unpack_array(CarriedArray(values)), values)


@pytest.mark.parametrize(
    ("dtype", "shape", "stype", "data"),
    [
        ("<f4", (2,), "numpy.ndarray", bytes(8)),
        ("|O", (2,), RAW, bytes(16)),
        ("<f4", (3,), RAW, bytes(8)),
    ],
)
def test_anything_but_raw_numbers_of_that_shape_is_refused(
    dtype: str, shape: tuple[int, ...], stype: str, data: bytes
) -> None:
    with pytest.raises(ValueError, match=r"not an array of numbers|cannot reshape"):
        unpack_array(FlowerArray(dtype=dtype, shape=shape, stype=stype, data=data))
