"""The RV: a crescent on the septal side, between two insertions, that tapers to its own apex."""

from __future__ import annotations

from math import pi, radians

import torch
from torch import Tensor

from simulation.heart.anatomy.parameters import Parameters

# The shape follows the guide points of one heart, the example exam of biv-me (github.com/
# UOA-Heart-Mechanics-Research/biv-me): triangular in the short axis with its corner towards the diaphragm,
# the inferior insertion in a line from base to apex, the anterior one turning towards it. Numbers assumed.
INFERIOR_FULLNESS = 0.8  # exponents of the profile across, on both sides of the corner
ANTERIOR_FULLNESS = 1.3
TAPER = 0.55  # exponent of the profile along
ANTERIOR_AT_APEX = radians(5)  # where the anterior insertion has turned to at the RV's apex
CORNER_AT_APEX = 0.5  # where the corner has moved to at the RV's apex, as `Parameters.rv_corner`


def free_wall(parameters: Parameters, length: Tensor, epi: Tensor, angles: Tensor) -> Tensor:
    """(P, H, N) mm: radius of the RV's free wall for the LV's epicardium `epi` (P, H, N), at (N,) angles.

    rv = epi + w f(z) s(φ, z) with 0 ≤ f, s ≤ 1. The volume ½∫∫(2 w f s epi + (w f s)²) is quadratic in the
    width w (P,), which is its positive root.
    """
    profile = _profile(parameters, epi, angles)
    rows, columns = epi.shape[1:]
    weight = torch.ones(rows, dtype=epi.dtype, device=epi.device)
    weight[0] = weight[-1] = 0.5  # trapezoidal, as `volumes.enclosed`
    cell = (length / (rows - 1)) * (2 * pi / columns)
    linear = (profile * epi * weight[:, None]).sum((1, 2)) * cell
    square = (profile**2 * weight[:, None]).sum((1, 2)) * cell / 2
    volume = parameters.rv_edv_ml * 1000
    width = 2 * volume / (linear + (linear**2 + 4 * square * volume).sqrt())
    return epi + width[:, None, None] * profile


def _profile(parameters: Parameters, epi: Tensor, angles: Tensor) -> Tensor:
    """f(z) s(φ, z), (P, H, N): powers of sines along, of cosines across, whose top is the corner."""
    rows = epi.shape[1]
    share = torch.arange(rows, dtype=epi.dtype, device=epi.device) / (rows - 1)
    rise = ((share - parameters.rv_apex[:, None]) / (1 - parameters.rv_apex[:, None])).clamp(0, 1)[:, :, None]
    along = torch.sin(rise * (pi / 2)).clamp(min=0) ** TAPER
    inferior = parameters.rv_inferior_rad[:, None, None]
    base = parameters.rv_anterior_rad[:, None, None]
    anterior = base + (ANTERIOR_AT_APEX - base).clamp(max=0) * (1 - rise)
    corner = torch.lerp(torch.full_like(base, CORNER_AT_APEX), parameters.rv_corner[:, None, None], rise)
    top = inferior + corner * (anterior - inferior)
    away = torch.remainder(angles + pi, 2 * pi) - pi - top
    before = _hump(-away / (top - inferior), INFERIOR_FULLNESS)
    after = _hump(away / (anterior - top), ANTERIOR_FULLNESS)
    return along * torch.where(away < 0, before, after)


def _hump(place: Tensor, exponent: float) -> Tensor:
    """1 at 0, falling to 0 at 1 and beyond."""
    return torch.cos(place.clamp(0, 1) * (pi / 2)).clamp(min=0) ** exponent * (place < 1)
