"""Valves and vessels around the ventricle: two diodes, an atrium with a kick, a three-element Windkessel.

Westerhof, Lankhaar, Westerhof (2009, Med Biol Eng Comput): a characteristic impedance Z before a compliance C
with a resistance R beside it. A valve is a resistance that lets flow through in one direction only.

    flow in   q_in  = max(p_atrium − p, 0) / R_mitral
    flow out  q_out = max(p − p_aorta, 0) / R_aortic,   p_aorta = p_store + Z q_out
    C dp_store/dt = q_out − p_store / R

Volumes mL, pressures kPa, times ms; all tensors (P,).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class Circulation:
    """What the ventricle works against and is filled by; every tensor (P,)."""

    resistance: Tensor  # R, kPa ms/mL
    compliance: Tensor  # C, mL/kPa
    impedance: Tensor  # Z, kPa ms/mL
    aortic_valve: Tensor  # kPa ms/mL
    mitral_valve: Tensor  # kPa ms/mL
    kick: Tensor  # kPa that the atrium adds at the height of its contraction


class Flow(NamedTuple):
    """What one step settles; every tensor (P,)."""

    pressure: Tensor  # cavity, kPa
    inflow: Tensor  # mL/ms through the mitral valve
    outflow: Tensor  # mL/ms through the aortic valve
    store: Tensor  # kPa in the Windkessel's compliance
    aorta: Tensor  # kPa behind the aortic valve


def atrial_kick(remaining: Tensor, duration: float = 140.0, before: float = 20.0) -> Tensor:
    """Shape of the atrial contraction, 0 to 1, `remaining` ms before the next end-diastole.

    Half a squared sine of `duration` ms that ends `before` ms ahead of end-diastole (assumed).
    """
    progress = torch.clamp((remaining - before) / duration, 0, 1)
    return torch.sin(torch.pi * progress) ** 2


def settle(
    offset: Tensor, slope: Tensor, atrium: Tensor, store: Tensor, step: Tensor, around: Circulation
) -> Flow:
    """The cavity pressure at the end of a step in which dV/dt = offset + slope × pressure (mL/ms, mL/ms/kPa).

    With both valves shut the pressure would be p₀ = −offset/slope. Each valve opens exactly where p₀ is on
    its right side, and the flow through it is linear, so that nothing has to be iterated. Implicit in the
    Windkessel. Correct as long as the atrial pressure is below the aortic.
    """
    compliance = 1 / slope
    shut = -offset * compliance
    leak = 1 / (1 + step / (around.resistance * around.compliance))
    store = store * leak
    gain = leak * step / around.compliance
    inflow = torch.clamp(atrium - shut, min=0) / (around.mitral_valve + compliance)
    downstream = around.aortic_valve + around.impedance + gain
    outflow = torch.clamp(shut - store, min=0) / (downstream + compliance)
    store = store + gain * outflow
    return Flow(
        shut + (inflow - outflow) * compliance, inflow, outflow, store, store + around.impedance * outflow
    )
