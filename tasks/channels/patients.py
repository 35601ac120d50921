"""Patients with any of a study's channels, and with any cell missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tasks.patients import Indices


@dataclass(frozen=True)
class Quarantined:
    """One patient who was set aside: where she stands and why, never what the cell says.

    Attributes:
        table: the file's name.
        line: in it, the header being line 1.
        column: the file's own name of the column.
        reason: what is wrong and what to do.

    """

    table: str
    line: int
    column: str
    reason: str


@dataclass(frozen=True, eq=False)
class ChannelPatients:
    """One hospital's patients. Sensitive.

    Attributes:
        inputs: shape (patient, variable), standardised, in the order of the study; NaN where not measured.
        targets: shape (patient,), 0 or 1; NaN where unknown.
        set_aside: reasons and counts of those left out when reading.
        quarantined: each of them, for the hospital's own eyes.
        held_out: shape (patient,), whether she is only tested on; None where the hospital does not say.

    """

    inputs: Tensor
    targets: Tensor
    set_aside: Mapping[str, int] = field(default_factory=dict)
    quarantined: tuple[Quarantined, ...] = ()
    held_out: Tensor | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def batch(self, chosen: Indices, generator: torch.Generator) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """The rows themselves: nothing is drawn."""
        where = torch.from_numpy(chosen)
        return self.inputs[where], self.targets[where]

    def subset(self, chosen: Indices) -> ChannelPatients:
        """Those rows alone."""
        where = torch.from_numpy(chosen)
        held_out = None if self.held_out is None else self.held_out[where]
        rows = self.inputs[where], self.targets[where]
        return ChannelPatients(*rows, self.set_aside, self.quarantined, held_out)
