"""Muscle at rest: an exponential spring, and the volume at which it is slack.

    σ_p(ε) = c (exp(k ε) − 1)

with natural fibre strain ε. Stiffness multiplies k, hence the tangent modulus at a given stress, not c: a
stiffer wall than normal also stretches less under systolic pressure, as scar does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Wall:
    """Constants of resting muscle (kPa, kPa ms).

    c and k make a normal ventricle (140 mL, 110 mL of wall, 1.2 kPa) follow the end-diastolic pressure-volume
    relation of Klotz et al. (2006, Am J Physiol 291:H403). The viscosity is assumed, of the order of Chapelle
    et al. (2012).
    """

    stress: float = 0.226  # c
    exponent: float = 22.0  # k
    viscosity: float = 200.0  # kPa ms, parallel to the fibre
    tether: float = 100.0  # K of `tether`


def stress(strain: Tensor, exponent: Tensor, wall: Wall) -> Tensor:
    """σ_p (kPa) at fibre strain ε; `exponent` is k times the stiffness of this muscle, as below."""
    return wall.stress * torch.expm1(exponent * strain)


def energy(strain: Tensor, exponent: Tensor, wall: Wall) -> Tensor:
    """∫ σ_p dε from slack (kPa = mJ per mL of wall)."""
    return wall.stress * (torch.expm1(exponent * strain) / exponent - strain)


def strain_under(load: Tensor, exponent: Tensor, wall: Wall) -> Tensor:
    """ε at which σ_p equals `load` (kPa); the inverse of `stress`."""
    return torch.log1p(load / wall.stress) / exponent


def relaxed_strain(
    volume: Tensor, wall_volume: Tensor, pressure: Tensor, exponent: Tensor, wall: Wall
) -> Tensor:
    """ε at which σ_p balances a passive `pressure` (kPa): p (1 + 3 V/V_w), Arts et al. (1991, Biophys J).

    It fixes the slack volume of each segment: V_w + 3 V_0 = (V_w + 3 V) exp(−3 ε). V_0 may be negative where
    a segment has much wall and little cavity; V_w + 3 V_0 is always positive.
    """
    return strain_under(pressure * (1 + 3 * volume / wall_volume), exponent, wall)
