"""Who has which heart: the measures of one patient, drawn group by group from the numbers in `groups`.

First the person (sex, age, body surface), then volumes and mass per body surface, correlated with each other,
then the shape of the wall and of the RV, then the pose. Every measure has a draw of its own, so fixing one
leaves the luck of the others as it was; what depends on it (mass on volume, millilitres on body surface)
follows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, isfinite, log, pi, radians, sqrt
from statistics import NormalDist

import numpy as np

from ground.errors import UsageError
from simulation.heart.anatomy import groups
from simulation.heart.anatomy.groups import Group, Spread
from simulation.heart.anatomy.parameters import WALL, Parameters, stack
from simulation.heart.anatomy.segments import CENTRES
from simulation.heart.anatomy.volumes import DENSITY

__all__ = ["GROUPS", "KEYS", "Parameters", "draw", "hypertrophy", "stack"]

GROUPS: tuple[str, ...] = tuple(groups.GROUPS)
_MEASURES: tuple[str, ...] = (
    *("male", "age_years", "body_surface_m2", "edv_ml", "mass_g", "rv_edv_ml", "sphericity", "truncation"),
    *("endo_length_mm", "ovality", "flattening", "rv_wall_mm", "rv_anterior_rad", "rv_inferior_rad"),
    *("rv_corner", "rv_apex", "rotation_rad", "tilt_x_rad", "tilt_y_rad", "thickest_mm"),
    *("hypertrophy_rad", "hypertrophy_height", "hypertrophy_width_rad", "hypertrophy_length"),
)
KEYS: tuple[str, ...] = (*_MEASURES, *WALL)
_SIZES = ("body_surface_m2", "edv_ml", "mass_g", "rv_edv_ml", "sphericity", "endo_length_mm", "rv_wall_mm")
_RANGES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys((*_SIZES, *WALL), (1e-3, 1e4)),
    "male": (0, 1),
    "truncation": (0, 0.45),
    "ovality": (-0.2, 0.2),
    "flattening": (0, 0.4),
    "rv_anterior_rad": (0.3, 2.0),
    "rv_inferior_rad": (-2.0, -0.3),
    "rv_corner": (0.1, 0.9),
    "rv_apex": (0, 0.6),
    "hypertrophy_width_rad": (0.1, 4),
    "hypertrophy_length": (0.05, 4),
}
_BELL = NormalDist()


def draw(
    group: str,
    random: np.random.Generator,
    fixed: Mapping[str, float] | None = None,
    dilation: float = 1.0,
) -> dict[str, float]:
    """The measures of one patient at end-diastole, by `KEYS`; `fixed` ones keep their values.

    male is 1 or 0; names end in their units. `thickest_mm` and the four that begin with hypertrophy describe
    where and how much the wall is thickened; thickest_mm 0 stands for nowhere. `dilation` is how many times
    larger an infarct has made the cavity; the wall's mass and the roundness grow with it.
    """
    fixed = dict(fixed or {})
    _check(group, fixed)
    luck = dict(zip(KEYS, random.standard_normal(len(KEYS)).tolist(), strict=True))
    return _Patient(groups.GROUPS[group], luck, fixed, dilation).measures()


def hypertrophy(dilation: float) -> float:
    """How many times heavier the wall has become in a cavity that is `dilation` times larger."""
    return float(dilation**groups.HEAVIER)


class _Patient:
    """One patient in the making: a standard normal draw for each measure, and what the caller fixed."""

    def __init__(
        self, group: Group, luck: Mapping[str, float], fixed: Mapping[str, float], dilation: float
    ) -> None:
        self.group, self.luck, self.fixed, self.dilation = group, luck, fixed, dilation
        self.values: dict[str, float] = {}

    def measures(self) -> dict[str, float]:
        """All of them, in the order of `KEYS`."""
        self._person()
        self._sizes()
        self._shape()
        self._wall()
        return {key: self.values[key] for key in KEYS}

    def _person(self) -> None:
        self._set("male", float(_BELL.cdf(self.luck["male"]) < self.group.men))
        self._set("age_years", _normal(self.group.age_years, self.luck["age_years"]))
        self._set("body_surface_m2", _normal(self._by_sex(groups.BODY_SURFACE), self.luck["body_surface_m2"]))

    def _sizes(self) -> None:
        """Volumes and mass; where LV volume or mass is fixed, what correlates with it follows."""
        left = self._per_surface("edv_ml", self.group.edv_ml, self.luck["edv_ml"], self.dilation)
        right = self._mix("rv_edv_ml", left, groups.RIGHT_WITH_LEFT)
        self._per_surface("rv_edv_ml", self.group.rv_edv_ml, right)
        mass = self._mix("mass_g", left, groups.MASS_WITH_VOLUME)
        mass = self._per_surface("mass_g", self.group.mass_g, mass, hypertrophy(self.dilation))
        thickest = self.group.thickest_mm
        chance = self._mix("thickest_mm", mass, groups.THICKEST_WITH_MASS)
        self._set("thickest_mm", _log_normal(thickest, chance) if thickest else 0.0)

    def _shape(self) -> None:
        round_ = _normal(self.group.sphericity, self.luck["sphericity"])
        self._set("sphericity", round_ * self.dilation**groups.ROUNDER)
        self._set("truncation", _normal(groups.TRUNCATION, self.luck["truncation"]))
        cut = self.values["truncation"]
        filled = _ellipsoid(self.values["sphericity"] / 2, 1 - cut, cut)
        self._set("endo_length_mm", (self.values["edv_ml"] * 1000 / filled) ** (1 / 3))
        self._set("rv_wall_mm", _normal(self.group.rv_wall_mm, self.luck["rv_wall_mm"]))
        shares = {
            "ovality": groups.OVALITY,
            "flattening": self.group.flattening,
            "rv_corner": groups.RV_CORNER,
            "rv_apex": groups.RV_APEX,
            "hypertrophy_height": groups.HYPERTROPHY_HEIGHT,
            "hypertrophy_length": groups.HYPERTROPHY_LENGTH,
        }
        for key, spread in shares.items():
            self._set(key, _normal(spread, self.luck[key]))
        degrees = {
            "rv_anterior_rad": self.group.rv_anterior_deg,
            "rv_inferior_rad": self.group.rv_inferior_deg,
            "rotation_rad": groups.ROTATION,
            "tilt_x_rad": groups.TILT,
            "tilt_y_rad": groups.TILT,
            "hypertrophy_rad": groups.HYPERTROPHY_ANGLE,
            "hypertrophy_width_rad": groups.HYPERTROPHY_WIDTH,
        }
        for key, spread in degrees.items():
            self._set(key, radians(_normal(spread, self.luck[key])))

    def _wall(self) -> None:
        """Thickness of the segments in relation to each other."""
        noise = [exp(groups.WALL_DEVIATION * min(max(self.luck[key], -3.0), 3.0)) for key in WALL]
        wall = [normal * factor for normal, factor in zip(groups.NORMAL_WALL, noise, strict=True)]
        if self.values["thickest_mm"] > 0:
            wall = self._thickened(wall)
        for key, value in zip(WALL, wall, strict=True):
            self._set(key, value)

    def _thickened(self, wall: list[float]) -> list[float]:
        """The wall with a hill on it, as high as mass and greatest thickness ask for together.

        With the segments' shares a of the surface, wall p, hill b (1 at its top) and the mean thickness t
        that the mass gives, t p(1 + e b)/Σ a p(1 + e b) = T at the top, which gives e. Where that would leave
        too thin a wall elsewhere, the hill is lower, but never below what the group's definition asks for.
        """
        hill = [self._hill(longitudinal, angle) for longitudinal, angle in CENTRES]
        top = max(range(len(hill)), key=lambda index: hill[index])
        hill = [height / hill[top] for height in hill]
        flat = sum(share * value for share, value in zip(groups.SURFACE, wall, strict=True))
        raised = sum(a * p * b for a, p, b in zip(groups.SURFACE, wall, hill, strict=True))
        mean, thickest = self._mean_thickness(), self.values["thickest_mm"]

        def excess(peak: float) -> float:
            rest = mean * wall[top] - peak * raised
            return (peak * flat - mean * wall[top]) / rest if rest > 0 else groups.HIGHEST_HILL

        highest = (mean / groups.LEAST_WALL - flat) / raised
        least = max(groups.LOWEST_HILL, excess(self._lowest(thickest)))
        hill_height = min(max(min(excess(thickest), highest), least), groups.HIGHEST_HILL)
        return [value * (1 + hill_height * height) for value, height in zip(wall, hill, strict=True)]

    def _lowest(self, thickest: float) -> float:
        """mm: what the place of greatest thickness must have, and 6 % for the error of the shares."""
        spread = self.group.thickest_mm
        return min(thickest, 1.06 * spread.low) if spread else thickest

    def _hill(self, longitudinal: float, angle: float) -> float:
        away = (angle - self.values["hypertrophy_rad"] + pi) % (2 * pi) - pi
        across = exp(-((away / self.values["hypertrophy_width_rad"]) ** 2))
        along = (longitudinal - self.values["hypertrophy_height"]) / self.values["hypertrophy_length"]
        return across * exp(-(along**2)) if longitudinal > 0 else 0.0

    def _mean_thickness(self) -> float:
        """mm: how far the ellipsoid's axes must grow for the mass between it and the cavity."""
        wanted = self.values["mass_g"] / DENSITY * 1000
        length, cut = self.values["endo_length_mm"], self.values["truncation"]
        inner, low, high = self.values["edv_ml"] * 1000, 0.0, 60.0
        equator = sqrt(inner / _ellipsoid(1.0, (1 - cut) * length, cut * length))
        for _ in range(40):
            middle = (low + high) / 2
            outer = _ellipsoid(equator + middle, (1 - cut) * length + middle, cut * length)
            low, high = (middle, high) if outer - inner < wanted else (low, middle)
        return low

    def _per_surface(
        self, key: str, spreads: tuple[Spread, Spread], chance: float, growth: float = 1.0
    ) -> float:
        """Set a measure that scales with body surface; returns where it lies in standard deviations."""
        spread, surface = self._by_sex(spreads), self.values["body_surface_m2"] * growth
        self._set(key, surface * _log_normal(spread, chance))
        if key not in self.fixed:
            return chance
        mean, deviation = _logarithm(spread)
        return min(max((log(self.values[key] / surface) - mean) / deviation, -3.0), 3.0)

    def _mix(self, key: str, other: float, correlation: float) -> float:
        """A standard normal draw for `key` that correlates with another."""
        return correlation * other + sqrt(1 - correlation**2) * self.luck[key]

    def _by_sex(self, spreads: tuple[Spread, Spread]) -> Spread:
        return spreads[int(self.values["male"])]

    def _set(self, key: str, value: float) -> None:
        self.values[key] = float(self.fixed.get(key, value))


def _normal(spread: Spread, chance: float) -> float:
    """Value of a normal distribution, cut off at its bounds, at the quantile of a standard normal draw."""
    bell = NormalDist(spread.mean, spread.deviation)
    return _between(bell, spread.low, spread.high, chance)


def _log_normal(spread: Spread, chance: float) -> float:
    """The same for a log-normal distribution: what is positive and grows by factors."""
    low = log(spread.low) if spread.low > 0 else -np.inf
    return exp(_between(NormalDist(*_logarithm(spread)), low, log(spread.high), chance))


def _logarithm(spread: Spread) -> tuple[float, float]:
    """Mean and deviation of the logarithm of a log-normal variable."""
    variance = log(1 + (spread.deviation / spread.mean) ** 2)
    return log(spread.mean) - variance / 2, sqrt(variance)


def _between(bell: NormalDist, low: float, high: float, chance: float) -> float:
    first = bell.cdf(low) if low > -np.inf else 0.0
    last = bell.cdf(high) if high < np.inf else 1.0
    quantile = first + (last - first) * _BELL.cdf(chance)
    return min(max(bell.inv_cdf(min(max(quantile, 1e-12), 1 - 1e-12)), low), high)


def _ellipsoid(equator: float, axis: float, above: float) -> float:
    """mm³ of an ellipsoid of revolution from its apex to a plane `above` its equator."""
    return pi * equator**2 * (axis + above - (above**3 + axis**3) / (3 * axis**2))


def _check(group: str, fixed: Mapping[str, float]) -> None:
    if group not in groups.GROUPS:
        raise UsageError(f"heart anatomy: unknown group {group!r}; choose one of {', '.join(GROUPS)}")
    for key, value in fixed.items():
        if key not in KEYS:
            raise UsageError(f"heart anatomy: unknown measure {key!r}; fix one of {', '.join(KEYS)}")
        low, high = _RANGES.get(key, (-1e4, 1e4))
        if not (isfinite(value) and low <= value <= high):
            raise UsageError(f"heart anatomy: {key!r} is out of range; give one from {low:g} to {high:g}")
    if fixed.get("male", 0.0) not in (0.0, 1.0):
        raise UsageError("heart anatomy: 'male' is neither 0 nor 1; give one of them")
