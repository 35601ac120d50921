"""A disease with stages: a latent time for each patient, and markers that turn one after the other.

A marker's abnormality is 1/(1 + exp(−(t − midpoint)/width)) at disease time t, in years. The order
(amyloid, tau, structure, behaviour, cognition) follows Jack et al. 2010; midpoints and widths are assumed.
Somebody who is not ill has no disease time, NaN, and all markers normal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from simulation.cohort.terms import Terms

# Years of disease at which a marker is half abnormal, and years from there to .73.
MARKERS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "amyloid": (3.0, 1.5),
        "tau": (6.0, 1.5),
        "structure": (9.0, 2.0),
        "behaviour": (11.0, 2.0),
        "cognition": (13.0, 2.0),
    }
)
STAGES = ("none", "preclinical", "prodromal", "dementia")
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class People:
    """Who the patients of a site are, shape (patient,) each.

    Attributes:
        age: years.
        male: 0 or 1.
        ancestry: index.
        shift: years by which a patient's disease is ahead of the others'; 0 where there is none.
        time: years of disease; NaN where there is none.

    """

    age: Floats
    male: Floats
    ancestry: npt.NDArray[np.int64]
    shift: Floats
    time: Floats

    def __len__(self) -> int:
        return len(self.age)

    def abnormal(self, marker: str) -> Floats:
        """How abnormal a marker is, 0 to 1."""
        midpoint, width = MARKERS[marker]
        with np.errstate(over="ignore"):
            found = 1 / (1 + np.exp(-(self.time - midpoint) / width))
        return np.where(np.isnan(self.time), 0.0, found)

    @property
    def stage(self) -> npt.NDArray[np.int64]:
        """Index into `STAGES`: how many of none, tau, cognition have been reached; 0 without disease."""
        ill = ~np.isnan(self.time)
        tau, cognition = MARKERS["tau"][0], MARKERS["cognition"][0]
        passed = ill.astype(np.int64) + (self.time >= tau) + (self.time >= cognition)
        return np.asarray(passed, dtype=np.int64)

    @property
    def impaired(self) -> npt.NDArray[np.bool_]:
        """Prodromal or demented: what a memory clinic diagnoses."""
        return self.stage >= 2


def ancestries(
    count: int, site: Mapping[str, float], kinds: int, random: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Of each patient: the first with the site's share, the others evenly."""
    if kinds == 1:
        return np.zeros(count, dtype=np.int64)
    rest = (1 - site["ancestry"]) / (kinds - 1)
    return random.choice(kinds, count, p=[site["ancestry"], *[rest] * (kinds - 1)])


def people(
    ancestry: npt.NDArray[np.int64],
    score: Floats,
    site: Mapping[str, float],
    terms: Terms,
    random: np.random.Generator,
) -> People:
    """The patients of one site, given their genetic scores (standard deviations)."""
    count = len(ancestry)
    age = np.clip(random.normal(72, 7, count), 50, 95).round(1)
    male = random.integers(0, 2, count).astype(float)
    ill = random.random(count) < site["cases"]
    shift = terms["shift"] * random.standard_normal(count) + terms["risk"] * score
    time = np.where(ill, random.uniform(0, terms["span"], count) + shift, np.nan)
    return People(age, male, ancestry, np.where(ill, shift, 0.0), time)
