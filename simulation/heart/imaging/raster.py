"""What is in each voxel of each phase: shares of tissues, and the label that an expert would draw.

A phase's moved surfaces are tabulated over height and angle *in space*, twist and all. Where a voxel lies in
those tables does not depend on the phase, so its place and the four weights of a bilinear reading are worked
out once a slice, and one weighted gather reads all surfaces of all phases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from simulation.heart.imaging.slices import Stack
from simulation.heart.imaging.tissues import HEART
from simulation.heart.imaging.trabeculae import PAPILLARY, Muscle, Trabeculae, areas, cores
from simulation.heart.motion import Motion

# Of HEART, those that come from surfaces; scar and oedema are parts of the myocardium.
SHARES = [0, 1, 2, 3, 6, 7, 8]
BACKGROUND, RV, MYOCARDIUM, LV = 0, 1, 2, 3  # labels, in the order of ACDC (Bernard et al. 2018)
ABOVE = 45.0  # mm of atria over the base that are drawn; their shape is assumed
HEIGHTS = 96
# Endocardium, epicardium, RV inside and outside, inside the trabeculae of LV and RV, left and right atrium
# inside, then outside.
SURFACES = 10
ATRIAL_WALL = 2.0  # mm, assumed
PAPILLARY_SPAN = (0.3, 0.7)  # of the cavity's length


@dataclass(frozen=True)
class Raster:
    """What the voxels of P patients hold.

    Attributes:
        fractions: (P, S, T, len(HEART), Y, X) float, shares of `HEART` in [0, 1].
        labels: (P, S, T, Y, X) uint8, the structure that fills most of a voxel of which at least half is LV
            or RV cavity or LV wall; papillary muscles and trabeculae count as cavity.

    """

    fractions: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Shells:
    """Surfaces of some phases in space.

    Attributes:
        squares: (P, T, SURFACES + 1, K, N): mm², radii squared, negative where a surface does not reach; the
            last is not a surface but mm over the valve plane.
        low: (P,) mm, height of the first row.
        step: (P,) mm between rows.
        base: (P, T) mm, mean height of the valve plane.

    """

    squares: Tensor
    low: Tensor
    step: Tensor
    base: Tensor


def rasterise(
    motion: Motion,
    stack: Stack,
    phases: list[int] | None = None,
    supersampling: tuple[int, int, int] = (1, 1, 4),
    *,
    papillary: bool = True,
    trabeculae: Sequence[Trabeculae] | None = None,
) -> Raster:
    """Shares and labels in the given phases (all), from sub-voxels: (rows, columns, depth) a voxel.

    Inside the plane an edge through a sub-voxel is taken as straight, so one a voxel will do; in depth, where
    a voxel is long, it will not. trabeculae: each patient's; without them the endocardium is smooth.
    """
    chosen = list(range(motion.twist.shape[1])) if phases is None else phases
    patients, places = stack.centres.shape[:2]
    shells = _shells(motion, chosen, trabeculae)
    muscles: list[tuple[Muscle, ...]] = [PAPILLARY if papillary else ()] * patients
    if papillary and trabeculae is not None:
        muscles = [each.papillary for each in trabeculae]

    def one(patient: int, own: Sequence[Muscle]) -> Tensor:
        return torch.stack(
            [_slice(motion, shells, stack, patient, i, chosen, supersampling, own) for i in range(places)]
        )

    pictures = torch.stack([one(patient, own) for patient, own in enumerate(muscles)])
    return Raster(pictures, _labels(pictures))


def _shells(motion: Motion, phases: list[int], trabeculae: Sequence[Trabeculae] | None) -> Shells:
    """Tabulate the surfaces of the phases in space."""
    ed = motion.anatomy
    surfaces = motion.squares()[:, :, phases]
    inner = surfaces[[0, 2]]  # of the trabeculae
    if trabeculae is not None:
        stretch = motion.stretch[:, phases]
        one = [
            cores(surfaces[:, p], areas(own, ed[p : p + 1]), stretch[p]) for p, own in enumerate(trabeculae)
        ]
        inner = torch.stack(one, dim=1)
    squares = torch.cat([surfaces, inner]).permute(1, 2, 0, 3, 4)
    heights = motion.height[:, phases]
    rows = heights.shape[2]
    low = -ed.length - 1.0
    step = (ABOVE - low) / (HEIGHTS - 1)
    levels = low[:, None] + step[:, None] * torch.arange(HEIGHTS, dtype=low.dtype, device=low.device)
    # Where in the material's rows each level is, column by column.
    sorted_heights = heights.transpose(2, 3).contiguous()
    asked = levels[:, None, None, :].expand(*sorted_heights.shape[:3], HEIGHTS).contiguous()
    above = torch.searchsorted(sorted_heights, asked).clamp(1, rows - 1)
    under = sorted_heights.gather(3, above - 1)
    # Below the apex squares go on falling, so that they are negative there.
    part = ((asked - under) / (sorted_heights.gather(3, above) - under)).clamp(-2.0, 1.0)
    index = above.transpose(2, 3)[:, :, None].expand(-1, -1, 6, -1, -1)
    share = part.transpose(2, 3)[:, :, None]
    moved = torch.lerp(squares.gather(3, index - 1), squares.gather(3, index), share)
    base = heights[:, :, -1:, :]  # (P, T, 1, N)
    over = (levels[:, None, :, None] - base)[:, :, None]
    # Atria: domes over the valve plane, of the width that the base has.
    wide = squares[:, :, [0, 2], -1:]
    dome = wide * (1.0 - (over / ABOVE).clamp(0.0, 1.0) ** 2)
    walled = torch.where(dome > 0, (dome.clamp(min=0.0).sqrt() + ATRIAL_WALL) ** 2, -1.0)
    tables = torch.cat([moved, dome, walled, over], dim=2)
    turn = motion.twist[:, phases, None] * (-levels / ed.length[:, None]).clamp(0.0, 1.0)[:, None]
    return Shells(_turned(tables, turn), low, step, base.mean((2, 3)))


def _turned(tables: Tensor, turn: Tensor) -> Tensor:
    """Tables (P, T, C, K, N) whose rows are turned by angles (P, T, K): what is at φ goes to φ + θ."""
    columns = tables.shape[-1]
    place = torch.arange(columns, dtype=tables.dtype, device=tables.device)
    column = torch.remainder(place - turn[..., None] * (columns / (2 * pi)), columns)
    left = column.long().clamp(max=columns - 1)
    on = (column - left)[:, :, None]
    left = left[:, :, None].expand_as(tables)
    return torch.lerp(tables.gather(4, left), tables.gather(4, (left + 1) % columns), on)


def _slice(
    motion: Motion,
    shells: Shells,
    stack: Stack,
    patient: int,
    place: int,
    phases: list[int],
    supersampling: tuple[int, int, int],
    muscles: Sequence[Muscle],
) -> Tensor:
    """(T, len(HEART), Y, X) of one slice."""
    points = stack.points(patient, place, supersampling)
    rows, columns = points.shape[:2]
    x, y, z = points.unbind(-1)
    square = x * x + y * y
    near = (square.amin(2) <= _widest(shells, patient, z)).nonzero()
    result = torch.zeros(len(phases), len(HEART), rows, columns, dtype=points.dtype, device=points.device)
    if len(near) == 0:
        return result
    (top, left), (bottom, right) = near.amin(0).tolist(), near.amax(0).tolist()
    box = (slice(top, bottom + 1), slice(left, right + 1))
    x, y, z = (each[box].flatten() for each in (x, y, z))
    surfaces = _read(shells, patient, z, torch.atan2(y, x))
    width = stack.spacing / supersampling[0]
    inside = _within(surfaces[..., :SURFACES], x * x + y * y, width)
    below = (surfaces[..., SURFACES] <= 0).to(inside.dtype)
    cavity, outer, rv, rv_outer, core, rv_core, *atria = inside.unbind(-1)
    left_atrium, right_atrium, *atrial_walls = atria
    wall = (outer - cavity).clamp_(min=0.0) * below
    rv_cavity = (rv - outer).clamp_(min=0.0) * below
    rv_blood = (rv_core - outer).clamp_(min=0.0) * below
    rv_wall = (rv_outer - torch.maximum(rv, outer)).clamp_(min=0.0) * below
    cavity = cavity * below
    muscle = cavity - core * below
    if muscles:
        radius = surfaces[..., 0].clamp(min=0.0).sqrt()
        bulge = _papillary(motion, shells, patient, phases, (x, y, z), radius, width, muscles)
        muscle = torch.maximum(muscle, cavity * bulge)
    # The right atrium is what its dome leaves outside the left one's wall.
    right_atrium = (right_atrium - atrial_walls[0]).clamp_(min=0.0)
    atrial = (left_atrium + right_atrium) * (1.0 - below)
    rv_wall += (torch.maximum(*atrial_walls) - left_atrium - right_atrium).clamp_(min=0.0) * (1.0 - below)
    kinds = [cavity - muscle, wall, rv_blood, rv_wall, muscle, atrial, rv_cavity - rv_blood]
    shares = torch.stack(kinds, dim=-1).view(*square[box].shape, len(phases), len(SHARES)).mean(2)
    result[:, SHARES, box[0], box[1]] = shares.permute(2, 3, 0, 1)
    return result


def _within(surface: Tensor, square: Tensor, width: float) -> Tensor:
    """(M, T, C) how much of a sub-voxel of that width lies inside circles of squared radius (M, T, C).

    (R² − r²)/2r is R − r near the edge, the only place where it matters; exact for an edge along the grid.
    """
    scale = (0.5 / width / square.sqrt().clamp(min=0.5 * width))[:, None, None]
    return torch.addcmul(0.5 - square[:, None, None] * scale, surface, scale).clamp_(0.0, 1.0)


def _widest(shells: Shells, patient: int, z: Tensor) -> Tensor:
    """The largest square that any surface has at the heights of a slice, two rows more on either side."""
    table = shells.squares[patient, :, :SURFACES].amax((0, 1, 3))
    rows = ((torch.stack([z.min(), z.max()]) - shells.low[patient]) / shells.step[patient]).tolist()
    first = min(max(int(rows[0]) - 2, 0), len(table) - 1)
    return table[first : max(int(rows[1]) + 3, first + 1)].amax()


def _read(shells: Shells, patient: int, z: Tensor, angle: Tensor) -> Tensor:
    """(M, T, SURFACES + 1): the tables of all phases at places (M,), bilinear."""
    squares = shells.squares[patient]
    phases, kinds, rows, columns = squares.shape
    table = squares.permute(2, 3, 0, 1).reshape(rows * columns, phases * kinds).contiguous()
    row = ((z - shells.low[patient]) / shells.step[patient]).clamp(0, rows - 1)
    column = torch.remainder(angle * (columns / (2 * pi)), columns)
    low = row.long().clamp(max=rows - 2)
    left = column.long().clamp(max=columns - 1)
    right = torch.where(left == columns - 1, 0, left + 1)
    up, on = row - low, column - left
    index = torch.stack(
        [
            low * columns + left,
            low * columns + right,
            (low + 1) * columns + left,
            (low + 1) * columns + right,
        ],
        1,
    )
    weight = torch.stack([(1 - up) * (1 - on), (1 - up) * on, up * (1 - on), up * on], 1)
    read = embedding_bag(index, table, per_sample_weights=weight, mode="sum")
    return read.view(-1, phases, kinds)


def _papillary(
    motion: Motion,
    shells: Shells,
    patient: int,
    phases: list[int],
    place: tuple[Tensor, Tensor, Tensor],
    radius: Tensor,
    width: float,
    muscles: Sequence[Muscle],
) -> Tensor:
    """(M, T) how much of a place is in two muscles that lie along the endocardium and keep their width."""
    x, y, z = (each[:, None] for each in place)
    apex = -motion.anatomy.endo_length[patient]
    share = (z - apex) / (shells.base[patient] - apex)
    span = (share > PAPILLARY_SPAN[0]) & (share < PAPILLARY_SPAN[1])
    # A slice is tilted by little, so one height will do for its twist.
    turn = motion.twist[patient, phases] * (-z.mean() / motion.anatomy.length[patient]).clamp(0.0, 1.0)
    inside = torch.zeros_like(radius)
    for angle, size, inset in muscles:
        away = (radius - inset * size).clamp(min=0.0)
        distance = torch.hypot(x - away * torch.cos(angle + turn), y - away * torch.sin(angle + turn))
        inside = torch.maximum(inside, ((size - distance) / width + 0.5).clamp(0.0, 1.0))
    return inside * span


def _labels(fractions: Tensor) -> Tensor:
    """The structure that fills most of each voxel, where structures fill half of it."""
    lv = fractions[:, :, :, 0] + fractions[:, :, :, 6]
    wall = fractions[:, :, :, 1] + fractions[:, :, :, 4] + fractions[:, :, :, 5]
    rv = fractions[:, :, :, 2] + fractions[:, :, :, 8]
    which = torch.where(wall >= lv, MYOCARDIUM, LV)
    which = torch.where((rv >= wall) & (rv >= lv), RV, which)
    return torch.where(lv + wall + rv >= 0.5, which, BACKGROUND).to(torch.uint8)
