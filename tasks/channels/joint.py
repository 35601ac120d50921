"""What hospitals agreed to learn from together: the channels of a study, each a few named variables.

Channels and variables stand in alphabetical order: one study, one order of parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.channels.schema import Kind

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Variable:
    """One thing measured in a patient.

    Attributes:
        name: unique in its channel.
        kind: "gaussian" (continuous), "bernoulli" (0 or 1), "categorical" (one of `levels`) or "genotype"
            (0, 1 or 2 copies of an allele).
        unit: into which every hospital's own is converted.
        low: smallest admissible value, in that unit.
        high: largest admissible value.
        centre: the value that becomes 0; of the logarithm where `log` is set.
        scale: what becomes 1.
        levels: of a category.
        log: whether the natural logarithm is taken first.

    """

    name: str
    kind: Kind = "gaussian"
    unit: str = ""
    low: float = float("-inf")
    high: float = float("inf")
    centre: float = 0.0
    scale: float = 1.0
    levels: tuple[str, ...] = ()
    log: bool = False

    @property
    def width(self) -> int:
        """How many numbers a model reads of it, and predicts for it."""
        return len(self.levels) if self.kind == "categorical" else 1

    def standard(self, values: Floats) -> Floats:
        """As the model sees them: centred and scaled where continuous, else as they are."""
        if self.kind != "gaussian":
            return values
        with np.errstate(invalid="ignore", divide="ignore"):
            taken = np.log(values) if self.log else values
        standard: Floats = (taken - self.centre) / self.scale
        return standard

    def measured(self, standard: Floats) -> Floats:
        """The inverse of `standard`, in the study's unit."""
        if self.kind != "gaussian":
            return standard
        values = standard * self.scale + self.centre
        return np.exp(values) if self.log else values


@dataclass(frozen=True)
class Joint:
    """All channels of a study, and what is predicted.

    Attributes:
        channels: (name, variables) in alphabetical order.
        target: what is predicted, 0 or 1; "" where nothing is.

    """

    channels: tuple[tuple[str, tuple[Variable, ...]], ...]
    target: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the channels."""
        return tuple(name for name, _ in self.channels)

    @property
    def variables(self) -> list[tuple[str, Variable]]:
        """(channel, variable) of each column of `ChannelPatients.values`."""
        return [(name, variable) for name, variables in self.channels for variable in variables]

    def columns(self, channel: str) -> slice:
        """Where that channel's variables stand among all."""
        start = 0
        for name, variables in self.channels:
            if name == channel:
                return slice(start, start + len(variables))
            start += len(variables)
        raise KeyError(channel)
