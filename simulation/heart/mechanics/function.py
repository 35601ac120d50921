"""How the hearts of a group work: parameters of muscle and circulation, one patient at a time.

A group's parameters are means and deviations of normal laws cut at two deviations. Arterial resistance and
compliance follow from the mean and the pulse pressure that a patient is drawn to have and from the size of
her ventricle, because the body regulates pressure, not resistance: a small woman's heart works against no
less pressure than a large man's. It regulates output as well: who has a large stroke for her body has a
slow heart. Of athletes, whose strokes are large, cardiac index is that of others (Carlsson et al. 2012, J
Cardiovasc Magn Reson 14:51).

What is measured in patients is compared with `PUBLISHED`; parameters of muscle cannot be measured and are
assumed, chosen once for each group so that what follows from them lies there. Nothing was fitted to a data
set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import isfinite
from types import MappingProxyType
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ground.errors import UsageError

T = TypeVar("T", float, Tensor)
MMHG = 0.133322  # kPa
MAY_BE_ZERO = frozenset({"contractility", "atrial_kick", "onset", "twist"})

UNITS: Mapping[str, str] = MappingProxyType(
    {
        "contractility": "1 is normal: factor of k_0 and σ_0",
        "stiffness": "1 is normal: factor of the exponent of resting muscle",
        "relaxation": "1 is normal: factor of the rate of detachment",
        "resistance": "kPa ms/mL, peripheral",
        "compliance": "mL/kPa, arterial",
        "impedance": "kPa ms/mL, characteristic, of the aorta",
        "heart_rate": "1/min",
        "filling_pressure": "kPa, passive pressure at end-diastole",
        "atrial_kick": "kPa",
        "onset": "ms between electrical activation and force",
        "contraction": "ms of depolarisation",
        "twist": "rad of apex against base for one unit of fibre shortening",
    }
)


@dataclass(frozen=True)
class Function:
    """Parameters of P patients, tensors (P,); units in `UNITS`."""

    contractility: Tensor
    stiffness: Tensor
    relaxation: Tensor
    resistance: Tensor
    compliance: Tensor
    impedance: Tensor
    heart_rate: Tensor
    filling_pressure: Tensor
    atrial_kick: Tensor
    onset: Tensor
    contraction: Tensor
    twist: Tensor


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation; where from is said beside each."""

    mean: float
    deviation: float


# Mean and deviation per group; `edv` (mL) and `ejection` (fraction) only translate pressures into resistance.
# All assumed. Mean and pulse pressure (mmHg) give about 120 over 80 in a normal heart. Filling pressures rise
# where the ventricle is dilated or stiff; kPa.
_NORMAL: dict[str, Spread] = {
    "contractility": Spread(1.0, 0.04),
    "stiffness": Spread(1.0, 0.08),
    "relaxation": Spread(1.0, 0.08),
    "heart_rate": Spread(66.0, 7.0),
    "filling_pressure": Spread(1.2, 0.15),
    "atrial_kick": Spread(0.6, 0.1),
    "onset": Spread(20.0, 3.0),
    "mean_pressure": Spread(98.0, 5.0),
    "pulse_pressure": Spread(42.0, 5.0),
    "edv": Spread(140.0, 0.0),
    "ejection": Spread(0.6, 0.0),
    "twist": Spread(1.1, 0.15),
}
GROUPS: Mapping[str, Mapping[str, Spread]] = MappingProxyType(
    {
        "normal": _NORMAL,
        "dilated": MappingProxyType(
            _NORMAL
            | {
                "contractility": Spread(0.85, 0.1),
                "stiffness": Spread(1.2, 0.1),
                "heart_rate": Spread(78.0, 8.0),
                "filling_pressure": Spread(2.0, 0.3),
                "mean_pressure": Spread(92.0, 5.0),
                "pulse_pressure": Spread(38.0, 5.0),
                "edv": Spread(240.0, 0.0),
                "ejection": Spread(0.33, 0.0),
                "twist": Spread(0.8, 0.15),
            }
        ),
        "hypertrophic": MappingProxyType(
            _NORMAL
            | {
                "contractility": Spread(0.65, 0.06),
                "stiffness": Spread(1.3, 0.1),
                "relaxation": Spread(0.8, 0.08),
                "filling_pressure": Spread(1.8, 0.25),
                "edv": Spread(120.0, 0.0),
                "ejection": Spread(0.68, 0.0),
            }
        ),
        "infarct": MappingProxyType(
            _NORMAL
            | {
                # The muscle that lives is that of normal hearts: what is ejected follows from the lesion.
                "heart_rate": Spread(70.0, 7.0),
                "filling_pressure": Spread(1.7, 0.25),
                "twist": Spread(0.9, 0.15),
            }
        ),
        "abnormal-rv": MappingProxyType(_NORMAL | {"edv": Spread(130.0, 0.0)}),
    }
)


@dataclass(frozen=True)
class Range:
    """What is published of a group, and where."""

    low: float
    high: float
    source: str


_STRAIN = "means of studies, Yingchoncharoen et al. 2013, J Am Soc Echocardiogr 26:185"
_MIDWALL = "assumed for mid-wall; studies of the inner wall by ultrasound: -0.278 to -0.209, Yingchoncharoen"
_PRESSURE = "about 120/80 mmHg, textbook; the width is assumed"
_INDEX = "3.1 ± 0.45, mean ± 2 sd, Carlsson et al. 2012, J Cardiovasc Magn Reson 14:51"
PUBLISHED: Mapping[str, Mapping[str, Range]] = MappingProxyType(
    {
        "normal": {
            "ejection fraction": Range(0.55, 0.70, "textbook"),
            "circumferential strain": Range(-0.22, -0.17, _MIDWALL),
            "longitudinal strain": Range(-0.221, -0.159, _STRAIN),
            "radial strain": Range(0.351, 0.590, _STRAIN),
            "systolic pressure (mmHg)": Range(100, 140, _PRESSURE),
            "diastolic pressure (mmHg)": Range(60, 90, _PRESSURE),
            "cardiac output (L/min)": Range(4, 7, "textbook"),
            "cardiac index (L/min/m²)": Range(2.2, 4.0, _INDEX),
        },
        "dilated": {
            "ejection fraction": Range(0.0, 0.45, "definition, Pinto et al. 2016, Eur Heart J 37:1850")
        },
        "hypertrophic": {"ejection fraction": Range(0.60, 0.85, "assumed: normal or high")},
    }
)
# mL of LV wall that goes with `edv` in each group, assumed: what the contractilities above were set for.
WALLS: Mapping[str, float] = MappingProxyType(
    {"normal": 110.0, "dilated": 150.0, "hypertrophic": 190.0, "infarct": 110.0, "abnormal-rv": 105.0}
)
ADAPTED = 0.8  # power of the load with which contractility grows; assumed
SURFACE = 1.8  # m², of the body that goes with `edv`, assumed
REGULATED = 0.7  # power of the stroke per body surface with which the heart slows; 1 keeps output; assumed
TIGHTEST = 0.5  # least share of the usual stroke for which vessels make up, assumed
SLOWEST, FASTEST = 42.0, 110.0  # 1/min
IMPEDANCE = 0.05  # characteristic impedance as a fraction of the peripheral resistance, assumed
RUNOFF = 0.8  # part of a stroke that is still in the arteries at the height of the pulse, assumed


def draw(
    group: str,
    random: np.random.Generator,
    fixed: Mapping[str, float] | None = None,
    edv_ml: float | None = None,
    wall_ml: float | None = None,
    surface_m2: float | None = None,
    stroke_left: float = 1.0,
) -> dict[str, float]:
    """Parameters of one patient (the fields of `Function`), the number of draws not depending on `fixed`.

    `fixed` sets fields to given values. `edv_ml` and `wall_ml` are her end-diastolic volume and wall (mL)
    and `surface_m2` her body's surface, where they are known. Of an infarct they are those from before it,
    and `stroke_left` is the share of the stroke that is left: vessels tighten to keep the pressure. Muscle
    is taken to have adapted to the stress that it bears, pressure times `load`: contractility is drawn
    relative to the group's usual one.
    """
    if group not in GROUPS:
        raise UsageError(f"heart function: no group {group!r}; choose one of {', '.join(GROUPS)}")
    fixed = fixed or {}
    unknown = sorted(fixed.keys() - UNITS.keys())
    if unknown:
        raise UsageError(f"heart function: no parameter {unknown[0]!r}; there are {', '.join(UNITS)}")
    for name, value in fixed.items():
        if not (isfinite(value) and (value > 0 or (value == 0 and name in MAY_BE_ZERO))):
            raise UsageError(f"heart function: {name} must be a number above 0 ({UNITS[name]})")
    drawn = {
        name: spread.mean + spread.deviation * float(np.clip(random.standard_normal(), -2, 2))
        for name, spread in GROUPS[group].items()
    }
    mean, pulse = drawn.pop("mean_pressure") * MMHG, drawn.pop("pulse_pressure") * MMHG
    typical, ejection = drawn.pop("edv"), drawn.pop("ejection")
    drawn["contractility"] *= (mean / MMHG / GROUPS[group]["mean_pressure"].mean) ** ADAPTED
    if edv_ml is not None and wall_ml is not None:
        drawn["contractility"] *= (load(edv_ml, wall_ml) / load(typical, WALLS[group])) ** ADAPTED
    if edv_ml is not None and surface_m2 is not None:
        index = (edv_ml / surface_m2) / (typical / SURFACE)
        drawn["heart_rate"] = min(max(drawn["heart_rate"] * index**-REGULATED, SLOWEST), FASTEST)
    rate = fixed.get("heart_rate", drawn["heart_rate"])
    stroke = (edv_ml or typical) * ejection
    stroke *= min(max(stroke_left, TIGHTEST), 1.0)
    resistance = mean / (stroke * rate / 60_000)
    drawn["resistance"] = resistance * (1 - IMPEDANCE)
    drawn["impedance"] = resistance * IMPEDANCE
    drawn["compliance"] = RUNOFF * stroke / pulse
    drawn["contraction"] = contraction_ms(rate)
    drawn.update(fixed)
    return {name: drawn[name] for name in UNITS}


def load(cavity: T, wall: T) -> T:
    """Fibre stress per pressure, 1 + 3 V/V_w, of a cavity in a wall (Arts et al. 1991, Biophys J 59:93)."""
    return 1 + 3 * cavity / wall


def adapted(cavity: Tensor, wall: Tensor) -> Tensor:
    """(P, 17) how strong the muscle of each segment is, its mean weighed by wall one.

    Muscle adapts until it shortens as its neighbours do (Arts et al. 1994, Biophys J 66:953), so that where a
    wall is thick for its cavity, as in hypertrophy and at the apex, there is less force in a volume of it.
    `cavity` and `wall` (P, 17) mL, those before an infarct.
    """
    strength: Tensor = load(cavity, wall) ** ADAPTED
    return strength * (wall.sum(1) / (strength * wall).sum(1))[:, None]


def contraction_ms(heart_rate: float) -> float:
    """Depolarised ms at a heart rate (1/min), so that the aortic valve shuts when Weissler measured it.

    Weissler, Harris, Schoenfeld (1968, Circulation 37:149), men: Q wave to the second sound is
    546 − 2.1 × rate. What activation and the decay of force take off that is assumed.
    """
    return 546.0 - 2.1 * heart_rate - 60.0


def stack(
    patients: Sequence[Mapping[str, float]],
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Function:
    """P drawn patients as tensors (P,)."""
    return Function(
        **{
            field.name: torch.tensor([p[field.name] for p in patients], dtype=dtype, device=device)
            for field in fields(Function)
        }
    )
