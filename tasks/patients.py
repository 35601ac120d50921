"""Patients as a task gives them to a learner: counted, indexed and sampled one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Indices = npt.NDArray[np.int64]


class Patients(Protocol):
    """A set of patients of one hospital; index i is one patient, whatever she has been measured with."""

    @property
    def set_aside(self) -> Mapping[str, int]:
        """Why patients were left out when reading, and how many for each reason."""

    def __len__(self) -> int:
        """Number of patients."""

    def batch(self, chosen: Indices, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Inputs and targets, one item a patient, in the order of `chosen`; both have shape (patient, ...).

        Where a patient has several items (slices, visits) one is drawn by the generator: sampling patients
        and then one item of each keeps the accounting at patient level.
        """

    def subset(self, chosen: Indices) -> Patients:
        """Those patients alone, in the order given."""


@dataclass(frozen=True, eq=False)
class TablePatients:
    """Patients of one row each.

    Attributes:
        inputs: shape (patient, feature).
        targets: shape (patient,).
        set_aside: reasons and counts of those left out when reading.

    """

    inputs: Tensor
    targets: Tensor
    set_aside: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, chosen: Indices, generator: torch.Generator) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """The rows themselves: nothing is drawn."""
        where = torch.from_numpy(chosen)
        return self.inputs[where], self.targets[where]

    def subset(self, chosen: Indices) -> TablePatients:
        """Those rows alone."""
        where = torch.from_numpy(chosen)
        return TablePatients(self.inputs[where], self.targets[where], self.set_aside)


class PooledPatients:
    """Several hospitals' patients as one set: what learning without any border would see."""

    def __init__(self, groups: Sequence[Patients]) -> None:
        self._groups = tuple(groups)
        self._place = np.asarray(
            [(group, index) for group, each in enumerate(self._groups) for index in range(len(each))],
            dtype=np.int64,
        ).reshape(-1, 2)

    @property
    def groups(self) -> tuple[Patients, ...]:
        """The patients of each hospital, in the order given."""
        return self._groups

    @property
    def set_aside(self) -> Mapping[str, int]:
        """The reasons of all groups, added up."""
        total: Counter[str] = Counter()
        for group in self._groups:
            total.update(group.set_aside)
        return dict(total)

    def __len__(self) -> int:
        return len(self._place)

    def batch(self, chosen: Indices, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Group by group, then put back into the order of `chosen`."""
        places = self._place[chosen]
        inputs, targets, order = [], [], []
        for number, group in enumerate(self._groups):
            here = np.flatnonzero(places[:, 0] == number)
            if len(here):
                some_inputs, some_targets = group.batch(places[here, 1], generator)
                inputs.append(some_inputs)
                targets.append(some_targets)
                order.append(here)
        if not order:
            return self._groups[0].batch(chosen, generator)
        back = torch.from_numpy(np.argsort(np.concatenate(order), kind="stable"))
        return torch.cat(inputs)[back], torch.cat(targets)[back]

    def subset(self, chosen: Indices) -> PooledPatients:
        """Those patients alone; grouped by hospital, in the order given within each."""
        places = self._place[chosen]
        return PooledPatients(
            [group.subset(places[places[:, 0] == number, 1]) for number, group in enumerate(self._groups)]
        )
