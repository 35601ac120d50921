"""What goes into a fit and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import numpy.typing as npt

from ground.errors import UsageError

Array = npt.NDArray[np.float64]
FEWEST = 10  # frames: fewer cannot follow filling and ejection
LARGEST = 2000.0  # mL: no ventricle is as large, so the unit is another one


@dataclass(frozen=True)
class Cuff:
    """Brachial cuff pressures, taken as those of the aorta (mmHg).

    They give the scale of pressure, which no volume curve holds: all stresses and all pressures twice as
    large make the same volumes.
    """

    systolic: float
    diastolic: float
    noise: float = 3.0  # standard deviation of either, mmHg

    def __post_init__(self) -> None:
        values = (self.systolic, self.diastolic, self.noise)
        if not all(isfinite(value) and value > 0 for value in values) or self.systolic <= self.diastolic:
            raise UsageError(
                "personalise: cuff pressures are not a systolic above a diastolic above 0; give both in mmHg"
            )


@dataclass(frozen=True)
class Measurement:
    """The volume of a left ventricle over one beat, and what a cuff said.

    Attributes:
        times: ms after end-diastole (the R wave), rising, T of them.
        volumes: mL, T of them.
        noise: standard deviation of a volume, mL; frames err independently.
        cuff: pressures; without them contractility and resistance are hardly known (`Fit.warning` says so).

    """

    times: Sequence[float]
    volumes: Sequence[float]
    noise: float
    cuff: Cuff | None = None

    def __post_init__(self) -> None:
        times, volumes = _numbers(self.times), _numbers(self.volumes)
        if times.ndim != 1 or times.shape != volumes.shape or len(times) < FEWEST:
            raise UsageError(
                f"personalise: {times.size} times, {volumes.size} volumes; give as many, {FEWEST} or more"
            )
        if not (np.isfinite(times).all() and np.isfinite(volumes).all()):
            raise UsageError("personalise: a time or a volume is not a number; leave such frames out")
        if times[0] < 0 or (np.diff(times) <= 0).any():
            raise UsageError("personalise: times do not rise from 0 on; give ms after end-diastole, in order")
        if volumes.min() <= 0 or volumes.max() > LARGEST:
            raise UsageError(f"personalise: volumes are not all between 0 and {LARGEST:g}; give them in mL")
        if not (isfinite(self.noise) and self.noise > 0):
            raise UsageError("personalise: the noise is not above 0; give the standard deviation in mL")
        if np.ptp(volumes) <= 2 * self.noise:
            raise UsageError("personalise: the volumes stay within their noise; give a curve of a whole beat")


@dataclass(frozen=True)
class Fit:
    """Parameters of one patient.

    Attributes:
        values: by name, in the units of `simulation.heart.mechanics.function.UNITS`, `edv` in mL.
        intervals: by name, lower and upper end of the central interval that holds the truth with probability
            `level` if the model, the noise and the prior are right.
        level: that probability.
        informed: by name, how much of the prior's variance (of the logarithm) the data took away: 0 none.
        residual: root mean square of what is left, in noise standard deviations; near 1 if all is right.
        evaluations: how often the model ran.
        success: the search ended inside its bounds, and the residual fits the stated noise.
        warning: what speaks against that, and which parameters the data say little about; empty if nothing.

    """

    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    level: float
    informed: Mapping[str, float]
    residual: float
    evaluations: int
    success: bool
    warning: str


def _numbers(values: Sequence[float]) -> Array:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise UsageError("personalise: times or volumes are not numbers; give ms and mL") from None
