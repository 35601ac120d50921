"""From the volumes of segments to the three strains that images show, all of the middle of the wall.

The surface that halves the wall of a segment with cavity V and wall V_w encloses V + V_w/2. Its natural area
strain is twice ⅓ ln((V_w + 2 V)/(V_w + 2 V_ed)), by the scaling of a sphere; how circumferential and
longitudinal strain share it is assumed. The fibre strain that does the work, ⅓ ln((V_w + 3 V)/...) (Arts et
al. 1991, Biophys J 59:93), is larger, because it is a mean over the wall and the inner layers shorten most.
Radial strain is what incompressibility leaves at that surface, (1+e_r)(1+e_c)(1+e_l) = 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

CIRCUMFERENTIAL = 0.05  # circumferential natural strain is 1.05, longitudinal 0.95 of their mean; assumed


def middle(cavity: Tensor, at_end_diastole: Tensor, wall_volume: Tensor) -> Tensor:
    """Natural strain of the middle of a wall (mL) around `cavity` mL, half that of its area; broadcasts.

    The cavity's share may be negative, where fibres shorten beyond closing it, but not below −V_w/2.
    """
    return torch.log((wall_volume + 2 * cavity) / (wall_volume + 2 * at_end_diastole)) / 3


def circumferential(middle: Tensor) -> Tensor:
    """Lagrangian circumferential strain of the natural strain of `middle`, any shape."""
    return torch.expm1((1 + CIRCUMFERENTIAL) * middle)


def longitudinal(middle: Tensor) -> Tensor:
    """Lagrangian longitudinal strain of the natural strain of `middle`, any shape."""
    return torch.expm1((1 - CIRCUMFERENTIAL) * middle)


def radial(middle: Tensor) -> Tensor:
    """Lagrangian radial strain of the natural strain of `middle`, any shape."""
    return torch.expm1(-2 * middle)
