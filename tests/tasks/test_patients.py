from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.patients import PooledPatients, TablePatients

GENERATOR = torch.Generator()
SIZES = st.lists(st.integers(0, 6), min_size=1, max_size=5).filter(any)


def groups(sizes: list[int]) -> list[TablePatients]:
    """Everybody is another number, so that nobody can be taken for somebody else."""
    numbers = torch.arange(sum(sizes), dtype=torch.float32)
    return [
        TablePatients(
            part[:, None] * torch.tensor([1.0, -2.0]), part * 10, {"too young": len(part), "odd": 1}
        )
        for part in numbers.split(sizes)
    ]


def numbers(patients: PooledPatients | TablePatients) -> list[int]:
    inputs, _ = patients.batch(np.arange(len(patients), dtype=np.int64), GENERATOR)
    return inputs[:, 0].int().tolist()


@given(SIZES, st.data())
@settings(deadline=None)
def test_a_pooled_batch_is_that_of_the_concatenation(sizes: list[int], data: st.DataObject) -> None:
    parts = groups(sizes)
    whole = TablePatients(torch.cat([p.inputs for p in parts]), torch.cat([p.targets for p in parts]))
    pooled = PooledPatients(parts)
    chosen = data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=12))
    index = np.asarray(chosen, dtype=np.int64)
    assert len(pooled) == len(whole)
    for mine, expected in zip(pooled.batch(index, GENERATOR), whole.batch(index, GENERATOR), strict=True):
        torch.testing.assert_close(mine, expected, rtol=0, atol=0)


@given(SIZES, st.data())
@settings(deadline=None)
def test_a_pooled_subset_has_those_patients_grouped_by_hospital(
    sizes: list[int], data: st.DataObject
) -> None:
    everybody = list(range(sum(sizes)))
    chosen = data.draw(st.lists(st.sampled_from(everybody), unique=True))
    subset = PooledPatients(groups(sizes)).subset(np.asarray(chosen, dtype=np.int64))
    hospital = np.repeat(np.arange(len(sizes)), sizes)
    assert numbers(subset) == sorted(chosen, key=lambda number: hospital[number])


@given(st.integers(1, 8), st.data())
@settings(deadline=None)
def test_a_subset_has_those_patients_in_the_order_given(size: int, data: st.DataObject) -> None:
    patients = groups([size])[0]
    chosen = data.draw(st.lists(st.integers(0, size - 1)))
    assert numbers(patients.subset(np.asarray(chosen, dtype=np.int64))) == chosen


def test_a_subset_remembers_who_was_set_aside() -> None:
    assert groups([4])[0].subset(np.array([1])).set_aside == {"too young": 4, "odd": 1}


def test_reasons_for_setting_patients_aside_add_up() -> None:
    assert PooledPatients(groups([2, 3])).set_aside == {"too young": 5, "odd": 2}


def test_an_empty_batch_keeps_its_shape() -> None:
    inputs, targets = PooledPatients(groups([2, 3])).batch(np.zeros(0, dtype=np.int64), GENERATOR)
    assert inputs.shape == (0, 2)
    assert targets.shape == (0,)
