"""Products of a table with weight vectors, block by block: 10⁶ columns are never expanded as a whole.

With Z the standardised table, z_ij = (g_ij − μ_j)·s_j and 0 where a cell is missing,

    scores    T = Z W        shape (patient, vector)
    loadings  L = Zᵀ T       shape (column, vector)

are all that partial least squares and principal components need of it. Both are formed from blocks of
columns as they lie on disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ground.arrays import Array
from privacy.gradients import ClippedSum

Floats = npt.NDArray[np.float64]
Values = npt.NDArray[Any]
# Cells of a block: as float32 they stay in the processor's cache, which is several times as fast. Of very
# many patients no fewer columns than these are taken at a time.
CELLS, LEAST = 1 << 16, 32


@lru_cache(maxsize=1)
def _threads() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, numpy multiplies in one thread.

    Blocks are small, sums come out in one order, and hospitals on one machine do not wait for each other's
    threads.
    """
    with _threads().limit(limits=1):
        yield


class View(Protocol):
    """One table of some patients: whole columns at a time. Sensitive."""

    @property
    def width(self) -> int:
        """Number of columns."""

    def __len__(self) -> int:
        """Number of patients."""

    def blocks(self) -> Iterator[tuple[slice, Values]]:
        """Which columns, and their values, shape (column, patient); missing is NaN, in integers below 0."""


@dataclass(frozen=True, eq=False)
class Scaling:
    """How columns are standardised: both of shape (column,), float32; a constant column has `inverse` 0."""

    mean: npt.NDArray[np.float32]
    inverse: npt.NDArray[np.float32]


def widths(columns: int, patients: int) -> Iterator[slice]:
    """The columns in blocks of about `CELLS` cells."""
    width = max(LEAST, CELLS // max(1, patients))
    for start in range(0, columns, width):
        yield slice(start, min(start + width, columns))


def moments(view: View) -> Floats:
    """(number known, sum, sum of squares) of each column, shape (3, column)."""
    found = np.zeros((3, view.width))
    for columns, values in view.blocks():
        cells, missing = _known(values, np.float64)
        if missing is not None:
            cells[missing] = 0.0
        found[0, columns] = len(view) if missing is None else len(view) - missing.sum(axis=1)
        found[1, columns] = cells.sum(axis=1)
        found[2, columns] = np.einsum("ij,ij->i", cells, cells)
    return found


def scaling_of(found: Array) -> Scaling:
    """Mean and 1/(deviation·√columns) of each column, so that a patient's row has a norm of about 1.

    `found` is the sum of hospitals' `moments`. A column that is constant, or nobody's, gets 0.
    """
    found = np.asarray(found, dtype=np.float64)
    count = np.maximum(found[0], 1.0)
    mean = found[1] / count
    variance = found[2] / count - mean**2
    varies = variance > 1e-12 * np.maximum(found[2] / count, 1e-30)
    inverse = np.zeros_like(mean)
    inverse[varies] = 1.0 / np.sqrt(variance[varies] * len(mean))
    return Scaling(mean.astype(np.float32), inverse.astype(np.float32))


def scores(
    view: View, scaling: Scaling, weights: Values, kind: type[np.floating[Any]] = np.float32
) -> Floats:
    """T = Z W, shape (patient, vector); `weights` has shape (column, vector).

    Products are formed in `kind`: whoever bounds what one patient changes needs float64, since with her the
    others' float32 products are rounded differently.
    """
    found = np.zeros((len(view), weights.shape[1]))
    for columns, values in view.blocks():
        scaled = (weights[columns] * scaling.inverse[columns, None]).astype(kind)
        found += _centred(values, scaling, columns, kind).T @ scaled
    return found


def loadings(view: View, scaling: Scaling, found: Floats) -> npt.NDArray[np.float32]:
    """L = Zᵀ T, shape (column, vector); `found` are scores, shape (patient, vector)."""
    whole = np.empty((view.width, found.shape[1]), dtype=np.float32)
    narrow = found.astype(np.float32)
    for columns, values in view.blocks():
        part = _centred(values, scaling, columns) @ narrow
        np.multiply(part, scaling.inverse[columns, None], out=whole[columns])
    return whole


def lengths(view: View, scaling: Scaling) -> Floats:
    """The norm of each patient's row of Z, shape (patient,)."""
    squares = np.zeros(len(view))
    for columns, values in view.blocks():
        cells = standardised(values, scaling, columns)
        squares += np.einsum("ij,ij->j", cells, cells)
    return np.sqrt(squares)


def clipped_loadings(
    view: View, scaling: Scaling, found: Floats, beside: Floats, clip: float, step: float
) -> ClippedSum:
    """(L, Σ beside), flat, of patients none of whom moves it by more than `clip`.

    A patient's part is (z_i ⊗ t_i, beside_i), scaled down to norm `clip` where it is longer, and rounded
    towards zero to whole steps where `step` is not 0. `beside` has shape (patient, value).
    """
    norms = np.hypot(lengths(view, scaling) * np.linalg.norm(found, axis=1), np.linalg.norm(beside, axis=1))
    shrunk = _shrunk(norms, clip)
    found, beside = np.nan_to_num(found) * shrunk, np.nan_to_num(beside) * shrunk
    sums = _summed(view, scaling, found, step).reshape(-1), whole_steps(beside, step).sum(axis=0)
    return ClippedSum(np.concatenate(sums), clip, step=step)


def clipped_rows(
    views: Sequence[tuple[View, Scaling]], taken: Floats, clip: float, step: float
) -> ClippedSum:
    """Σ_i w·z_i over several tables of the same patients, flat; nobody moves it by more than `clip`.

    w = clip/2, since with two tables a row has a norm of √2 or so. `taken` is 1 or 0 for each patient.
    """
    norms = np.sqrt(sum(lengths(view, scaling) ** 2 for view, scaling in views)) * clip / 2.0
    weight = taken[:, None] * _shrunk(norms, clip) * clip / 2.0
    parts = [_summed(view, scaling, weight, step).reshape(-1) for view, scaling in views]
    return ClippedSum(np.concatenate(parts), clip, step=step)


def _shrunk(norms: Floats, clip: float) -> Floats:
    """What brings rows of these norms to the clip, shape (patient, 1); 0 for one that is not finite.

    A hair below it: products are rounded, and the bound is to hold as it is claimed.
    """
    found = np.minimum(1.0, clip * (1.0 - 1e-9) / np.maximum(norms, 1e-300))
    found[~np.isfinite(norms)] = 0.0
    return found[:, None]


def _summed(view: View, scaling: Scaling, found: Floats, step: float) -> Floats:
    """Zᵀ T in double precision, shape (column, vector); each patient's part in whole steps."""
    whole = np.empty((view.width, found.shape[1]))
    width = max(1, CELLS // max(1, found.size))
    for columns, values in view.blocks():
        cells = np.nan_to_num(standardised(values, scaling, columns))
        if step == 0.0:
            whole[columns] = cells @ found
            continue
        for start in range(0, len(cells), width):
            part = cells[start : start + width, :, None] * found[None]
            where = slice(columns.start + start, columns.start + start + len(part))
            whole[where] = whole_steps(part, step).sum(axis=1)
    return whole


def whole_steps(values: Floats, step: float) -> Floats:
    """Rounded towards zero to whole steps, which makes nothing longer; as it is where `step` is 0."""
    return np.trunc(values / step) * step if step else values


def _known(values: Values, kind: type[np.floating[Any]]) -> tuple[Values, npt.NDArray[np.bool_] | None]:
    """A copy as floats, and which cells are missing; None where none is."""
    cells = values.astype(kind)
    if values.dtype.kind == "i":
        return cells, values < 0 if values.size and values.min() < 0 else None
    missing = np.isnan(cells)
    return cells, missing if missing.any() else None


def _centred(
    values: Values, scaling: Scaling, columns: slice, kind: type[np.floating[Any]] = np.float32
) -> Values:
    """The values less their column's mean, 0 where a cell is missing."""
    cells, missing = _known(values, kind)
    cells -= scaling.mean[columns, None]
    if missing is not None:
        cells[missing] = 0.0
    return cells


def standardised(values: Values, scaling: Scaling, columns: slice) -> Floats:
    """Z of a block, float64, shape (column, patient)."""
    cells: Floats = _centred(values, scaling, columns, np.float64)
    cells *= scaling.inverse[columns, None]
    return cells
