"""How much of the wall, and of the cavity, belongs to each of the 17 segments."""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

from simulation.heart.anatomy.segments import weights
from simulation.heart.anatomy.shape import Anatomy

SMALLEST = 0.002  # of the cavity: below the cavity's end there is none, and a segment needs some


def by_segment(anatomy: Anatomy) -> tuple[Tensor, Tensor]:
    """Wall volumes and cavity shares, each (P, 17) mL, by the same smooth weights that spread strains.

    They sum to the wall and to the cavity, up to the middle rule between rows and the floor of SMALLEST.
    """
    endo, epi = anatomy.endo_square().clamp(min=0.0), anatomy.epi**2
    member = weights(anatomy.longitudinal()[:, :, None], anatomy.angles()).to(endo)
    rows, columns = endo.shape[1] - 1, endo.shape[2]
    cell = (anatomy.length / rows * (pi / columns) / 1000.0)[:, None, None]

    def total(square: Tensor) -> Tensor:
        low = torch.einsum("phn,phns->ps", square[:, :-1], member[:, :-1])
        high = torch.einsum("phn,phns->ps", square[:, 1:], member[:, 1:])
        return (low + high) * 0.5 * cell[:, :, 0]

    cavity = total(endo)
    floor = SMALLEST * cavity.sum(1, keepdim=True)
    return total(epi - endo).clamp(min=0.1), torch.maximum(cavity, floor)
