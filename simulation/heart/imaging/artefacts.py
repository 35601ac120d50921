"""What goes wrong in a cine: dark bands off resonance, and ghosts of the pulsating heart.

Both are drawn once per patient and stand still over the cycle, so that the pictures of a phase do not depend
on which other phases are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulation.heart.imaging.signal import bssfp
from simulation.heart.imaging.tissues import at


@dataclass(frozen=True)
class Artefacts:
    """One patient's.

    Attributes:
        bands: off-resonance, turns in one TR, per unit of the surroundings' resonance field.
        ghost: share of the heart's signal that appears elsewhere along the phase-encoding direction (rows).
        shift: by how much, share of the field of view.

    """

    bands: float = 0.0
    ghost: float = 0.0
    shift: float = 0.5


NONE = Artefacts()


def draw(random: np.random.Generator, field: float) -> Artefacts:
    """A patient's artefacts at `field` tesla: off-resonance grows with the field; the sizes are assumed."""
    return Artefacts(
        bands=float(random.uniform(0.0, 0.10)) * field / 1.5,
        ghost=float(random.uniform(-0.04, 0.04)),
        shift=float(random.uniform(0.3, 0.7)),
    )


def banding(resonance: Tensor, strengths: Sequence[float], field: float, flip: float, tr: float) -> Tensor:
    """Factor (P, S, Y, X) on the signal off resonance: 1 on resonance, lowest half a turn in one TR away.

    The balanced steady state of `signal.bssfp` with myocardium's relaxation times, against on resonance.

    Args:
        resonance: (P, S, Y, X) field of about unit variance.
        strengths: turns in one TR per unit of that field, one per patient.
        field: tesla.
        flip: degrees.
        tr: ms.

    """
    t1, t2 = (resonance.new_tensor(value) for value in at("myocardium", field))
    angle = torch.deg2rad(resonance.new_tensor(flip))
    turns = resonance.new_tensor(list(strengths))[:, None, None, None] * resonance
    # The profile repeats every turn and is even: a table over half a turn is read instead of the formula.
    places = torch.arange(257).to(resonance) / 512
    table = bssfp(t1, t2, angle, tr, tr / 2, places * (1000.0 / tr)).abs()
    index = ((turns - turns.round()).abs() * 512).round().long()
    return (table / table[0])[index]


def ghosts(heart: Tensor, artefacts: Sequence[Artefacts]) -> Tensor:
    """What to add to pictures: the heart's signal (P, S, T, Y, X), moved along the rows and weakened."""
    rows = heart.shape[-2]
    return torch.stack(
        [
            one.ghost * torch.roll(part, round(one.shift * rows), dims=-2)
            for part, one in zip(heart, artefacts, strict=True)
        ]
    )
