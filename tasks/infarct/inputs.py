"""What the model reads of a patient: for each AHA segment, whatever has been measured there.

One examination is a table (17, 2 × CHANNELS): values, then 1 where a value is known and 0 where it is not. A
patient may have several examinations; one is drawn whenever she is looked at, and only one counts in testing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from simulation.heart.anatomy.segments import SEGMENTS
from tasks.contract import Column
from tasks.infarct.excursion import CONVENTIONS
from tasks.patients import Indices

# Name, meaning and range, and what it is divided by so that healthy muscle has about 1.
_MEASURES: tuple[tuple[str, str, float, float, float], ...] = (
    ("radial", "radial strain from end-diastole to end-systole, Lagrangian", -1.0, 3.0, 0.5),
    ("circumferential", "circumferential strain from end-diastole to end-systole", -1.0, 1.0, -0.2),
    ("longitudinal", "longitudinal strain from end-diastole to end-systole", -1.0, 1.0, -0.2),
    ("peak", "most negative circumferential strain of the whole curve", -1.0, 1.0, -0.2),
    ("late", "share of the cycle from end-systole to that peak", -1.0, 1.0, 0.2),
    ("thickening", "relative thickening of the wall in labelled slices", -1.0, 3.0, 0.5),
    *((each, f"shortening of the cavity's radius, {each} centre", -2.0, 1.0, 0.25) for each in CONVENTIONS),
)
NAMES = tuple(each[0] for each in _MEASURES)
CHANNELS = len(NAMES)
SCHEMA = tuple(
    Column(name, f"{meaning}; one value a segment", low=low, high=high, required=False)
    for name, meaning, low, high, _ in _MEASURES
)
_SCALE = np.array([each[4] for each in _MEASURES])
LOW, HIGH = -4.0, 6.0  # of a scaled value: what lies beyond is an error of measurement
UNKNOWN = -1.0  # a target that nobody knows


def examination(measured: Mapping[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.float32]:
    """(17, 2 × CHANNELS) of values by name, each (17,), NaN where unknown; a name left out is unknown."""
    table = np.full((SEGMENTS, CHANNELS), np.nan)
    for name, values in measured.items():
        table[:, NAMES.index(name)] = values
    known = np.isfinite(table)
    scaled = np.clip(np.where(known, table, 0.0) / _SCALE, LOW, HIGH)
    return np.concatenate([np.where(known, scaled, 0.0), known], axis=1).astype(np.float32)


def measured(table: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float64]]:
    """The values by name of an examination, NaN where unknown: the inverse of `examination`."""
    values, known = table[:, :CHANNELS].astype(np.float64), table[:, CHANNELS:] > 0
    return {name: np.where(known[:, i], values[:, i] * _SCALE[i], np.nan) for i, name in enumerate(NAMES)}


@dataclass(frozen=True, eq=False)
class InfarctPatients:
    """Patients of one hospital.

    Attributes:
        views: (patient, view, 17, 2 × CHANNELS) examinations.
        targets: (patient, 1 + 17) 1 infarct, 0 none, of the patient and of each segment; -1 unknown.
        strata: (patient,) index into the task's strata; -1 unknown.
        set_aside: reasons and counts of those left out when reading.

    """

    views: Tensor
    targets: Tensor
    strata: Indices
    set_aside: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of patients."""
        return len(self.targets)

    def batch(self, chosen: Indices, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """An examination of each, drawn: inputs (patient, 17, 2 × CHANNELS), targets (patient, 18)."""
        where = torch.from_numpy(chosen)
        luck = torch.rand(len(chosen), generator=generator, dtype=torch.float64)
        drawn = (luck * self.views.shape[1]).long()
        return self.views[where, drawn], self.targets[where]

    def subset(self, chosen: Indices) -> InfarctPatients:
        """Those patients alone, in the order given."""
        where = torch.from_numpy(chosen)
        return InfarctPatients(self.views[where], self.targets[where], self.strata[chosen], self.set_aside)

    def seen(self, views: slice) -> InfarctPatients:
        """The same patients with some of their examinations."""
        return InfarctPatients(self.views[:, views], self.targets, self.strata, self.set_aside)
