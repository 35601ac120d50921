"""ComBat: a scanner's offset and scale of each measurement, shrunk towards what it does to all of them.

Johnson, Li and Rabinovic 2007 (Biostatistics 8:118) for the model and its empirical Bayes estimates; Fortin
et al. 2018 (NeuroImage 167:104) for images. Measurement j of patient i at hospital h:

    x_ij = α_j + z_i β_j + γ_hj + δ_hj ε_ij,      ε_ij ~ N(0, σ_j²)

with covariates z (age, sex, diagnosis) that are kept, while γ and δ are removed. The three shared
parameters need sums over all patients alone: regressing out each hospital's own means first gives the same
β as indicators of hospitals do (Frisch and Waugh 1933), so not even a hospital's mean leaves it. γ and δ
concern one hospital, and stay there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ground.arrays import Array
from ground.errors import DataError

Floats = npt.NDArray[np.float64]
CONVERGED, MOST = 1e-9, 10_000


@dataclass(frozen=True, eq=False)
class Shared:
    """What all hospitals have in common, from sums over their patients.

    Attributes:
        mean: α, the mean measurement where covariates are 0, shape (measurement,).
        slopes: β, shape (covariate, measurement).
        deviation: σ, shape (measurement,).

    """

    mean: Floats
    slopes: Floats
    deviation: Floats

    def standardised(self, values: Floats, covariates: Floats) -> Floats:
        """(x − α − zβ)/σ, shape (patient, measurement); 0 where a measurement never varies."""
        rest = values - self.mean - covariates @ self.slopes
        found: Floats = np.divide(rest, self.deviation, out=np.zeros_like(rest), where=self.deviation > 0)
        return found


@dataclass(frozen=True, eq=False)
class Site:
    """What one hospital's scanner does, in units of σ.

    Attributes:
        offset: γ/σ, shape (measurement,).
        scale: δ, shape (measurement,); 1 leaves the spread as it is.

    """

    offset: Floats
    scale: Floats


def sums(values: Floats, covariates: Floats) -> Floats:
    """What one hospital adds: n, Σx, Σz, and within it ΣzzT, ΣzxT, Σx², flat. Sensitive as it is."""
    own, ours = values - values.mean(axis=0), covariates - covariates.mean(axis=0)
    parts = (
        [float(len(values))],
        values.sum(axis=0),
        covariates.sum(axis=0),
        ours.T @ ours,
        ours.T @ own,
        np.einsum("ij,ij->j", own, own),
    )
    return np.concatenate([np.ravel(part) for part in parts])


def shared(total: Array, measurements: int, covariates: int) -> Shared:
    """α, β and σ from the sum of hospitals' `sums`; raises ValueError where that has another size."""
    sizes = (1, measurements, covariates, covariates**2, covariates * measurements, measurements)
    vector = np.asarray(total, dtype=np.float64)
    if vector.shape != (sum(sizes),):
        raise ValueError(f"a sum of {vector.size} values for {measurements} measurements")
    count, values, known, square, cross, rest = np.split(vector, np.cumsum(sizes)[:-1])
    patients = max(1.0, float(count[0]))
    cross = cross.reshape(covariates, measurements)
    # A covariate that never varies within any hospital has no slope: the least solution gives it 0.
    slopes = np.linalg.lstsq(square.reshape(covariates, covariates), cross, rcond=None)[0]
    variance = (rest - np.einsum("ij,ij->j", slopes, cross)) / patients
    mean = (values - known @ slopes) / patients
    deviation = np.sqrt(np.maximum(variance, 0.0))
    return Shared(np.asarray(mean), np.asarray(slopes), np.asarray(deviation))


def site(values: Floats, covariates: Floats, common: Shared) -> Site:
    """This hospital's offset and scale by empirical Bayes: the joint mode, iterated. Stays at the hospital.

    Priors over the measurements: γ ~ N(γ̄, τ²), δ² ~ inverse Gamma(a, b), by their moments (Johnson et al.,
    section 3.2). Raises DataError for fewer than two patients or two measurements, of which nothing can be
    estimated.
    """
    count = len(values)
    if count < 2 or values.shape[1] < 2:
        raise DataError("harmonisation needs two patients and two measurements of a hospital: leave it out")
    found = common.standardised(values, covariates)
    varies = common.deviation > 0
    offset, scale = np.zeros(values.shape[1]), np.ones(values.shape[1])
    rows = found[:, varies]
    naive, spread = rows.mean(axis=0), rows.var(axis=0, ddof=1)
    centre, width = naive.mean(), naive.var(ddof=1)
    middle, wide = spread.mean(), max(float(spread.var(ddof=1)), 1e-300)
    shape, rate = (2.0 * wide + middle**2) / wide, (middle * wide + middle**3) / wide
    moved, squared = naive, spread
    for _ in range(MOST):
        before = moved, squared
        moved = (width * count * naive + squared * centre) / (width * count + squared)
        residual = (count - 1) * spread + count * (naive - moved) ** 2
        squared = (rate + 0.5 * residual) / (shape + 0.5 * count - 1.0)
        if (
            max(float(np.abs(moved - before[0]).max()), float(np.abs(squared / before[1] - 1).max()))
            < CONVERGED
        ):
            break
    offset[varies], scale[varies] = moved, np.sqrt(squared)
    return Site(offset, scale)


def harmonised(values: Floats, covariates: Floats, common: Shared, own: Site) -> Floats:
    """The measurements without the scanner's part, in their own unit, shape (patient, measurement)."""
    rest: Floats = (common.standardised(values, covariates) - own.offset) / own.scale
    return rest * common.deviation + common.mean + covariates @ common.slopes
