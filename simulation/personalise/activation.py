"""Conduction velocity and onset from a measured activation map.

T(x) = onset + A(x; velocity), with any solver for A; `eikonal_arrival` gives the project's own. Where all
sites fire together, A is inverse to the velocity; with Purkinje sites that fire one after the other it is
not. So the velocity is searched by Gauss-Newton in its logarithm; the onset is linear. Intervals come from
the information matrix at the optimum; there is no prior.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import NormalDist

import numpy as np
import torch
from scipy.stats import chi2
from torch import Tensor

from ground.errors import UsageError
from simulation.heart.electrophysiology.eikonal import arrival_times
from simulation.personalise.measurement import Array, Fit

Arrival = Callable[[Array], Array]  # velocities (N,) to ms (N, M) after the onset at the M points of a map
FEWEST = 4
DOUBT = 0.001
MOVE = 0.7  # largest change of a logarithm in one step
STEP = 0.02  # of the logarithm, for differences


@dataclass(frozen=True)
class ActivationMap:
    """Where and when muscle was seen to activate.

    points: (M, 3) mm. times: (M,) ms. noise: standard deviation of a time, ms; points err independently.
    """

    points: Sequence[Sequence[float]]
    times: Sequence[float]
    noise: float

    def __post_init__(self) -> None:
        try:
            points, times = (
                np.asarray(self.points, dtype=np.float64),
                np.asarray(self.times, dtype=np.float64),
            )
        except (TypeError, ValueError):
            raise UsageError("activation map: points or times are not numbers; give mm and ms") from None
        if times.ndim != 1 or points.shape != (len(times), 3) or len(times) < FEWEST:
            raise UsageError(
                f"activation map: points {points.shape}, times {times.shape}; give (M, 3) and (M,)"
            )
        if not (np.isfinite(points).all() and np.isfinite(times).all()):
            raise UsageError("activation map: a point or a time is not a number; leave such points out")
        if not (isfinite(self.noise) and self.noise > 0):
            raise UsageError("activation map: the noise is not above 0; give the standard deviation in ms")


def eikonal_arrival(
    points: Sequence[Sequence[float]],
    speeds: Tensor,
    mask: Tensor,
    spacing: float,
    sites: Tensor,
    times: Tensor,
) -> Arrival:
    """Arrival at points (M, 3), mm from the first voxel's centre, by `electrophysiology.eikonal`.

    speeds: (1, X, Y, Z, 6), squared speeds at velocity 1: where they are of unit speed along the fibre, the
    velocity fitted is the one along the fibre, mm/ms. mask: (1, X, Y, Z). sites: (1, S, 3) mm. times: (1, S)
    ms. Trilinear between voxels, which all must activate.
    """
    places = np.asarray(points, dtype=np.float64) / spacing
    corner = np.floor(places).astype(int)
    weight = places - corner
    shape = np.array(mask.shape[1:])
    if (corner < 0).any() or (corner + 1 >= shape).any():
        raise UsageError("activation map: a point lies outside the grid; give mm from the first voxel")

    def arrive(velocities: Array) -> Array:
        scale = torch.as_tensor(velocities**2).to(speeds)[:, None, None, None, None]
        count = len(velocities)
        grid = arrival_times(
            speeds * scale,
            mask.expand(count, *mask.shape[1:]),
            spacing,
            sites.expand(count, *sites.shape[1:]),
            times.expand(count, -1),
        )
        table = grid.double().cpu().numpy()
        total = np.zeros((count, len(places)))
        for offset in np.ndindex(2, 2, 2):
            part = np.where(offset, weight, 1 - weight).prod(1)
            x, y, z = (corner + offset).T
            with np.errstate(invalid="ignore"):
                total += np.where(part > 0, part * table[:, x, y, z], 0.0)
        return total

    return arrive


def fit_activation(
    measured: ActivationMap,
    arrival: Arrival,
    velocity: float = 0.6,
    *,
    iterations: int = 20,
    level: float = 0.9,
) -> Fit:
    """Values `velocity` (of what `arrival` takes, mm/ms) and `onset` (ms), from a start at `velocity`."""
    times = np.asarray(measured.times, dtype=np.float64)
    weight = 1 / measured.noise
    logarithm, ended, evaluations = float(np.log(velocity)), False, 0
    for _ in range(iterations):
        shown = arrival(np.exp(logarithm + STEP * np.array([0.0, 1.0, -1.0])))
        evaluations += 3
        if not np.isfinite(shown).all():
            raise UsageError(
                "activation map: some point never activates; leave out those outside the model's wall"
            )
        design = weight * np.stack([(shown[1] - shown[2]) / (2 * STEP), np.ones_like(times)], 1)
        (move, onset), *_ = np.linalg.lstsq(design, weight * (times - shown[0]), rcond=None)
        ended = bool(abs(move) < 1e-4)
        if ended:
            break
        logarithm += float(np.clip(move, -MOVE, MOVE))
    left = weight * (times - shown[0] - onset)
    return _fit(float(logarithm), float(onset), design, left, level, evaluations, ended)


def _fit(
    logarithm: float, onset: float, design: Array, left: Array, level: float, evaluations: int, ended: bool
) -> Fit:
    information = design.T @ design
    warnings = [] if ended else ["the search did not end"]
    square, freedom = float((left**2).sum()), len(left) - 2
    if min(chi2.sf(square, freedom), chi2.cdf(square, freedom)) < DOUBT:
        warnings.append("the residual does not fit the noise: the model or the stated noise is wrong")
    deviation = np.sqrt(np.diag(np.linalg.pinv(information)))
    if np.linalg.cond(information) > 1e12 or deviation[0] > 0.5:
        warnings.append("the points say little about the velocity: they activate at nearly one time")
    reach = NormalDist().inv_cdf(0.5 + level / 2) * deviation
    return Fit(
        values={"velocity": float(np.exp(logarithm)), "onset": onset},
        intervals={
            "velocity": (float(np.exp(logarithm - reach[0])), float(np.exp(logarithm + reach[0]))),
            "onset": (float(onset - reach[1]), float(onset + reach[1])),
        },
        level=level,
        informed={"velocity": 1.0, "onset": 1.0},
        residual=float(np.sqrt(np.mean(left**2))),
        evaluations=evaluations,
        success=not warnings,
        warning="; ".join(warnings),
    )
