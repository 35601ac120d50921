"""Ventricular coordinates, both ways: where in the wall a point lies, and which point lies there.

In the spirit of Bayer et al. 2018 (Med Image Anal 45:83), but by formula instead of by solving Laplace's
equation: longitudinal and angle are height and polar angle, transmural interpolates between the surfaces in

    g(q) = q / √(|q| + h²),    q = r² (signed, `Anatomy.endo_square`),    h = thickness of the apex,

    transmural = (g(r²) - g(q_endo)) / (g(q_epi) - g(q_endo)).

g is close to the radius where the cavity is wide, so the coordinate is close to linear through the wall;
below the cavity q_endo is negative, so that transmural goes from 0 to 1 along the axis of the apical wall as
well. At each height and angle it rises strictly with the radius, and both directions are closed formulas.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from simulation.heart.anatomy.shape import Anatomy
from simulation.heart.anatomy.tables import lookup

OUTSIDE, LEFT, RIGHT = 0, 1, 2  # no wall (a cavity or beyond), LV wall, free wall of the RV
LEAST_GAP = 0.5  # mm; where the RV cavity is narrower, its free wall is not told from the LV's wall


@dataclass(frozen=True)
class Coordinates:
    """Places in the ventricles; every tensor is (P, M).

    Attributes:
        transmural: 0 at the endocardium, 1 at the epicardium; negative in the cavity, above 1 outside.
        longitudinal: 0 at the height of the LV's endocardial apex, 1 at the base, negative in the apical
            wall.
        angle: radians from the middle of the septum, in (-π, π].
        ventricle: `LEFT`, `RIGHT` or `OUTSIDE`.

    """

    transmural: Tensor
    longitudinal: Tensor
    angle: Tensor
    ventricle: Tensor


def locate(anatomy: Anatomy, points: Tensor) -> Coordinates:
    """Coordinates of points (P, M, 3) mm in the heart's frame."""
    x, y, z = points.unbind(-1)
    angle = torch.atan2(y, x)
    square = x * x + y * y
    endo, epi, rv = lookup(surfaces(anatomy), z, angle, anatomy).unbind(1)
    thickness = apex_thickness(anatomy)
    inner = graded(endo, thickness)
    left = (graded(square, thickness) - inner) / (graded(epi, thickness) - inner)
    free = rv.sqrt()
    right = (square.sqrt() - free) / anatomy.rv_wall[:, None]
    within = (z <= 0) & (z >= -anatomy.length[:, None])
    in_left = within & (left >= 0) & (left <= 1)
    in_right = within & ~in_left & (free - epi.sqrt() > LEAST_GAP) & (right >= 0) & (right <= 1)
    ventricle = torch.where(in_right, RIGHT, torch.where(in_left, LEFT, OUTSIDE))
    longitudinal = 1 + z / anatomy.endo_length[:, None]
    return Coordinates(torch.where(in_right, right, left), longitudinal, angle, ventricle)


def place(anatomy: Anatomy, coordinates: Coordinates) -> Tensor:
    """Points (P, M, 3) mm at the coordinates; all but those of the RV's free wall are read as the LV's.

    In the apical wall the surfaces of low transmural end above; there the point on the axis is given.
    """
    z = (coordinates.longitudinal - 1) * anatomy.endo_length[:, None]
    endo, epi, rv = lookup(surfaces(anatomy), z, coordinates.angle, anatomy).unbind(1)
    thickness = apex_thickness(anatomy)
    mixed = torch.lerp(graded(endo, thickness), graded(epi, thickness), coordinates.transmural)
    left = ungraded(mixed, thickness).clamp(min=0).sqrt()
    right = rv.sqrt() + coordinates.transmural * anatomy.rv_wall[:, None]
    radius = torch.where(coordinates.ventricle == RIGHT, right, left)
    return torch.stack([radius * coordinates.angle.cos(), radius * coordinates.angle.sin(), z], dim=-1)


def surfaces(anatomy: Anatomy) -> Tensor:
    """(P, 3, H, N) mm²: squared radii of LV endocardium (signed), LV epicardium, RV free wall."""
    return torch.stack([anatomy.endo_square(), anatomy.epi**2, anatomy.rv**2], dim=1)


def apex_thickness(anatomy: Anatomy) -> Tensor:
    """(P, 1) mm of wall between the two apices."""
    return (anatomy.length - anatomy.endo_length)[:, None]


def graded(square: Tensor, thickness: Tensor) -> Tensor:
    """g(q) = q/√(|q| + h²), mm."""
    return square / (square.abs() + thickness**2).sqrt()


def ungraded(value: Tensor, thickness: Tensor) -> Tensor:
    """The q with g(q) = value: q² - g²|q| - g²h² = 0, with the sign of g."""
    power = value * value
    return torch.sign(value) * (power + (power * power + 4 * power * thickness**2).sqrt()) / 2
