"""Volumes and masses of an anatomy, exact for its surfaces as `tables` reads them."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from simulation.heart.anatomy.shape import Anatomy

DENSITY = 1.05  # of myocardium, g/mL; used by Petersen et al. 2017, J Cardiovasc Magn Reson 19:18


def cavity(anatomy: Anatomy) -> Tensor:
    """(P,) mL of the LV cavity, between endocardium and base plane."""
    return enclosed(anatomy.endo_square(), anatomy.length) / 1000


def wall(anatomy: Anatomy) -> Tensor:
    """(P,) mL of the LV wall."""
    return enclosed(anatomy.epi**2, anatomy.length) / 1000 - cavity(anatomy)


def mass(anatomy: Anatomy) -> Tensor:
    """(P,) g of the LV wall."""
    return DENSITY * wall(anatomy)


def rv_cavity(anatomy: Anatomy) -> Tensor:
    """(P,) mL between the LV's epicardium and the RV's free wall."""
    return enclosed(anatomy.rv**2 - anatomy.epi**2, anatomy.length) / 1000


def enclosed(square: Tensor, length: Tensor) -> Tensor:
    """(P,) mm³ inside a surface of revolution with one radius for each angle: ½ ∫∫ max(r², 0) dφ dz.

    square: (P, H, N) mm², radii squared, negative where there is no inside. length: (P,) mm, first to last
    row. Between rows the square is linear in height; where it crosses zero only the positive part counts.
    """
    low, high = square[:, :-1], square[:, 1:]
    crosses = (low < 0) != (high < 0)
    gap = torch.where(crosses, (high - low).abs(), torch.ones_like(low))
    peak = torch.maximum(low, high)
    part = torch.where(crosses, peak.clamp(min=0) ** 2 / gap, (low + high).clamp(min=0)) / 2
    rows, columns = square.shape[1] - 1, square.shape[2]
    return part.sum((1, 2)) * (length / rows) * (pi / columns)
