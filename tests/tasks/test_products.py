from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.learners import products
from tasks.learners.products import (
    Scaling,
    clipped_loadings,
    clipped_rows,
    lengths,
    loadings,
    moments,
    scaling_of,
    scores,
)

PATIENTS, COLUMNS, VECTORS = 12, 23, 3


@dataclass(frozen=True, eq=False)
class Table:
    """(patient, column) in memory, in blocks of five columns."""

    values: npt.NDArray[Any]
    each: int = 5

    @property
    def width(self) -> int:
        return self.values.shape[1]

    def __len__(self) -> int:
        return len(self.values)

    def blocks(self) -> Iterator[tuple[slice, npt.NDArray[Any]]]:
        for start in range(0, self.width, self.each):
            some = slice(start, min(start + self.each, self.width))
            yield some, self.values[:, some].T


def genotypes(seed: int, patients: int = PATIENTS, missing: float = 0.2) -> npt.NDArray[np.int8]:
    random = np.random.default_rng(seed)
    found = random.integers(0, 3, (patients, COLUMNS)).astype(np.int8)
    found[random.random(found.shape) < missing] = -127
    return found


def standardised(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """By the book: missing cells are the column's mean, deviations over those that are known."""
    cells = np.where(values < 0, np.nan, values.astype(float)) if values.dtype.kind == "i" else values
    deviation = np.nanstd(cells, axis=0)
    found = (cells - np.nanmean(cells, axis=0)) / np.where(deviation > 0, deviation, np.inf)
    return np.nan_to_num(found) / np.sqrt(values.shape[1])


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3]))
@settings(deadline=None, max_examples=20)
def test_products_block_by_block_are_those_of_the_standardised_table(seed: int, missing: float) -> None:
    values, random = genotypes(seed, missing=missing), np.random.default_rng(seed)
    table, truth = Table(values), standardised(values)
    scaling = scaling_of(moments(table))
    weights, found = random.standard_normal((COLUMNS, VECTORS)), random.standard_normal((PATIENTS, VECTORS))
    np.testing.assert_allclose(scores(table, scaling, weights), truth @ weights, atol=1e-5)
    np.testing.assert_allclose(loadings(table, scaling, found), truth.T @ found, atol=1e-5)
    np.testing.assert_allclose(lengths(table, scaling), np.linalg.norm(truth, axis=1), atol=1e-6)


def test_moments_of_hospitals_add_up_to_one_standardisation() -> None:
    values = genotypes(3).astype(float)
    values[values < 0] = np.nan
    parts = [Table(part) for part in np.split(values, [2, 7])]
    together = scaling_of(sum(moments(part) for part in parts))
    alone = scaling_of(moments(Table(values)))
    np.testing.assert_allclose(together.mean, alone.mean, rtol=1e-6)
    np.testing.assert_allclose(together.inverse, alone.inverse, rtol=1e-6)


def test_a_column_that_is_constant_or_nobodys_counts_for_nothing() -> None:
    values = genotypes(4)
    values[:, 3], values[:, 9] = 2, -127
    scaling = scaling_of(moments(Table(values)))
    assert scaling.inverse[3] == scaling.inverse[9] == 0.0
    assert np.isfinite(lengths(Table(values), scaling)).all()


def test_a_large_mean_does_not_drown_what_varies() -> None:
    values = 1e4 + np.random.default_rng(5).standard_normal((PATIENTS, COLUMNS))
    table = Table(values)
    found = scores(table, scaling_of(moments(table)), np.eye(COLUMNS))
    np.testing.assert_allclose(found, standardised(values), atol=5e-4)


def without(table: Table, who: int) -> Table:
    return Table(np.delete(table.values, who, axis=0))


def moved(who: int, step: float, clip: float, factor: float = 1.0) -> float:
    """How far the sums move when a patient, her row and scores `factor` times as long, is taken out."""
    values, random = genotypes(6).astype(float), np.random.default_rng(8)
    values[values < 0], found = np.nan, random.standard_normal((PATIENTS, VECTORS))
    values[who] *= factor
    found[who] *= factor
    table = Table(values)
    scaling = Scaling(np.zeros(COLUMNS, np.float32), np.full(COLUMNS, 0.2, np.float32))
    beside, taken = found[:, :2] ** 2, np.ones(PATIENTS)
    rest, others = without(table, who), np.arange(PATIENTS) != who
    product = (
        clipped_loadings(table, scaling, found, beside, clip, step).vector
        - clipped_loadings(rest, scaling, found[others], beside[others], clip, step).vector
    )
    row = (
        clipped_rows([(table, scaling), (table, scaling)], taken, clip, step).vector
        - clipped_rows([(rest, scaling), (rest, scaling)], taken[others], clip, step).vector
    )
    return float(max(np.linalg.norm(product), np.linalg.norm(row)))


@pytest.mark.parametrize("step", [0.0, 2.0**-10])
@pytest.mark.parametrize("factor", [1.0, 1e6, np.inf])
def test_no_patient_moves_a_clipped_sum_by_more_than_the_clip(step: float, factor: float) -> None:
    with np.errstate(invalid="ignore"):
        assert max(moved(who, step, 0.3, factor) for who in range(PATIENTS)) <= 0.3 * (1 + 1e-9)


def test_without_the_clipping_a_patient_does_move_it_by_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "_shrunk", lambda norms, clip: np.ones((len(norms), 1)))  # noqa: ARG005
    assert max(moved(who, 0.0, 0.3) for who in range(PATIENTS)) > 0.3


def test_in_whole_steps_every_value_is_one_and_small_rows_are_hardly_shortened() -> None:
    table, step = Table(genotypes(6)), 2.0**-12
    scaling = scaling_of(moments(table))
    found = np.random.default_rng(1).standard_normal((PATIENTS, VECTORS))
    whole = clipped_loadings(table, scaling, found, found[:, :1], 100.0, step).vector
    exact = clipped_loadings(table, scaling, found, found[:, :1], 100.0, 0.0).vector
    np.testing.assert_array_equal(whole / step, np.rint(whole / step))
    assert np.abs(whole - exact).max() <= PATIENTS * step
    np.testing.assert_allclose(exact[:-1].reshape(COLUMNS, -1), loadings(table, scaling, found), atol=1e-5)


def test_a_table_is_never_expanded_as_a_whole() -> None:
    import tracemalloc

    from tasks.imaging_genetics.genotypes import Stored

    table = Stored(np.random.default_rng(1).integers(0, 3, (20_000, 64), dtype=np.int8), np.arange(64))
    scaling = scaling_of(moments(table))
    weights = np.ones((table.width, 1), dtype=np.float32)
    tracemalloc.start()
    loadings(table, scaling, scores(table, scaling, weights))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < table.values.nbytes  # as float32 the table is four times its bytes
