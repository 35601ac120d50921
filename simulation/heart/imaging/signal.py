"""Signal of a tissue: the balanced steady state (cine) and inversion recovery (late enhancement).

- bSSFP off resonance: Freeman & Hill, J Magn Reson 1971;4:366-383, as in Scheffler & Lehnhardt, Eur Radiol
  2003;13:2409-2418 and Haacke et al., "Magnetic Resonance Imaging", chapter 18.
- Inversion recovery with a nulled myocardium: Simonetti et al., Radiology 2001;218:215-223. Fat is suppressed
  before the read-out, or it would outshine a scar.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, log1p

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulation.heart.imaging.tissues import TISSUES, at

PROTON_MHZ_PER_T = 42.577  # gyromagnetic ratio over 2π
LIPID_PPM = -3.4  # main lipid peak relative to water
FAT_LEFT = 0.1  # share of fat's signal that its suppression leaves in late enhancement: assumed


def bssfp(
    t1: Tensor, t2: Tensor, flip: Tensor, repetition: float, echo: float, off_resonance_hz: Tensor
) -> Tensor:
    """Complex transverse magnetisation at the echo, relative to equilibrium, of a balanced steady state.

    T1, T2, repetition and echo time in ms, flip angle in radians (its sign alternates); shapes broadcast.
    On resonance this is sin α (1 - E1) / (1 - (E1 - E2) cos α - E1 E2) · exp(-TE/T2). With the echo half-way
    the result is nearly real, and its sign turns with every 1/TR of off-resonance: why fat and water cancel
    in a voxel that holds both (the dark outline of organs).
    """
    e1, e2 = torch.exp(-repetition / t1), torch.exp(-repetition / t2)
    angle = 2 * torch.pi * off_resonance_hz * repetition / 1000
    turned = angle + torch.pi  # the alternating pulse seen in a frame that alternates with it
    cosine = torch.cos(flip)
    c = e2 * (e1 - 1) * (1 + cosine)
    d = (1 - e1 * cosine) - (e1 - cosine) * e2**2
    share = (1 - e1) * torch.sin(flip) / (c * torch.cos(turned) + d) * torch.exp(-echo / t2)
    after = torch.complex(1 - e2 * torch.cos(turned), e2 * torch.sin(turned))
    waited = angle * echo / repetition
    return share * after * torch.complex(torch.cos(waited), torch.sin(waited))


def inversion_recovery(t1: Tensor, inversion: Tensor, interval: float) -> Tensor:
    """Longitudinal magnetisation (-1 to 1) so long after a perfect inversion every `interval`; ms."""
    return 1 - 2 * torch.exp(-inversion / t1) + torch.exp(-interval / t1)


def null_time(t1: float, interval: float) -> float:
    """Inversion time (ms) at which this T1 gives nothing: T1 ln(2 / (1 + exp(-interval/T1)))."""
    return t1 * (log(2) - log1p(exp(-interval / t1)))


def cine_signals(
    names: Sequence[str], field: float, flip: float, tr: float, te: float
) -> NDArray[np.float64]:
    """(K,) signed signal of each tissue in a bSSFP cine, relative to water in equilibrium.

    field in T, flip angle in degrees, repetition and echo time in ms. Fat is negative where it opposes water.
    """
    relaxation = torch.tensor([at(name, field) for name in names], dtype=torch.float64)
    lipid = PROTON_MHZ_PER_T * field * LIPID_PPM
    off = torch.tensor([lipid if TISSUES[name].fatty else 0.0 for name in names], dtype=torch.float64)
    weight = torch.tensor([TISSUES[name].density * TISSUES[name].kept for name in names], dtype=torch.float64)
    angle = torch.deg2rad(torch.tensor(flip, dtype=torch.float64))
    value = bssfp(relaxation[:, 0], relaxation[:, 1], angle, tr, te, off)
    # An echo off the half-way point turns fat by a few degrees, which is left out: magnitude and sign stay.
    signed: NDArray[np.float64] = (weight * value.abs() * value.real.sign()).numpy()
    return signed


def late_signals(
    names: Sequence[str], field: float, cycle: float, te: float, off_null: float = 1.0
) -> NDArray[np.float64]:
    """(K,) magnitude of each tissue in late enhancement: remote myocardium nulled, fat suppressed.

    field in T; cycle: ms between inversions; te: echo time, ms, of a short spoiled read-out at a small flip
    angle, which leaves the recovery as it is; off_null: inversion time over remote myocardium's null time.
    """
    null = null_time(TISSUES["myocardium"].enhanced_t1, cycle)
    inversion = torch.tensor(off_null * null, dtype=torch.float64)
    t1 = torch.tensor([TISSUES[name].enhanced_t1 for name in names], dtype=torch.float64)
    t2 = torch.tensor([at(name, field)[1] for name in names], dtype=torch.float64)
    weight = torch.tensor(
        [TISSUES[name].density * (FAT_LEFT if TISSUES[name].fatty else 1.0) for name in names],
        dtype=torch.float64,
    )
    recovered = inversion_recovery(t1, inversion, cycle).abs()
    magnitude: NDArray[np.float64] = (weight * recovered * torch.exp(-te / t2)).numpy()
    return magnitude
