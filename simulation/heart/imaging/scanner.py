"""Scanners: the habits of three vendors, how patients breathe in them, and the grey levels they store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ground.errors import UsageError


@dataclass(frozen=True)
class Scanner:
    """One vendor's habits. Names are neutral; the numbers are within common protocols, each value assumed.

    The exception is b, whose angle and times lie where headers of the Sunnybrook data have them (1.5 T,
    45°, TR 3.35 to 3.82 ms, TE 1.53 to 1.68 ms).

    Attributes:
        field: tesla.
        flip: degrees.
        tr, te: ms.
        thickness, gap: of the slices, mm.
        matrix: acquired voxel against reconstructed voxel, along (y, x); 1 is no interpolation.
        taper: share of k-space over which the signal is faded out; 0 cuts hard and rings (Gibbs).
        coil: how much the surface coil brightens the chest, log of the ratio across 100 mm.
        noise: standard deviation in each channel against the signal of LV blood.
        late_noise: the same in late enhancement, against blood.
        scale: grey level of LV blood at the heart.
        late_scale: grey level of LV blood in late enhancement.
        bits: stored.

    """

    name: str
    field: float
    flip: float
    tr: float
    te: float
    thickness: float
    gap: float
    matrix: tuple[float, float]
    taper: float
    coil: float
    noise: float
    late_noise: float
    scale: float
    late_scale: float
    bits: int = 12


SCANNERS: Mapping[str, Scanner] = MappingProxyType(
    {
        "a": Scanner("a", 1.5, 60, 3.2, 1.6, 8.0, 2.0, (1.35, 1.1), 0.25, 0.5, 0.030, 0.09, 420, 300),
        "b": Scanner("b", 1.5, 45, 3.6, 1.6, 8.0, 0.0, (1.25, 1.0), 0.1, 0.9, 0.045, 0.11, 150, 120),
        "c": Scanner("c", 3.0, 45, 3.0, 1.45, 6.0, 4.0, (1.15, 1.0), 0.4, 0.7, 0.025, 0.07, 1100, 800),
    }
)


def scanner(name: str) -> Scanner:
    """The preset of that name."""
    if name not in SCANNERS:
        raise UsageError(f"unknown scanner {name!r}: choose one of {', '.join(SCANNERS)}")
    return SCANNERS[name]


def breathing(random: np.random.Generator, slices: int, spread: float = 1.5) -> NDArray[np.float64]:
    """Displacement (slices, 3) in mm of each slice's breath-hold: across, down, towards the base.

    Mostly head-foot, which in a short-axis picture lies mainly along y. Breath-holds differ by a few mm
    (McLeish et al., IEEE Transactions on Medical Imaging 2002, describe the motion); `spread`, the standard
    deviation along y in mm, is assumed.
    """
    return spread * np.array([0.5, 1.0, 0.5]) * random.standard_normal((slices, 3))


def stored(images: Tensor, scanner: Scanner, contrast: str = "cine") -> NDArray[np.uint16]:
    """Grey levels uint16 of the same shape: blood lies at the scanner's scale, the top is cut at its bits."""
    scale = scanner.scale if contrast == "cine" else scanner.late_scale
    levels: NDArray[np.uint16] = (
        (images * scale).round().clamp(0, 2**scanner.bits - 1).cpu().numpy().astype(np.uint16)
    )
    return levels
