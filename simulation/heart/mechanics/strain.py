"""From fibre strain to the three strains that images show.

The one-fibre strain is half the natural strain of the mid-wall's area (Arts et al. 1991, Biophys J 59:93), so
that circumferential and longitudinal natural strain add up to twice the fibre's; how they share it is
assumed.
Radial strain is the thickening of the whole wall, kept at its volume: the wall of a spherical shell with the
segment's ratio of cavity to wall. In a thin wall it is what incompressibility leaves,
(1+e_r)(1+e_c)(1+e_l) = 1; in a thick one it is smaller, because the outer layers thicken less.
"""

from __future__ import annotations

import torch
from torch import Tensor

CIRCUMFERENTIAL = 0.05  # circumferential natural strain is 1.05, longitudinal 0.95 of the fibre's; assumed


def circumferential(fibre: Tensor) -> Tensor:
    """Lagrangian circumferential strain of natural fibre strain, any shape."""
    return torch.expm1((1 + CIRCUMFERENTIAL) * fibre)


def longitudinal(fibre: Tensor) -> Tensor:
    """Lagrangian longitudinal strain of natural fibre strain, any shape."""
    return torch.expm1((1 - CIRCUMFERENTIAL) * fibre)


def radial(fibre: Tensor, cavity: Tensor, wall_volume: Tensor) -> Tensor:
    """Relative thickening of a shell around `cavity` mL at fibre strain 0; shapes broadcast.

    Fibre strain ε takes the cavity to ((V_w + 3 V) exp(3 ε) − V_w)/3 (Arts et al. 1991). Where that would be
    negative (much wall, little cavity) the wall has closed: its thickness is its outer radius.
    """
    outer = (wall_volume + 3 * cavity) * torch.exp(3 * fibre)
    return _thickness((outer - wall_volume) / 3, wall_volume) / _thickness(cavity, wall_volume) - 1


def _thickness(cavity: Tensor, wall_volume: Tensor) -> Tensor:
    inside = torch.clamp(cavity, min=0)
    return (inside + wall_volume) ** (1 / 3) - inside ** (1 / 3)
