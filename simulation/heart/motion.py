"""A beating anatomy: every point of the wall is carried through the cycle, and no volume is gained or lost.

In cylindrical coordinates about the LV's axis, the material point (r, φ, z) of end-diastole goes to

    z' = Z(z, φ),    r'² = r²/λ(z, φ) + g(z, φ),    φ' = φ + θ(z'),    λ = ∂Z/∂z.

Before the twist the map is triangular (φ stays, z' does not depend on r), so its Jacobian is
(r'/r)(∂r'/∂r)(∂Z/∂z) = (1/λ)·λ = 1 for any λ and g; the twist turns each plane rigidly. Volume is preserved
exactly, between the entries of the tables too, since Z is integrated there. λ is the longitudinal stretch of
the segments, with a fixed apex, so that the valve plane descends. g makes the middle of the wall as much
narrower as circumferential strain says,

    g = r_m² ((1 + e_c)² − 1/λ),

held back where the cavity would close. What the cavity ejects is the integral of −g over it, so one factor a
phase makes it the volume of the beat, exactly. The map has a closed inverse: r² = λ (r'² − g).

The RV's free wall leaves the septum by the share of its end-diastolic distance that gives the RV's volume.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import pi

import torch
from torch import Tensor

from simulation.heart.anatomy.segments import spread, weights
from simulation.heart.anatomy.shape import Anatomy
from simulation.heart.anatomy.tables import read
from simulation.heart.anatomy.volumes import enclosed

OPENEST = 0.95  # share of its end-diastolic area that the cavity can lose at one height and angle
LEAST, MOST = 0.5, 2.0  # of the factor on g that meets a volume; what is left over is spread evenly
SHUT = 0.99  # the same, after what was left over has been spread
ROUNDS = 6  # of Newton's method


@dataclass(frozen=True)
class Motion:
    """How P anatomies move over T phases; tables are over the anatomy's heights and angles at end-diastole.

    Attributes:
        anatomy: at end-diastole.
        stretch: (P, T, H, N) λ, longitudinal.
        height: (P, T, H, N) mm, Z: where each height is.
        closing: (P, T, H, N) share of the cavity's area, stretched, that is lost: −g λ/r_endo².
        twist: (P, T) rad, of the apex relative to the base.
        widening: (P, T) what multiplies the RV's area between septum and free wall.

    """

    anatomy: Anatomy
    stretch: Tensor
    height: Tensor
    closing: Tensor
    twist: Tensor
    widening: Tensor

    def __getitem__(self, patients: slice) -> Motion:
        """The motions of some of the patients."""
        return Motion(**{field.name: getattr(self, field.name)[patients] for field in fields(self)})

    def shift(self) -> Tensor:
        """(P, T, H, N) mm², g."""
        return -self.closing * self.anatomy.endo_square().clamp(min=0.0)[:, None] / self.stretch

    def squares(self) -> Tensor:
        """(4, P, T, H, N) mm²: radii squared of endocardium, epicardium, RV endocardium and RV epicardium.

        The first is negative below the cavity. Where there is no RV the last three agree.
        """
        ed, shift = self.anatomy, self.shift()
        endo = ed.endo_square()[:, None] / self.stretch + shift
        epi = (ed.epi**2)[:, None] / self.stretch + shift
        gap = (ed.rv**2 - ed.epi**2)[:, None]
        rv = epi + gap * self.widening[:, :, None, None]
        # The RV's wall tapers with the RV: where its cavity is narrower than the wall is thick.
        thick = torch.minimum(ed.rv_wall[:, None, None], ed.rv - ed.epi)
        wall = (ed.rv + thick) ** 2 - ed.rv**2
        return torch.stack([endo, epi, rv, rv + wall[:, None] / self.stretch])

    def volumes(self) -> tuple[Tensor, Tensor]:
        """LV and RV cavities, each (P, T) mL, integrated over the moved surfaces."""
        endo, epi, rv, _ = self.squares()
        # ∫ r'² dZ = ∫ r'² λ dz
        return self._integral(endo * self.stretch), self._integral((rv - epi) * self.stretch)

    def strains(self) -> tuple[Tensor, Tensor, Tensor]:
        """Circumferential, longitudinal and radial strain of each segment, each (P, T, 17), Lagrangian.

        Of what lies in the middle of the wall at end-diastole and stays the same tissue, as tagging follows
        it: how much longer its ring and its meridian are, and how much thicker it is across its surface,
        which incompressibility gives: (1+e_r)(1+e_c)(1+e_l) = 1. Averaged over the segment with the weights
        that spread strain. Layers further in thicken more: for the whole wall see `thickening`.
        """
        ed, middle_ed = self.anatomy, 0.5 * (self.anatomy.endo + self.anatomy.epi)
        middle = ((middle_ed**2)[:, None] / self.stretch + self.shift()).clamp(min=0.0).sqrt()
        meridian = _arc(middle, self.height)
        meridian_ed = _arc(middle_ed, ed.heights()[:, :, None].expand_as(middle_ed))
        around = _ratio(middle, middle_ed)
        along = _ratio(meridian, meridian_ed)
        across = 1.0 / (around * along).clamp(min=0.1)
        return self._mean(around) - 1.0, self._mean(along) - 1.0, self._mean(across) - 1.0

    def thickening(self) -> Tensor:
        """(P, T, 17) how much thicker the whole wall of each segment is than at end-diastole, as a share.

        What contours give: thickness between endocardium and epicardium over that at end-diastole, less 1.
        """
        endo, epi, _, _ = self.squares()
        thickness = epi.clamp(min=0.0).sqrt() - endo.clamp(min=0.0).sqrt()
        return self._mean(_ratio(thickness, self.anatomy.epi - self.anatomy.endo)) - 1.0

    def _mean(self, values: Tensor) -> Tensor:
        """(P, T, 17) of a table (P, T, H, N), weighed by the wall there."""
        ed = self.anatomy
        member = weights(ed.longitudinal()[:, :, None], ed.angles()).to(values)
        member = member * ((ed.epi - ed.endo) * 0.5 * (ed.endo + ed.epi) * (ed.endo > 0))[..., None]
        total = member.sum((1, 2)).clamp(min=1e-6)[:, None]
        return torch.einsum("pthn,phns->pts", values, member) / total

    def carry(self, points: Tensor, phase: int) -> Tensor:
        """Where points (P, M, 3) mm of the LV's wall and cavity at end-diastole are at a phase.

        The RV's free wall follows its own volume and not this map: see `squares`.
        """
        radius, angle, z = _polar(points)
        stretch, height, shift = self._read(z, angle, phase)
        square = (radius**2 / stretch + shift).clamp(min=0.0)
        return _cartesian(square.sqrt(), angle + self._turned(height, phase), height)

    def pull_back(self, points: Tensor, phase: int) -> Tensor:
        """Where points (P, M, 3) mm of a phase were at end-diastole: the inverse of `carry`."""
        radius, angle, height = _polar(points)
        angle = angle - self._turned(height, phase)
        z = self._material(height, angle, phase)
        stretch, _, shift = self._read(z, angle, phase)
        square = (stretch * (radius**2 - shift)).clamp(min=0.0)
        return _cartesian(square.sqrt(), angle, z)

    def _turned(self, height: Tensor, phase: int) -> Tensor:
        """θ at heights (P, M) of a phase."""
        share = (-height / self.anatomy.length[:, None]).clamp(0.0, 1.0)
        return self.twist[:, phase, None] * share

    def _read(self, z: Tensor, angle: Tensor, phase: int) -> tuple[Tensor, Tensor, Tensor]:
        """λ, Z and g at material places (P, M).

        Between rows λ is linear and Z its integral, a parabola, so that nothing tears where rows meet. Beyond
        the rows λ goes on as it was.
        """
        ed = self.anatomy
        share = 1.0 + z / ed.length[:, None]
        stretch = self.stretch[:, phase]
        tables = torch.stack(
            [stretch, self.height[:, phase], self.closing[:, phase], ed.endo_square()], dim=1
        )
        here, height, closing, endo = read(tables, share, angle).unbind(1)
        rows = stretch.shape[1]
        place = (share * (rows - 1)).clamp(0, rows - 1)
        row = place.floor().clamp(max=rows - 2)
        change = read((stretch[:, 1:] - stretch[:, :-1])[:, None], row / (rows - 2), angle)[:, 0]
        on = place - row
        bend = -0.5 * ed.length[:, None] / (rows - 1) * change * on * (1.0 - on)
        beyond = z - z.clamp(max=0.0).maximum(-ed.length[:, None])
        return here, height + bend + beyond * here, -closing * endo.clamp(min=0.0) / here

    def _material(self, height: Tensor, angle: Tensor, phase: int) -> Tensor:
        """Heights at end-diastole (P, M) mm of what is at heights and angles of a phase."""
        table, stretch = self.height[:, phase], self.stretch[:, phase]
        rows, columns = table.shape[1:]
        column = torch.remainder(angle * (columns / (2 * pi)), columns)
        left = column.long().clamp(max=columns - 1)
        on = column - left
        right = torch.where(left == columns - 1, 0, left + 1)

        def at(values: Tensor, row: Tensor) -> Tensor:
            """(P, M): of rows, linear between columns."""
            low, high = (values.flatten(1).gather(1, row * columns + each) for each in (left, right))
            return torch.lerp(low, high, on)

        row, top = torch.zeros_like(left), torch.full_like(left, rows - 1)
        for _ in range((rows - 2).bit_length()):  # halves what lies between until one row is left
            middle = (row + top) // 2
            under = at(table, middle) <= height
            row, top = torch.where(under, middle, row), torch.where(under, top, middle)
        low, high = at(table, row), at(table, row + 1)
        slope, slope_above = at(stretch, row), at(stretch, row + 1)
        # risen = step (slope part + (slope_above − slope) part²/2), solved for the part of a row
        step = self.anatomy.length[:, None] / (rows - 1)
        risen = torch.minimum((height - low).clamp(min=0.0), high - low)
        root = (slope**2 + 2.0 * (slope_above - slope) * risen / step).clamp(min=0.0).sqrt()
        part = 2.0 * risen / step / (slope + root)
        beyond = (height - low - risen) / torch.where(height < low, slope, slope_above)
        return (row + part) * step - self.anatomy.length[:, None] + beyond

    def _integral(self, square: Tensor) -> Tensor:
        patients, phases = square.shape[:2]
        length = self.anatomy.length.repeat_interleave(phases)
        return enclosed(square.flatten(0, 1), length).view(patients, phases) / 1000.0


def build_motion(
    anatomy: Anatomy,
    circumferential: Tensor,
    longitudinal: Tensor,
    twist: Tensor,
    lv_ml: Tensor,
    rv_ml: Tensor,
) -> Motion:
    """The motion of segments' strains (P, T, 17), twist (P, T) rad and cavity volumes (P, T) mL.

    Volumes are those of the anatomy at the phase that has no strain; each is met to rounding.
    """
    stretch = (1.0 + spread(longitudinal, anatomy)).clamp(0.4, 2.5)
    narrower = 1.0 + spread(circumferential, anatomy)
    middle = 0.5 * (anatomy.endo + anatomy.epi)
    inner = anatomy.endo_square().clamp(min=1.0)[:, None]
    # −g λ / r_endo², as the strains have it.
    wanted = (middle**2)[:, None] * (1.0 - stretch * narrower**2) / inner
    held = _held(wanted)
    height = _heights(anatomy, stretch)
    closing = _met(anatomy, held, lv_ml)
    still = Motion(anatomy, stretch, height, closing, twist, torch.ones_like(lv_ml))
    _, rv = still.volumes()
    return Motion(anatomy, stretch, height, closing, twist, rv_ml / rv.clamp(min=1e-3))


def _held(closing: Tensor) -> Tensor:
    """Near the identity, and never beyond OPENEST: the cavity stays open."""
    positive = closing.clamp(min=0.0)
    return torch.where(closing > 0, positive / (1.0 + (positive / OPENEST) ** 4) ** 0.25, closing)


def _heights(anatomy: Anatomy, stretch: Tensor) -> Tensor:
    """Z (P, T, H, N) mm: λ integrated from the apex, which stays."""
    step = (anatomy.length / (anatomy.endo.shape[1] - 1)).view(-1, 1, 1, 1)
    risen = torch.cumsum(0.5 * (stretch[:, :, 1:] + stretch[:, :, :-1]), dim=2) * step
    return torch.cat([torch.zeros_like(stretch[:, :, :1]), risen], dim=2) - anatomy.length.view(-1, 1, 1, 1)


def _met(anatomy: Anatomy, closing: Tensor, lv_ml: Tensor) -> Tensor:
    """`closing` times one factor a phase, plus one number where that is not enough, so that volumes are met.

    The cavity is ½∫∫ r_endo² (1 − closing) dφ dz: longitudinal stretch cancels.
    """
    patients, phases = lv_ml.shape
    square = anatomy.endo_square()[:, None]
    length = anatomy.length.repeat_interleave(phases)

    def volume(lost: Tensor) -> Tensor:
        left = torch.where(square > 0, square * (1.0 - lost), square)
        return enclosed(left.flatten(0, 1), length).view(patients, phases) / 1000.0

    def solved(start: float, lost: Callable[[Tensor], Tensor], rise: Tensor | float, most: float) -> Tensor:
        """Newton's method: the volume is linear in the unknown but where the cavity can close no more."""
        unknown = torch.full_like(lv_ml, start)
        for _ in range(ROUNDS):
            now = lost(unknown)
            open_still = (now < most).to(now)
            slope = volume(1.0 - open_still * rise)
            unknown = unknown + (volume(now) - lv_ml) / torch.where(slope.abs() < 1e-3, 1e3, slope)
        return unknown

    def scaled(factor: Tensor) -> Tensor:
        return (closing * factor[:, :, None, None]).clamp(max=OPENEST)

    base = scaled(solved(1.0, scaled, closing, OPENEST).clamp(LEAST, MOST))

    def raised(more: Tensor) -> Tensor:
        return (base + more[:, :, None, None]).clamp(max=SHUT)

    return raised(solved(0.0, raised, 1.0, SHUT))


def _ratio(now: Tensor, before: Tensor) -> Tensor:
    """(P, T, H, N) of a table of the phases to one (P, H, N) of end-diastole."""
    return now / before.clamp(min=1e-3)[:, None]


def _arc(radius: Tensor, height: Tensor) -> Tensor:
    """Length of the meridian's element at each row: (..., H, N) mm."""
    across = torch.gradient(radius, dim=-2)[0]
    along = torch.gradient(height, dim=-2)[0]
    return (across**2 + along**2).sqrt()


def _polar(points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x, y, z = points.unbind(-1)
    return (x * x + y * y).sqrt(), torch.atan2(y, x), z


def _cartesian(radius: Tensor, angle: Tensor, z: Tensor) -> Tensor:
    return torch.stack([radius * angle.cos(), radius * angle.sin(), z], dim=-1)
