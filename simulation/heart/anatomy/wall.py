"""The LV wall: a thickness laid along the normals of an ellipsoid's meridian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from simulation.heart.anatomy import segments
from simulation.heart.anatomy.parameters import Parameters
from simulation.heart.anatomy.tables import read
from simulation.heart.anatomy.volumes import enclosed

POINTS = 129  # of a meridian, from the apex to the base
SEPTUM = 0.7  # radians from the middle of the septum over which flattening fades; assumed
ROUNDS = 4  # of the secant rule, which leaves less than 1e-9 of the volume


@dataclass(frozen=True)
class Meridian:
    """Meridians of the cavity from apex to base: radius, height (mm), and the outward normal in their plane.

    With a the length from base to apex and t the truncation, the equator lies at z = -ta and the long
    semi-axis is A = (1 - t)a; at parameter η the radius is R sin η and z = -ta - A cos η. The volume below
    the base is πR²(a - ((ta)³ + A³)/(3A²)), which gives R.
    """

    parameters: Parameters
    angles: Tensor  # (N,)
    equator: Tensor  # (P, N) R, mm
    radius: Tensor  # (P, N, E)
    height: Tensor  # (P, E)
    normal_radius: Tensor  # (P, N, E)
    normal_height: Tensor

    @classmethod
    def of(cls, parameters: Parameters, columns: int) -> Meridian:
        """The meridian of each patient's cavity."""
        length, truncation = parameters.endo_length_mm, parameters.truncation
        below, axis = truncation * length, (1 - truncation) * length
        angles = torch.arange(columns, dtype=length.dtype, device=length.device) * (2 * pi / columns)
        mean = (parameters.edv_ml * 1000 / (pi * (length - (below**3 + axis**3) / (3 * axis**2)))).sqrt()
        equator = mean[:, None] * outline(parameters, angles)
        share = torch.linspace(0, 1, POINTS, dtype=length.dtype, device=length.device)
        eta = torch.arccos(-below / axis)[:, None] * share
        sine, cosine = eta.sin(), eta.cos()
        radius, height = equator[:, :, None] * sine[:, None], -below[:, None] - axis[:, None] * cosine
        across, along = (axis[:, None] * sine)[:, None], -equator[:, :, None] * cosine[:, None]
        norm = (across**2 + along**2).sqrt()
        return cls(parameters, angles, equator, radius, height, across / norm, along / norm)

    def by_segment(self, values: Tensor) -> Tensor:
        """Values of 17 segments (P, 17) along the meridians (P, N, E)."""
        longitudinal = 1 + self.height / self.parameters.endo_length_mm[:, None]
        weight = segments.weights(longitudinal[:, None, :], self.angles[None, :, None])
        return torch.einsum("ps,pnes->pne", values, weight)

    def factor(self, factor: Tensor, thickness: Tensor) -> Tensor:
        """A factor by segment (P, 17), or by height and angle (P, H, N), along the meridians (P, N, E).

        A table is read half way through the wall, and its lowest readings are made one at the apex.
        """
        if factor.ndim == 2:
            return self.by_segment(factor.to(thickness))
        height = self.height[:, None, :] + thickness * self.normal_height / 2
        length = self.parameters.endo_length_mm + thickness[:, 0, 0]
        angle = self.angles[None, :, None].expand_as(height)
        along = read(factor.to(thickness)[:, None], 1 + height / length[:, None, None], angle)[:, 0]
        longitudinal = 1 + self.height / self.parameters.endo_length_mm[:, None]
        near_apex = segments.weights(longitudinal, torch.zeros_like(longitudinal))[:, None, :, -1]
        return torch.lerp(along, along.mean(1, keepdim=True), near_apex)

    def radii(self, thickness: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        """Length (P,) mm, squared radii of endocardium and epicardium (P, H, N) mm², for a wall (P, N, E) mm.

        The endocardium's is negative below the cavity; it is scaled so that the table has the volume exactly.
        """
        below = self.parameters.truncation * self.parameters.endo_length_mm
        axis = (1 - self.parameters.truncation) * self.parameters.endo_length_mm
        length = self.parameters.endo_length_mm + thickness[:, 0, 0]
        share = torch.arange(rows, dtype=length.dtype, device=length.device) / (rows - 1)
        z = -length[:, None] * (1 - share)
        inside = 1 - ((z + below[:, None]) / axis[:, None]) ** 2
        above = z + self.parameters.endo_length_mm[:, None]
        inside = torch.where(above > 0, inside, above * (2 / axis)[:, None])
        endo = inside[:, :, None] * (self.equator**2)[:, None]
        endo = endo * (self.parameters.edv_ml * 1000 / enclosed(endo, length))[:, None, None]
        radius = self.radius + thickness * self.normal_radius
        height = self.height[:, None, :] + thickness * self.normal_height
        epi = _resample(height, radius**2, z[:, None, :].expand(-1, len(self.angles), -1)).transpose(1, 2)
        epi = torch.cat([torch.zeros_like(epi[:, :1]), epi[:, 1:]], dim=1)  # the apex, exactly
        return length, endo, torch.maximum(epi, endo)


def outline(parameters: Parameters, angles: Tensor) -> Tensor:
    """(P, N): the equator's radius over angle, in relation to the round one of the same area.

    (1 + o cos 2φ)(1 - f exp(-(φ/w)²)), with ovality o, flattening f and a septum of half-width w.
    """
    signed = torch.remainder(angles + pi, 2 * pi) - pi
    oval = 1 + parameters.ovality[:, None] * torch.cos(2 * signed)
    shape = oval * (1 - parameters.flattening[:, None] * torch.exp(-((signed / SEPTUM) ** 2)))
    return shape / (shape**2).mean(1, keepdim=True).sqrt()


def solve_thickness(meridian: Meridian, shape: Tensor, rows: int, volume: Tensor) -> Tensor:
    """(P,) factors of a thickness (P, N, E) that give the wall a volume (P,) mm³.

    The logarithm of the volume is nearly linear in that of the factor, so the secant rule ends in a few
    rounds.
    """

    def excess(logarithm: Tensor) -> Tensor:
        length, endo, epi = meridian.radii(logarithm.exp()[:, None, None] * shape, rows)
        return ((enclosed(epi, length) - enclosed(endo, length)) / volume).log()

    return _secant(excess, shape.new_full(volume.shape, 2.0) - shape.mean((1, 2)).log())


def _secant(excess: Callable[[Tensor], Tensor], first: Tensor) -> Tensor:
    """The exponential of the zero of an increasing function with slope near one."""
    before, error_before = first, excess(first)
    now = before - error_before
    for _ in range(ROUNDS):
        error = excess(now)
        change, gap = error - error_before, now - before
        slope = torch.where(change.abs() > 1e-9, gap / change, torch.ones_like(gap)).clamp(0.3, 3)
        before, error_before, now = now, error, now - error * slope
    return now.exp()


def _resample(height: Tensor, values: Tensor, wanted: Tensor) -> Tensor:
    """Values given at rising heights (..., E), linearly read at other heights (..., H)."""
    height = height.cummax(-1).values.contiguous()
    high = torch.searchsorted(height, wanted.contiguous()).clamp(1, height.shape[-1] - 1)
    low_height, high_height = height.gather(-1, high - 1), height.gather(-1, high)
    share = ((wanted - low_height) / (high_height - low_height).clamp(min=1e-6)).clamp(0, 1)
    return torch.lerp(values.gather(-1, high - 1), values.gather(-1, high), share)
