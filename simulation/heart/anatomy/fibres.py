"""Rule-based fibres: the helix angle falls linearly from +60° at the endocardium to -60° at the epicardium.

After Streeter et al. 1969 (Circ Res 24:339), who measured about +60° to −60°.
The angle is that between the fibre and the circumferential direction within the surface of equal transmural
coordinate; positive angles make a right-handed helix about the axis from apex to base.
"""

from __future__ import annotations

from math import pi, radians

import torch
from torch import Tensor

from simulation.heart.anatomy.coordinates import RIGHT, apex_thickness, locate, surfaces
from simulation.heart.anatomy.shape import Anatomy
from simulation.heart.anatomy.tables import lookup

ENDO_DEGREES, EPI_DEGREES = 60.0, -60.0


def fibres(
    anatomy: Anatomy, points: Tensor, endo_degrees: float = ENDO_DEGREES, epi_degrees: float = EPI_DEGREES
) -> Tensor:
    """Unit vectors along the fibres at points (P, M, 3) mm; beyond a wall the angle is its edge's."""
    circumferential, longitudinal, _ = directions(anatomy, points)
    transmural = locate(anatomy, points).transmural.clamp(0, 1)
    helix = torch.lerp(
        torch.full_like(transmural, radians(endo_degrees)),
        torch.full_like(transmural, radians(epi_degrees)),
        transmural,
    )[..., None]
    return helix.cos() * circumferential + helix.sin() * longitudinal


def directions(anatomy: Anatomy, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Circumferential, longitudinal (towards the base) and outward unit vectors, each (P, M, 3), orthogonal.

    The outward one is the gradient of the transmural coordinate, the circumferential one is horizontal.
    """
    outward = _outward(anatomy, points)
    across = torch.stack([-outward[..., 1], outward[..., 0], torch.zeros_like(outward[..., 0])], dim=-1)
    norm = across.norm(dim=-1, keepdim=True)
    # On the axis of the apical wall outward is vertical, and any horizontal direction serves.
    some = torch.zeros_like(across)
    some[..., 1] = 1
    circumferential = torch.where(norm > 1e-6, across / norm.clamp(min=1e-6), some)
    return circumferential, torch.linalg.cross(outward, circumferential), outward


def _outward(anatomy: Anatomy, points: Tensor) -> Tensor:
    """The transmural coordinate's gradient, scaled to one.

    With g = g(r²), inner and outer g of the surfaces and t the coordinate, the gradient is parallel to that
    of g - (1 - t) inner(z, φ) - t outer(z, φ) at fixed t; in the RV's free wall to that of r - rv(z, φ).
    """
    x, y, z = points.unbind(-1)
    angle, square = torch.atan2(y, x), x * x + y * y
    table = surfaces(anatomy)
    slopes = torch.cat([table, *_derivatives(anatomy, table)], dim=1)
    endo, epi, rv, endo_z, epi_z, rv_z, endo_a, epi_a, rv_a = lookup(slopes, z, angle, anatomy).unbind(1)
    where = locate(anatomy, points)
    thickness = apex_thickness(anatomy)
    inner, outer, own = (_slope(value, thickness) for value in (endo, epi, square))
    share = where.transmural.clamp(0, 1)
    left_z = -torch.lerp(inner * endo_z, outer * epi_z, share)
    left_a = -torch.lerp(inner * endo_a, outer * epi_a, share)
    right = where.ventricle == RIGHT
    free = 2 * (rv.clamp(min=1e-12) * square).sqrt()  # r - √rv, times 2r√rv for the radial part, and so on
    radial = torch.where(right, free / square.clamp(min=1e-12).sqrt(), own * 2 * square.sqrt())
    along = torch.where(right, -rv_z, left_z)
    around = torch.where(right, -rv_a, left_a) / square.clamp(min=1e-12).sqrt()
    around = torch.where(square > 1e-6, around, torch.zeros_like(around))
    cosine, sine = angle.cos(), angle.sin()
    gradient = torch.stack([radial * cosine - around * sine, radial * sine + around * cosine, along], dim=-1)
    norm: Tensor = gradient.norm(dim=-1, keepdim=True)
    return gradient / norm.clamp(min=1e-12)


def _slope(square: Tensor, thickness: Tensor) -> Tensor:
    """dg/dq = (|q|/2 + h²)/(|q| + h²)^1.5."""
    size, power = square.abs(), thickness**2
    return (size / 2 + power) / (size + power) ** 1.5


def _derivatives(anatomy: Anatomy, table: Tensor) -> tuple[Tensor, Tensor]:
    """Of tables (P, K, H, N): by height (per mm) and by angle (per radian), central differences."""
    rows, columns = table.shape[2:]
    by_row = torch.gradient(table, dim=2, edge_order=2)[0]
    by_height = by_row * ((rows - 1) / anatomy.length)[:, None, None, None]
    by_angle = (table.roll(-1, 3) - table.roll(1, 3)) * (columns / (4 * pi))
    return by_height, by_angle
