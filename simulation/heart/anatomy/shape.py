"""Two ventricles at end-diastole: a truncated ellipsoid inside a wall of varying thickness, and a crescent.

The LV cavity is an ellipsoid of revolution cut by the valve plane. The epicardium lies off it along the
normal by a thickness that varies smoothly between the 17 segments. The RV cavity is what lies between the
LV's septal epicardium and a free wall that leaves it between two insertions and tapers to an apex above the
LV's. Cavity
volume, wall mass and RV volume of the tables are those asked for: the radius, the thickness and the width of
the crescent are solved for, not drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import pi

import torch
from torch import Tensor

from ground.errors import UsageError
from simulation.heart.anatomy.crescent import free_wall
from simulation.heart.anatomy.parameters import Parameters
from simulation.heart.anatomy.volumes import DENSITY
from simulation.heart.anatomy.wall import Meridian, solve_thickness

HEIGHTS = 64
ANGLES = 72


@dataclass(frozen=True)
class Anatomy:
    """Both ventricles at end-diastole, as radii from the LV's long axis over height and angle.

    Rows: H heights from the epicardial apex (z = -length) to the base (z = 0). Columns: N angles 2πj/N.

    Attributes:
        length: (P,) mm, base to epicardial apex.
        endo: (P, H, N) mm, LV endocardium; 0 below the endocardial apex.
        epi: (P, H, N) mm, LV epicardium; along the septum the LV's side of the RV cavity.
        rv: (P, H, N) mm, endocardium of the RV's free wall; equals epi where there is no RV.
        rv_wall: (P,) mm, thickness of the RV's free wall.
        endo_length: (P,) mm, base to endocardial apex.

    """

    length: Tensor
    endo: Tensor
    epi: Tensor
    rv: Tensor
    rv_wall: Tensor
    endo_length: Tensor

    def heights(self) -> Tensor:
        """(P, H) mm, from -length at the apex to 0 at the base."""
        return -self.length[:, None] * (1 - self._shares())

    def angles(self) -> Tensor:
        """(N,) radians, from 0 (middle of the septum) up to 2π, periodic."""
        columns = self.endo.shape[2]
        return torch.arange(columns, dtype=self.endo.dtype, device=self.endo.device) * (2 * pi / columns)

    def longitudinal(self) -> Tensor:
        """(P, H): 0 at the endocardial apex, 1 at the base, negative in the apical wall."""
        return 1 + self.heights() / self.endo_length[:, None]

    def endo_square(self) -> Tensor:
        """(P, H, N) mm²: the endocardial radius squared, continued below the cavity by negative numbers.

        The square of an ellipsoid's radius crosses zero at its apex with slope 2R²/A. Continued in a straight
        line it says how deep in the apical wall a point lies, and puts the apex where it is, between two
        rows.
        """
        square = self.endo * self.endo
        above = self.heights() + self.endo_length[:, None]
        rows = self.endo.shape[1]
        # For an ellipsoid square/height falls linearly with height, so two rows give its value at the apex.
        first = (above > 0.02 * self.endo_length[:, None]).long().argmax(1)
        second = (first + rows // 8).clamp(max=rows - 1)
        patient = torch.arange(len(first), device=first.device)
        low, high = above[patient, first][:, None], above[patient, second][:, None]
        ratio_low, ratio_high = square[patient, first] / low, square[patient, second] / high
        slope = ratio_low + (ratio_low - ratio_high) * low / (high - low)
        return torch.where(above[:, :, None] > 0, square, above[:, :, None] * slope[:, None, :])

    def to(self, target: torch.device | torch.dtype | str) -> Anatomy:
        """The same anatomy on another device or in another precision."""
        return Anatomy(**{field.name: getattr(self, field.name).to(target) for field in fields(self)})

    def __getitem__(self, patients: slice) -> Anatomy:
        """The anatomies of some of the patients."""
        return Anatomy(**{field.name: getattr(self, field.name)[patients] for field in fields(self)})

    def __len__(self) -> int:
        return len(self.length)

    def _shares(self) -> Tensor:
        rows = self.endo.shape[1]
        return torch.arange(rows, dtype=self.endo.dtype, device=self.endo.device) / (rows - 1)


def build(
    parameters: Parameters,
    thickness_factor: Tensor | None = None,
    *,
    heights: int = HEIGHTS,
    angles: int = ANGLES,
) -> Anatomy:
    """The anatomy that has the parameters' volumes and mass; dtype and device are the parameters'.

    thickness_factor: (P, 17) by segment, or (P, H', N') over the heights and angles of the anatomy built
    without it, multiplies the wall's thickness after the mass was met: the endocardium and both cavities'
    volumes stay, the epicardium moves.
    """
    if heights < 8 or angles < 8:
        raise UsageError(f"heart anatomy: {heights} heights, {angles} angles are too coarse; give 8 or more")
    meridian = Meridian.of(parameters, angles)
    thickness = meridian.by_segment(parameters.wall)
    scale = solve_thickness(meridian, thickness, heights, parameters.mass_g / DENSITY * 1000)
    thickness = scale[:, None, None] * thickness
    if thickness_factor is not None:
        thickness = thickness * meridian.factor(thickness_factor, thickness)
    length, endo, epi = meridian.radii(thickness, heights)
    outside = epi.clamp(min=0).sqrt()
    rv = free_wall(parameters, length, outside, meridian.angles)
    cavity = endo.clamp(min=0).sqrt()
    return Anatomy(length, cavity, outside, rv, parameters.rv_wall_mm, parameters.endo_length_mm)
