"""What lies in the cavities: trabeculae along the endocardium and the two papillary muscles.

Trabeculae are ridges that run mostly along the ventricle, deeper towards the apex and shallow on the septum.
An expert's contour counts them as cavity, and so do the labels. They keep their volume: where the cavity
closes, the area that they fill, A = R² − (R − d)² for a ridge d deep at a radius of R, stays (but for the
longitudinal stretch λ, A/λ), so that they fill more of what is left, as real ones do at end-systole. That
they do is physics; their depths, numbers and places are assumed, chosen by eye beside real pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from simulation.heart.anatomy.shape import Anatomy
from simulation.heart.imaging.fields import RMS, weights

RIDGES, LEVELS = (32, 48), 8  # knots round the LV and the RV, where radii are larger, and along both
FULLEST = 0.8  # share of a cavity's area that trabeculae can fill
# Angle (rad) and radius (mm) of the two papillary muscles, and how many radii off the wall they are: assumed.
PAPILLARY = ((2.36, 4.5, 0.8), (-2.1, 4.0, 0.8))
Muscle = tuple[float, float, float]


@dataclass(frozen=True)
class Trabeculae:
    """One patient's.

    Attributes:
        ridges: of the LV and the RV, (LEVELS, RIDGES) standard normal.
        depth: of the ridges, share of the cavity's radius: LV, RV.
        cover: of the ridges, -1 (few) to 1 (most of the wall).
        papillary: angle (rad), radius (mm) and distance from the wall (radii) of each papillary muscle.

    """

    ridges: tuple[np.ndarray, ...]
    depth: tuple[float, float]
    cover: float
    papillary: tuple[Muscle, ...]


def draw(random: np.random.Generator) -> Trabeculae:
    """One patient's trabeculae and papillary muscles: ranges assumed."""
    ridges = tuple(random.standard_normal((LEVELS, count)) for count in RIDGES)
    depth = (float(random.uniform(0.10, 0.32)), float(random.uniform(0.15, 0.40)))
    cover = float(random.uniform(-0.6, 0.5))
    muscles = tuple(
        (
            angle + float(random.normal(0, 0.2)),
            size * math.exp(random.normal(0, 0.2)),
            least * float(random.uniform(1.0, 2.0)),
        )
        for angle, size, least in PAPILLARY
    )
    return Trabeculae(ridges, depth, cover, muscles)


def areas(own: Trabeculae, anatomy: Anatomy) -> Tensor:
    """(2, H, N) mm²: A over the first patient's table of heights and angles, in the LV and in the RV.

    In the RV the radius is what lies between the septum and the free wall, on which the ridges are.
    """
    endo, rv, epi = anatomy.endo[0], anatomy.rv[0], anatomy.epi[0]
    rows, columns = endo.shape
    along = torch.linspace(0, LEVELS - 3.0, rows, dtype=endo.dtype, device=endo.device)
    lengthwise = weights(along, 1.0, LEVELS)
    height = []
    for lattice, count in zip(own.ridges, RIDGES, strict=True):
        around = torch.arange(columns).to(endo) * (count / columns)
        waves = lengthwise @ torch.from_numpy(lattice).to(endo) @ weights(around, 1.0, count).T / RMS**2
        height.append((waves + own.cover).clamp(0.0, 1.5) / 1.5)
    share = 1.4 - 0.9 * along[:, None] / (LEVELS - 3.0)  # deeper towards the apex
    lateral = 0.7 - 0.3 * torch.cos(anatomy.angles())  # the septum is smooth
    left = height[0] * share * lateral * own.depth[0] * endo
    free = (rv - epi).clamp(min=0.0)
    right = height[1] * share * own.depth[1] * free
    return torch.stack([endo**2 - (endo - left) ** 2, rv**2 - (rv - right) ** 2])


def cores(squares: Tensor, filled: Tensor, stretch: Tensor) -> Tensor:
    """(2, T, H, N) mm²: squared radii inside which the cavities are free of trabeculae.

    Args:
        squares: (4, T, H, N) mm², of `Motion.squares`, one patient's.
        filled: (2, H, N) of `areas`.
        stretch: (T, H, N) λ.

    """
    endo, epi, rv, _ = squares
    kept = filled[:, None] / stretch
    left = endo - torch.minimum(kept[0], FULLEST * endo.clamp(min=0.0))
    right = rv - torch.minimum(kept[1], FULLEST * (rv - epi).clamp(min=0.0))
    return torch.stack([left, right])
