"""Active stress of cardiac muscle: the law of Bestel, Clément and Sorine, with a spring in series.

Bestel, Clément, Sorine (2001, MICCAI), in the form of Sainte-Marie et al. (2006, Computers & Structures):

    dk_c/dt = k_0 n(e_c) |u|₊ − (α|ė_c| + |u|) k_c
    dσ_c/dt = σ_0 n(e_c) |u|₊ − (α|ė_c| + |u|) σ_c + k_c ė_c
    k_c ξ_0 + σ_c + C_c ė_c = k_s (ε − e_c)

u (1/ms) is positive while the cell is depolarised and negative afterwards: rates of attachment and of
detachment. n is the dependence on length that Chapelle et al. (2012, Int J Multiscale Comput Eng) added;
without it a shorter fibre would pull as hard as a longer one, and segments that share a pressure could not
stand beside each other.

Stresses are Cauchy stresses along the fibre (kPa), strains natural (logarithm of stretch), times ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class Law:
    """Constants of the law. All assumed, chosen so that a normal heart works in published ranges.

    Orders of magnitude follow Sainte-Marie et al. (2006) and Chapelle et al. (2012); the lengths follow Arts
    et al. (1991, J Biomech): no force below 1.51 µm, reference length 2.0 µm.
    """

    stiffness: float = 700.0  # k_0, kPa
    stress: float = 107.0  # σ_0, kPa
    preload: float = 0.03  # ξ_0, strain of a bridge that has just attached
    destruction: float = 1.5  # α, bridges torn off by sliding
    damping: float = 70.0  # C_c, kPa ms
    series: float = 5000.0  # k_s, kPa
    attach: float = 0.012  # u while depolarised, 1/ms
    detach: float = 0.030  # −u while repolarised, 1/ms (Pfaller et al. 2019, Biomech Model Mechanobiol)
    rise: float = 30.0  # ms in which u grows, and as many in which it turns
    length: float = 2.0  # µm, sarcomere at zero strain
    slack: float = 1.51  # µm, no force at or below
    plateau: float = 2.4  # µm, full force at or above


class Fibre(NamedTuple):
    """What a fibre remembers; every tensor (..., ) of one shape."""

    stiffness: Tensor  # k_c, kPa
    stress: Tensor  # σ_c, kPa
    strain: Tensor  # e_c
    rate: Tensor  # ė_c, 1/ms


class Response(NamedTuple):
    """One implicit step before the strain rate v is known: everything is affine in v (1/ms)."""

    stiffness: Tensor  # k_c at the end of the step
    stress: Tensor  # σ_c at the end, for ė_c = 0
    stress_slope: Tensor  # its derivative in ė_c
    rate: Tensor  # ė_c for v = 0
    rate_slope: Tensor
    tension: Tensor  # k_s (ε − e_c) at the end of the step for v = 0, kPa
    tension_slope: Tensor  # kPa ms


def rest(strain: Tensor) -> Fibre:
    """A fibre without bridges, its series spring slack."""
    zero = torch.zeros_like(strain)
    return Fibre(zero, zero, strain, zero)


def command(elapsed: Tensor, duration: Tensor, relaxation: Tensor | float, law: Law) -> Tensor:
    """The command u (1/ms) at `elapsed` ms after activation; depolarised for `duration` ms.

    Goes as a cosine in `law.rise` ms from −`detach` to `attach`, stays there, goes back as slowly to
    −`detach` × `relaxation`, and stays there until the next activation.
    """
    up = torch.clamp(elapsed / law.rise, 0, 1)
    down = torch.clamp((elapsed - duration) / law.rise, 0, 1)
    up, down = 0.5 - 0.5 * torch.cos(torch.pi * up), 0.5 - 0.5 * torch.cos(torch.pi * down)
    depolarised = up * (1 - down)
    return law.attach * depolarised - law.detach * relaxation * (1 - depolarised)


def length_factor(strain: Tensor, law: Law) -> Tensor:
    """n(e_c) between 0 and 1: linear in sarcomere length, as in Arts et al. (1991), then flat."""
    reach = law.plateau - law.slack
    return torch.clamp(torch.exp(strain) * (law.length / reach) - law.slack / reach, 0, 1)


def respond(
    fibre: Fibre, strain: Tensor, attaching: Tensor, turnover: Tensor, step: Tensor, law: Law
) -> Response:
    """A step of `step` ms from fibre strain `strain`; what it takes to `finish` it.

    `attaching` is |u|₊ × contractility, `turnover` |u|, both at the middle of the step (1/ms). Bridges decay
    exponentially (exact for constant rates), the spring is implicit. Only |ė_c| and n are taken from the step
    before, so that what remains is linear.
    """
    loss = torch.add(turnover, fibre.rate.abs(), alpha=law.destruction)
    decay = torch.exp(-step * loss)
    gain = (1 - decay) / loss
    pull = attaching * length_factor(fibre.strain, law) * gain
    stiffness = torch.add(fibre.stiffness * decay, pull, alpha=law.stiffness)
    stress = torch.add(fibre.stress * decay, pull, alpha=law.stress)
    stress_slope = gain * stiffness
    spring = law.series * step
    inverse = 1 / (stress_slope + (spring + law.damping))
    stretched = law.series * (strain - fibre.strain)
    rate = (stretched - torch.add(stress, stiffness, alpha=law.preload)) * inverse
    rate_slope = spring * inverse
    return Response(
        stiffness,
        stress,
        stress_slope,
        rate,
        rate_slope,
        stretched - spring * rate,
        spring * (1 - rate_slope),
    )


def finish(fibre: Fibre, response: Response, velocity: Tensor, step: Tensor) -> Fibre:
    """The fibre at the end of the step, once the strain rate `velocity` (1/ms) is known."""
    rate = response.rate + response.rate_slope * velocity
    return Fibre(
        response.stiffness, response.stress + response.stress_slope * rate, fibre.strain + step * rate, rate
    )


def tension(fibre: Fibre, law: Law) -> Tensor:
    """k_c ξ_0 + σ_c + C_c ė_c, kPa: what the fibre pulls with."""
    return law.preload * fibre.stiffness + fibre.stress + law.damping * fibre.rate
