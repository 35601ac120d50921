"""Two searches for the parameters of several patients at once, and how sure of them one may be.

Both work on the same posterior in standard scores z of the log-normal prior:

    J(z) = ½ |(y − h(z)) / s|² + ½ |z|²

- `by_cma`: CMA-ES (Hansen and Ostermeier 2001, Evolutionary Computation 9:159); a generation of all patients
  is one batch. The covariance is Laplace's, (HᵀH + 1)⁻¹ with the Jacobian H of h/s at the optimum by central
  differences.
- `by_kalman`: the unscented filter (Julier and Uhlmann 2004, Proc. IEEE 92:401) for constant parameters, the
  whole curve being one observation, iterated as García-Fernández, Svensson, Morelande and Särkkä (2015, IEEE
  Trans. Signal Process. 63:5561) do: sigma points of the latest posterior give the linear regression
  h ≈ A z + b with residual covariance Ω, with which the prior is updated anew.

A patient's result does not depend on the others in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import cma
import numpy as np
import torch
from filterpy.kalman import MerweScaledSigmaPoints, unscented_transform
from scipy.stats import chi2

from ground.errors import UsageError
from simulation.personalise.heart import Forward, Prior
from simulation.personalise.measurement import Array, Fit, Measurement

BOUND = 4.0  # standard scores within which is searched
STEP = 0.1  # standard scores, for differences
DOUBT = 0.001  # chance below which a residual is held not to come from the stated noise
BRISK = 5  # iterations before the filter takes half steps
TOLD = 0.5  # share of the prior's variance that the data should take away


def by_cma(
    forward: Forward,
    measurements: Sequence[Measurement],
    prior: Prior,
    *,
    seed: int = 0,
    candidates: int = 16,
    generations: int = 100,
    level: float = 0.9,
) -> list[Fit]:
    """One fit a measurement, by CMA-ES; measurements need equally many frames."""
    task = Task(forward, measurements, prior)
    searches = [_search(prior, seed, candidates, generations) for _ in measurements]
    while not all(search.stop() for search in searches):
        # Who is done sits still: the batch stays as it was, and nobody's generations depend on others.
        asked = [
            np.zeros((candidates, len(prior.names))) if s.stop() else np.asarray(s.ask()) for s in searches
        ]
        losses = task.losses(np.stack(asked))
        for search, scores, loss in zip(searches, asked, losses, strict=True):
            if not search.stop():
                search.tell(list(scores), loss.tolist())
    best = np.stack([search.result.xfavorite for search in searches])
    jacobian, left = task.linearise(best)
    covariance = np.linalg.inv(np.swapaxes(jacobian, 1, 2) @ jacobian + np.eye(len(prior.names)))
    differences = 2 * len(prior.names) + 1
    return [
        _fit(
            prior.of(patient), best[patient], covariance[patient], left[patient], level,
            int(search.countevals) + differences, "maxiter" not in search.stop(),
        )
        for patient, search in enumerate(searches)
    ]  # fmt: skip


def _search(prior: Prior, seed: int, candidates: int, generations: int) -> cma.CMAEvolutionStrategy:
    random = np.random.default_rng(seed)
    options = {
        "bounds": [-BOUND, BOUND],
        "popsize": candidates,
        "maxiter": generations,
        "tolfun": 0.01,  # of J, which 0.14 standard deviations from the optimum raise by as much
        "tolx": 0.01,
        "seed": np.nan,  # cma would seed NumPy's global generator; `randn` takes its place
        "randn": lambda *shape: random.standard_normal(shape),
        "verbose": -9,
    }
    return cma.CMAEvolutionStrategy(np.zeros(len(prior.names)), 0.5, options)


def by_kalman(
    forward: Forward,
    measurements: Sequence[Measurement],
    prior: Prior,
    *,
    iterations: int = 20,
    tolerance: float = 0.05,
    level: float = 0.9,
) -> list[Fit]:
    """One fit a measurement, by the iterated unscented filter; measurements need equally many frames.

    Ends when no score moves by more than `tolerance` of its standard deviation.
    """
    task = Task(forward, measurements, prior)
    filters = [_Filter.start(len(prior.names)) for _ in measurements]
    for _ in range(iterations):
        sigma = np.stack([state.sigma_points() for state in filters])
        predicted = task.predict(sigma)
        filters = [
            state if state.settled else state.updated(points, shown, data, tolerance)
            for state, points, shown, data in zip(filters, sigma, predicted, task.data, strict=True)
        ]
        if all(state.settled for state in filters):
            break
    means = np.stack([state.mean for state in filters])
    left = task.data - task.predict(means[:, None])[:, 0]
    return [
        _fit(
            prior.of(patient),
            state.mean,
            state.covariance,
            left[patient],
            level,
            state.spent + 1,
            state.settled,
        )
        for patient, state in enumerate(filters)
    ]


@dataclass(frozen=True)
class _Filter:
    """The filter's posterior over one patient's scores."""

    mean: Array  # (K,)
    covariance: Array  # (K, K)
    spent: int = 0
    settled: bool = False

    @classmethod
    def start(cls, count: int) -> _Filter:
        return cls(np.zeros(count), np.eye(count))

    def _points(self) -> MerweScaledSigmaPoints:
        count = len(self.mean)
        return MerweScaledSigmaPoints(count, alpha=0.5, beta=2.0, kappa=3.0 - count)

    def sigma_points(self) -> Array:
        """(2K+1, K)."""
        points: Array = np.clip(self._points().sigma_points(self.mean, self.covariance), -BOUND, BOUND)
        return points

    def updated(self, points: Array, shown: Array, data: Array, tolerance: float) -> _Filter:
        """The prior, updated with the regression of `shown` (2K+1, M) on the sigma points."""
        weights = self._points()
        middle, around = unscented_transform(shown, weights.Wm, weights.Wc)
        crossed = np.einsum("i,ik,im->km", weights.Wc, points - self.mean, shown - middle)
        slope = np.linalg.solve(self.covariance, crossed).T
        noise = np.eye(len(data)) + around - slope @ self.covariance @ slope.T
        gain = slope.T @ np.linalg.inv(slope @ slope.T + noise)
        mean = np.clip(gain @ (data - middle + slope @ self.mean), -BOUND, BOUND)
        covariance = np.eye(len(mean)) - gain @ slope
        covariance = (covariance + covariance.T) / 2
        if self.spent > BRISK * len(points):  # valves make h kinked; half steps end going to and fro
            mean, covariance = (mean + self.mean) / 2, (covariance + self.covariance) / 2
        moved = np.abs(mean - self.mean) / np.sqrt(np.diag(covariance))
        return _Filter(mean, covariance, self.spent + len(points), bool(moved.max() < tolerance))


class Task:
    """Measurements and model in units of the noise: data (P, M), M being T frames, then two pressures."""

    def __init__(self, forward: Forward, measurements: Sequence[Measurement], prior: Prior) -> None:
        if not measurements or len(measurements) != len(prior.centre):
            raise UsageError(
                f"personalise: {len(measurements)} measurements, priors of {len(prior.centre)}; give as many"
            )
        kinds = {(len(m.times), m.cuff is None) for m in measurements}
        if len(kinds) > 1:
            raise UsageError(
                "personalise: measurements differ in frames, or in whether there was a cuff; fit them apart"
            )
        self.forward, self.prior = forward, prior
        self.cuff = measurements[0].cuff is not None
        self.times = torch.tensor(np.array([m.times for m in measurements], dtype=np.float64))
        self.noise = np.array([_noise(m) for m in measurements])
        self.data = np.array([_values(m) for m in measurements]) / self.noise

    def predict(self, scores: Array) -> Array:
        """(P, N, M) of scores (P, N, K), one batch."""
        curves = self.forward(torch.from_numpy(self.prior.parameters(scores)), self.times)
        pressures = [curves.systolic[..., None], curves.diastolic[..., None]] if self.cuff else []
        shown = torch.cat([curves.volumes, *pressures], -1).double().cpu().numpy() / self.noise[:, None]
        # A heart that the model cannot run is a bad candidate, not an error.
        finite: Array = np.nan_to_num(shown, nan=1e6, posinf=1e6, neginf=-1e6)
        return finite

    def losses(self, scores: Array) -> Array:
        """J (P, N) of scores (P, N, K)."""
        left = self.data[:, None] - self.predict(scores)
        losses: Array = 0.5 * (left**2).sum(2) + 0.5 * (scores**2).sum(2)
        return losses

    def linearise(self, scores: Array) -> tuple[Array, Array]:
        """Jacobian (P, M, K) of the prediction at scores (P, K), and what it leaves of the data (P, M)."""
        steps = STEP * np.eye(scores.shape[1])
        around = np.concatenate([np.zeros_like(steps[:1]), steps, -steps])
        shown = self.predict(scores[:, None] + around)
        above, below = np.split(shown[:, 1:], 2, 1)
        return np.swapaxes(above - below, 1, 2) / (2 * STEP), self.data - shown[:, 0]


def _noise(measurement: Measurement) -> list[float]:
    cuff = measurement.cuff
    return [measurement.noise] * len(measurement.times) + ([] if cuff is None else [cuff.noise] * 2)


def _values(measurement: Measurement) -> list[float]:
    cuff = measurement.cuff
    return [*measurement.volumes, *([] if cuff is None else [cuff.systolic, cuff.diastolic])]


def _fit(
    prior: Prior, scores: Array, covariance: Array, left: Array, level: float, evaluations: int, ended: bool
) -> Fit:
    deviation = np.sqrt(np.diag(covariance))
    reach = NormalDist().inv_cdf(0.5 + level / 2) * deviation
    value, low, high = (prior.parameters(s[None])[0] for s in (scores, scores - reach, scores + reach))
    informed = 1 - np.diag(covariance)
    faults = _faults(prior, scores, left, informed, ended)
    untold = [name for name, share in zip(prior.names, informed, strict=True) if share < TOLD]
    notes = [f"the data say little about {', '.join(untold)}"] if untold else []
    return Fit(
        values=dict(zip(prior.names, value.tolist(), strict=True)),
        intervals=dict(zip(prior.names, zip(low.tolist(), high.tolist(), strict=True), strict=True)),
        level=level,
        informed=dict(zip(prior.names, informed.tolist(), strict=True)),
        residual=float(np.sqrt(np.mean(left**2))),
        evaluations=evaluations,
        success=not faults,
        warning="; ".join(faults + notes),
    )


def _faults(prior: Prior, scores: Array, left: Array, informed: Array, ended: bool) -> list[str]:
    """What speaks against the fit, the worst first."""
    # As many degrees of freedom as the data, less what the fit took: one for a parameter wholly told by them.
    freedom, square = len(left) - informed.clip(0, 1).sum(), float((left**2).sum())
    found = []
    if chi2.sf(square, freedom) < DOUBT:
        found.append("the residual is larger than the noise: the model or the stated noise is wrong")
    if chi2.cdf(square, freedom) < DOUBT:
        found.append("the residual is smaller than the noise: the stated noise is too large")
    if not ended:
        found.append("the search did not end")
    if far := [name for name, score in zip(prior.names, scores, strict=True) if abs(score) > 0.95 * BOUND]:
        found.append(f"at the edge of what the prior allows: {', '.join(far)}")
    return found
