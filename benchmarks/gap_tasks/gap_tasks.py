"""The task `infarct` with real infarcts taken from those to learn from: what `benchmarks/gap.py` fills.

They are found through the metadata folder beside this file once this folder is on the path. Whoever is taken
away is tested on: a real patient whom nobody has learned from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks.contract import Task
from tasks.infarct.cohort import STRATA
from tasks.infarct.inputs import InfarctPatients
from tasks.infarct.task import INFARCT
from tasks.patients import Indices, Patients

TAKEN = STRATA.index("infarct")


@dataclass(frozen=True, eq=False)
class Hospital:
    """A hospital's patients before they are split, and whether it keeps its infarcts."""

    everybody: InfarctPatients
    keeps: bool

    @property
    def set_aside(self) -> Mapping[str, int]:
        """Of those who were read."""
        return self.everybody.set_aside

    def __len__(self) -> int:
        return len(self.everybody)

    def batch(self, chosen: Indices, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Theirs."""
        return self.everybody.batch(chosen, generator)

    def subset(self, chosen: Indices) -> InfarctPatients:
        """Those alone."""
        return self.everybody.subset(chosen)


def without(name: str, summary: str, keepers: tuple[str, ...]) -> Task:
    """The task, where only these hospitals keep their infarcts."""

    def read(path: Path) -> Hospital:
        return Hospital(INFARCT.read(path), path.name.rpartition("#")[2] in keepers)

    def split(patients: Patients) -> tuple[Indices, Indices]:
        if not isinstance(patients, Hospital):
            raise TypeError("only a hospital that was read here can be split")
        training, test = INFARCT.split(patients.everybody)
        if patients.keeps:
            return training, test
        taken = patients.everybody.strata[training] == TAKEN
        return training[~taken], np.sort(np.concatenate([test, training[taken]]))

    return replace(INFARCT, name=name, summary=summary, read=read, split=split, read_labelled=None)


STARVED = without("infarct-starved", "infarct, learned at one hospital of four", ("sunnybrook-a",))
MISSING = without("infarct-missing", "infarct, learned at no hospital", ())
