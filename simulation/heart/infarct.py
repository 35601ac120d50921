"""Where an infarct lies, and what it does to the wall. Nothing is painted on a curve: it acts through these.

A coronary artery feeds a set of AHA segments (Cerqueira et al., Circulation 2002). Inside that territory a
patch is chosen around a drawn centre, with an irregular border, so that it covers the asked share of the
territory's area. Necrosis spreads from the endocardium outwards (the wavefront of Reimer and Jennings, 1977):
at each place it reaches a depth, the transmurality in the middle of the patch, less towards its border.

What follows from it: fewer living sarcomeres (contractility), collagen or oedema (stiffness), slow or no
conduction (the density is read by `electrophysiology.conduction`), and, once healed, a thinner wall
(`anatomy.shape.build`). Strain, ejection fraction and pictures are consequences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, one_hot, pad

from ground.errors import UsageError
from simulation.heart.anatomy import groups
from simulation.heart.anatomy.segments import segment_of
from simulation.heart.anatomy.shape import Anatomy
from simulation.heart.anatomy.tables import read

TERRITORIES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "LAD": (1, 2, 7, 8, 13, 14, 17),
        "RCA": (3, 4, 9, 10, 15),
        "LCX": (5, 6, 11, 12, 16),
    }
)
AGES = ("acute", "scar")
# Stiffness of wholly infarcted tissue, in multiples of the healthy one: oedema hardly stiffens, collagen does
# (Holmes, Borg and Covell, Annual Review of Biomedical Engineering 2005, review a several-fold rise).
STIFFENING: Mapping[str, float] = MappingProxyType({"acute": 1.5, "scar": 6.0})
# Thickness of a transmural infarct, in multiples of the healthy one: assumed.
THINNING: Mapping[str, float] = MappingProxyType({"acute": 1.05, "scar": 0.5})
LOWEST = -0.15  # longitudinal coordinate of the apical wall's end, about
ROWS, COLUMNS, LAYERS = 48, 72, 6
ROUGHNESS = 0.25
DISTAL = 1.5
WHOLE = 0.95  # extent from which on the patch's border fades away
BORDER = 0.12  # of the field that is cut: how soft the patch's edge is


@dataclass(frozen=True)
class Lesion:
    """One patient's infarct as drawn: what a recipe may fix.

    Attributes:
        segments: AHA segments in which it may lie.
        extent: share of those segments' area that it covers, 0 to 1.
        transmurality: share of the wall's depth that it reaches in its middle, 0 to 1.
        severity: share of the myocytes that are dead inside it, 0 to 1.
        age: "acute" or "scar".
        centre: (longitudinal coordinate 0 to 1, angle in radians).
        waves: (6, 4) numbers of the border's irregularity.

    """

    segments: tuple[int, ...]
    extent: float
    transmurality: float
    severity: float
    age: str
    centre: tuple[float, float]
    waves: np.ndarray


def draw(
    segments: tuple[int, ...], age: str | None, random: np.random.Generator, fixed: Mapping[str, float]
) -> Lesion:
    """A lesion in those segments; `fixed` holds what is not drawn: extent, transmurality, severity.

    The ranges drawn from are assumed: patches of 35 to 95 % of the territory, 40 to 100 % of the depth.
    """
    extent = random.uniform(0.35, 0.95)
    transmurality = random.uniform(0.4, 1.0)
    severity = random.uniform(0.75, 1.0)
    chosen = AGES[int(random.random() < 0.6)]
    middle = segments[int(random.integers(len(segments)))]
    jitter = random.normal(size=2)
    waves = random.normal(size=(6, 4))
    along, angle = _centre(middle)
    return Lesion(
        segments,
        _share("extent", fixed.get("extent", extent)),
        _share("transmurality", fixed.get("transmurality", transmurality)),
        _share("severity", fixed.get("severity", severity)),
        age or chosen,
        (float(np.clip(along + 0.05 * jitter[0], 0.02, 0.98)), angle + 0.1 * float(jitter[1])),
        waves,
    )


@dataclass(frozen=True)
class Infarct:
    """Infarcts of a batch of patients, on a grid over the ventricle's surface.

    Attributes:
        depth: (P, ROWS, COLUMNS) share of the wall, from the endocardium, that necrosis has reached; rows are
            the middles of ROWS equal steps from LOWEST to 1 along the axis, columns at angles 2πj/COLUMNS.
        severity: (P,) share of dead myocytes inside it.
        scarred: (P,) 1 where it has healed to a scar, 0 where it is acute.

    """

    depth: Tensor
    severity: Tensor
    scarred: Tensor

    def density(self, transmural: Tensor, longitudinal: Tensor, angle: Tensor) -> Tensor:
        """Share of dead myocytes at ventricular coordinates of shape (P, M)."""
        depth = self.reach(longitudinal, angle)
        reached = ((depth - transmural) / BORDER + 0.5).clamp(0.0, 1.0)
        return reached * self.severity[:, None]

    def reach(self, longitudinal: Tensor, angle: Tensor) -> Tensor:
        """The depth at coordinates of shape (P, M)."""
        share = ((longitudinal - LOWEST) / (1.0 - LOWEST) * ROWS - 0.5) / (ROWS - 1)
        return read(self.depth[:, None], share, angle)[:, 0]

    def fractions(self) -> Tensor:
        """Share of each segment's wall that is dead, (P, 17), layers weighing alike."""
        device, dtype = self.depth.device, self.depth.dtype
        along, angle = _grid(device, dtype)
        layers = (torch.arange(LAYERS, device=device, dtype=dtype) + 0.5) / LAYERS
        reached = ((self.depth[:, None] - layers[:, None, None]) / BORDER + 0.5).clamp(0.0, 1.0)
        dead = reached.mean(1).flatten(1) * self.severity[:, None]
        member = one_hot(segment_of(along, angle).long(), 18)[:, 1:].to(dtype)
        return dead @ member / member.sum(0).clamp(min=1.0)

    def contractility(self) -> Tensor:
        """Factor of active stress in each segment, (P, 17): the share of living myocytes."""
        return 1.0 - self.fractions()

    def stiffness(self) -> Tensor:
        """Factor of passive stiffness in each segment, (P, 17)."""
        most = torch.lerp(
            torch.full_like(self.scarred, STIFFENING["acute"]),
            torch.full_like(self.scarred, STIFFENING["scar"]),
            self.scarred,
        )
        return 1.0 + (most[:, None] - 1.0) * self.fractions()

    def thickness(self, anatomy: Anatomy) -> Tensor:
        """Factor of wall thickness on the anatomy's table, (P, H, N): a transmural scar is half as thick."""
        angle = anatomy.angles().expand_as(anatomy.endo)
        along = anatomy.longitudinal()[:, :, None].expand_as(angle)
        full = torch.lerp(
            torch.full_like(self.scarred, THINNING["acute"]),
            torch.full_like(self.scarred, THINNING["scar"]),
            self.scarred,
        )
        depth = self.reach(along, angle)
        return 1.0 + (full[:, None, None] - 1.0) * depth * self.severity[:, None, None]


def dead_share(lesion: Lesion | None) -> float:
    """Share of the LV's wall that is dead."""
    if lesion is None:
        return 0.0
    dead = place([lesion], torch.float64).fractions()[0]
    return float(dead @ torch.tensor(groups.SURFACE, dtype=torch.float64))


def dilation(lesion: Lesion | None) -> float:
    """How many times larger than before its infarct a ventricle is at end-diastole.

    A scar lets it grow with the share of the wall that is dead, over months; an acute one has not had time
    (Wu et al. 2008, Heart 94:730: the third with the largest infarcts grew by a tenth in four months, that
    with the smallest did not).
    """
    if lesion is None or lesion.age != "scar":
        return 1.0
    return 1.0 + groups.DILATION * dead_share(lesion)


def place(
    lesions: list[Lesion | None], dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
) -> Infarct:
    """The batch's infarcts on their grids; None is a patient without one."""
    along, angle = _grid("cpu", torch.float64)
    depth = torch.stack([_depth(each, along, angle) for each in lesions])
    severity = torch.tensor([0.0 if each is None else each.severity for each in lesions])
    scarred = torch.tensor([float(each is not None and each.age == "scar") for each in lesions])
    return Infarct(depth.to(device, dtype), severity.to(device, dtype), scarred.to(device, dtype))


def _depth(lesion: Lesion | None, along: Tensor, angle: Tensor) -> Tensor:
    """Depth reached on the grid, (ROWS, COLUMNS): a field around the centre, cut where the area is right."""
    if lesion is None or lesion.extent == 0.0:
        return torch.zeros(ROWS, COLUMNS, dtype=torch.float64)
    inside = _inside(along, angle, lesion.segments)
    area = _circumference(along)
    turn = torch.remainder(angle - lesion.centre[1] + math.pi, math.tau) - math.pi
    distance = torch.sqrt((2.2 * (along - lesion.centre[0])) ** 2 + (turn * _circumference(along)) ** 2)
    waves = torch.from_numpy(lesion.waves)
    rough = torch.zeros_like(along)
    for number, (cosine, sine, shift, tilt) in enumerate(waves, start=1):
        phase = number * angle
        rough = rough + (cosine * torch.cos(phase + 3.0 * shift * along) + sine * torch.sin(phase)) / (
            number + tilt.abs()
        )
    # What lies beyond an occlusion dies: the further from the base, the likelier.
    field = torch.exp(-0.5 * distance**2) * (1.0 + ROUGHNESS * torch.tanh(rough)) * inside * (DISTAL - along)
    share = lesion.extent * float((area * inside).sum())
    order = torch.argsort(field, descending=True)
    reached = int(torch.searchsorted(torch.cumsum(area[order], 0), share))
    level = field[order[min(reached, field.numel() - 1)]]
    height = ((field - level) / (BORDER * field.max()) + 0.5).clamp(0.0, 1.0)
    # Of the whole territory nothing is border; of a small patch the middle is reached all the same.
    height = height / height.max()
    height = torch.lerp(height, torch.ones_like(height), max(0.0, lesion.extent - WHOLE) / (1.0 - WHOLE))
    return torch.reshape(lesion.transmurality * inside * height, (ROWS, COLUMNS))


def _inside(along: Tensor, angle: Tensor, segments: tuple[int, ...]) -> Tensor:
    """1 in the segments, 0 outside, a slope of a few cells between: (ROWS·COLUMNS,)."""
    member = torch.isin(segment_of(along, angle), torch.tensor(segments)).to(along.dtype)
    table = member.reshape(1, 1, ROWS, COLUMNS)
    for _ in range(2):
        table = pad(pad(table, (1, 1, 0, 0), mode="circular"), (0, 0, 1, 1), mode="replicate")
        table = avg_pool2d(table, 3, stride=1)
    return table.flatten()


def _grid(device: str | torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Longitudinal coordinates and angles of the grid's nodes, each (ROWS·COLUMNS,)."""
    rows = LOWEST + (1.0 - LOWEST) * (torch.arange(ROWS, device=device, dtype=dtype) + 0.5) / ROWS
    columns = torch.arange(COLUMNS, device=device, dtype=dtype) * (math.tau / COLUMNS)
    along, angle = torch.meshgrid(rows, columns, indexing="ij")
    return along.flatten(), angle.flatten()


def _circumference(along: Tensor) -> Tensor:
    """Relative radius of the cavity at a longitudinal coordinate: an ellipsoid's, for weighing areas."""
    return torch.sqrt((1.0 - (1.0 - along) ** 2).clamp(min=0.0025))


def _centre(segment: int) -> tuple[float, float]:
    """Longitudinal coordinate and angle of a segment's middle."""
    if segment == 17:
        return 0.02, 0.0
    if segment > 12:
        return 1 / 6, math.radians(90.0 - 90.0 * (segment - 13))
    return (5 / 6 if segment <= 6 else 0.5), math.radians(90.0 - 60.0 * ((segment - 1) % 6))


def _share(name: str, value: float) -> float:
    if not (math.isfinite(value) and 0.0 <= value <= 1.0):
        raise UsageError(f"infarct: {name} is a share of the whole: give a number from 0 to 1")
    return float(value)
