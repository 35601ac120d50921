"""A smooth random deformation of a patient's pictures and labels alike, for domain randomisation.

As SynthSeg (Billot et al., Medical Image Analysis 2023) warps the maps from which it makes pictures: first a
smooth displacement u, then an affine map. Here u is a cubic B-spline over knots in the patient's space, the
same in every phase, in the plane of the slices. It folds nowhere: each component at each knot is held below
the distance of the knots / 2.046, which is enough for a map of the plane to be one to one (Choi and Lee,
Graphical Models 2000;62:411-427; the planes of a lattice in space are averages of its layers).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from simulation.heart.imaging.fields import RMS, field

STEP, KNOTS = 30.0, 10  # mm between knots; knots along each axis
MOST = 0.4 * STEP  # mm, below STEP / 2.046


@dataclass(frozen=True)
class Deformation:
    """One patient's: what is shown at x lies at matrix (x + u(x)) + shift.

    Attributes:
        knots: (2, KNOTS, KNOTS, KNOTS) mm, displacement across and upwards.
        matrix: (2, 2).
        shift: (2,) mm.

    """

    knots: np.ndarray
    matrix: np.ndarray
    shift: np.ndarray


def draw(random: np.random.Generator) -> Deformation:
    """Ranges assumed, of SynthSeg's order: turns to 20°, sizes 0.85 to 1.15, shears to 0.1, shifts of mm."""
    strength = random.uniform(0.0, 12.0)
    knots = np.clip(strength * random.standard_normal((2, KNOTS, KNOTS, KNOTS)), -MOST, MOST)
    turn = math.radians(random.uniform(-20, 20))
    sizes, shears = random.uniform(0.85, 1.15, size=2), random.uniform(-0.1, 0.1, size=2)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    sheared = np.array([[1.0, shears[0]], [shears[1], 1.0]])
    return Deformation(knots, rotation @ sheared @ np.diag(sizes), random.uniform(-10, 10, size=2))


def places(own: Deformation, heights: Tensor, size: tuple[int, int], spacing: float) -> Tensor:
    """(S, Y, X, 2): where what is shown in each voxel lies, mm across and upwards from the middle.

    heights: (S,) mm, of the slices; spacing: mm per voxel.
    """
    rows, columns = size
    x = (torch.arange(columns).to(heights) - (columns - 1) / 2) * spacing
    y = -(torch.arange(rows).to(heights) - (rows - 1) / 2) * spacing
    knots = torch.from_numpy(own.knots).to(heights)[None]
    moved = RMS**3 * field(knots, heights[None], y, x, STEP)[0]
    across, up = x + moved[0], y[:, None] + moved[1]
    there = torch.stack([across, up], dim=-1) @ torch.from_numpy(own.matrix).to(heights).transpose(0, 1)
    return there + torch.from_numpy(own.shift).to(heights)


def warp(pictures: Tensor, places: Tensor, spacing: float, *, nearest: bool = False) -> Tensor:
    """Pictures (S, C, Y, X) as they look once deformed; beyond its edges a picture is mirrored."""
    rows, columns = pictures.shape[-2:]
    size = places.new_tensor([columns, -rows])
    mode = "nearest" if nearest else "bilinear"
    grid = (places * (2.0 / spacing) / size).to(pictures)
    return grid_sample(pictures, grid, mode=mode, padding_mode="reflection", align_corners=False)
